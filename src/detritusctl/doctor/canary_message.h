#pragma once
/* What detritusctl send-test sends: one log line and one crash report, both marked with an id that is used only once.
 */

#include "protocol/source.h"
#include "storage/blobs/blob.h"
#include "util/buf.h"
#include "util/clock.h"

#define CANARY_MESSAGE_BOUNDARY "detritusctl-send-test"

struct canary {
        struct source source;
        char id[40]; /* hex */
        struct moment at;
        char dump[128]; /* all of it */
        char dump_sha256[BLOB_HEX_SIZE];
};

/* The caller checked project and install_id. 0 or -errno. */
int canary_message_init(struct canary *c, const char *project, const char *install_id);
/* A gRPC message: one log record with the attribute detritus.canary. 0 or -errno. */
int canary_message_logs(const struct canary *c, struct buf *out);
/* A multipart body. 0 or -errno. */
int canary_message_crash(const struct canary *c, struct buf *out);
