#pragma once
/* Takes the body of a crash report apart: its parts become a checked metadata object and blobs on disk. Knows nothing
 * of HTTP or tokens, which are crashes.c's. Loop's thread. */

#include "config/config.h"
#include "protocol/answer.h"
#include "protocol/inflate.h"
#include "storage/space/space.h"
#include "storage/writer/index_writer.h"

struct crash_upload;

/* Called once the metadata is read, before any byte of the dump is stored: is the report admitted? 0, -errno, or an
 * answer in *r. */
typedef int (*crash_upload_admit)(void *userdata, const struct crash_metadata *metadata, struct refusal *r);

struct crash_upload_config {
        const struct config *config;
        struct blob_store *blobs;
        struct space *space;
        uint64_t *promised_bytes; /* what space.h promised to this upload; spent as parts are written */
        crash_upload_admit admit;
        void *userdata;
};

/* boundary as from multipart_head_boundary(). 0 or -errno. */
int crash_upload_new(const struct crash_upload_config *config, const char *boundary, enum encoding encoding,
                     struct crash_upload **ret);
struct crash_upload *crash_upload_free(struct crash_upload *u); /* NULL-safe; deletes a report that was not taken */
DEFINE_FREEP(crash_upload_free, struct crash_upload)

/* The next bytes of the body as sent. 0; -errno, or an answer in *r: then the upload is over, and only
 * crash_upload_free() may follow. */
int crash_upload_write(struct crash_upload *u, const uint8_t *data, size_t len, struct refusal *r);

/* The body has ended and must be whole. *ret: the report, now the caller's. 0, -errno, or an answer in *r; in any case
 * the upload is over. */
int crash_upload_finish(struct crash_upload *u, struct crash_report **ret, struct refusal *r);
