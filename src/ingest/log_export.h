#pragma once
/* A call that brings log records, whichever protocol carries them: decoded bytes become one batch of lines, with
 * everything checked and admitted. A use case embeds an export as the first member of its own state, gathers the request,
 * and then hands the batch over (log_handover.h). Loop's thread. */

#include "ingest/call.h"
#include "storage/logs/log_committer.h"
#include "util/buf.h"

enum log_export_state {
        LOG_EXPORT_OPEN,        /* no batch yet; or the request is refused */
        LOG_EXPORT_READY,       /* the batch is complete, and may be empty */
        LOG_EXPORT_HANDED_OVER, /* log_handover.c or the committer has the batch */
};

/* What a batch points into; its memory may be kept from request to request. */
struct log_export_buffers {
        struct buf lines;
        struct buf strings; /* platform and version of each append, NUL-terminated */
        struct buf appends; /* the array that is batch.appends */
};

/* Zero-initialised is open. */
struct log_export {
        struct call call;
        enum log_export_state state;
        struct log_batch batch;
        struct log_export_buffers buffers;
        uint64_t promised_bytes;        /* of the disk, for the lines; the committer's thread spends them */
        size_t message_bytes;           /* of the request, decoded */
        void (*stored)(struct call *c); /* log_handover.c's: how the use case answers */
};

/* A network thread's scratch. */
struct log_export_loop;
struct log_export_loop *log_export_loop_new(const struct config_limits *limits); /* NULL on ENOMEM */
struct log_export_loop *log_export_loop_free(struct log_export_loop *l);         /* NULL-safe */

/* The bytes of an ExportLogsServiceRequest become e->batch. The call is inside the gate. A request that is refused for
 * its sources, the rate limit or want of space costs no rendering; one that is refused for another reason costs nothing
 * of the rate limit. 0: ready. -errno, or an answer in *r. data is not needed afterwards. */
int log_export_prepare(struct log_export *e, const uint8_t *data, size_t len, struct refusal *r);

/* For release(): gives back what was promised, and ends the call. The buffers are still there. */
void log_export_done(struct log_export *e);
/* Then zeroed, but for the memory of the buffers, which are empty. */
void log_export_reset(struct log_export *e);
size_t log_export_buffers_cap(const struct log_export *e); /* their memory in bytes */
void log_export_buffers_done(struct log_export *e);        /* frees it */
