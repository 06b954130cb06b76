#pragma once
/* A call that carries log records, in whichever protocol: its decoded bytes are checked, admitted and made into one
 * batch of lines. A use case embeds an export as the first member of its own state, gathers the request, and then hands
 * the batch over (log_handover.h). Loop's thread. */

#include "ingest/call.h"
#include "storage/logs/log_committer.h"
#include "util/buf.h"

enum log_export_state {
        LOG_EXPORT_OPEN,        /* there is no batch, or not yet */
        LOG_EXPORT_READY,       /* the batch is complete; it may be empty */
        LOG_EXPORT_HANDED_OVER, /* log_handover.c or the committer has the batch */
};

/* What a batch points into. The memory may be kept from request to request. */
struct log_export_buffers {
        struct buf lines;
        struct buf strings;  /* platform and version of each append, NUL-terminated */
        struct buf appends;  /* the array that is batch.appends */
        struct buf response; /* an ExportLogsServiceResponse: what was rejected; usually no bytes */
};

/* Zero-initialised is open. */
struct log_export {
        struct call call;
        enum log_export_state state;
        struct log_batch batch;
        struct log_export_buffers buffers;
        uint64_t promised_bytes;        /* disk space for the lines; spent on the committer's thread */
        size_t message_bytes;           /* the length of the decoded request */
        void (*stored)(struct call *c); /* how the use case answers; set by log_handover_submit() */
};

/* A network thread's scratch. */
struct log_export_loop;
/* config must stay. NULL on ENOMEM. */
struct log_export_loop *log_export_loop_new(const struct config *config);
struct log_export_loop *log_export_loop_free(struct log_export_loop *l); /* NULL-safe */

/* Makes e->batch out of the bytes of an ExportLogsServiceRequest. The call must be inside the gate. A request that is
 * refused because of its sources, the rate limit or a full disk is not rendered. A request that is refused for another
 * reason costs nothing of the rate limit. 0: ready. -errno, or an answer in *r. data is not needed afterwards. */
int log_export_prepare(struct log_export *e, const uint8_t *data, size_t len, struct refusal *r);

/* For release(): gives back promised space and does call_done(). The buffers stay. */
void log_export_done(struct log_export *e);
/* Afterwards e is zeroed, except that its empty buffers keep their memory. */
void log_export_reset(struct log_export *e);
size_t log_export_buffers_cap(const struct log_export *e); /* their memory in bytes */
void log_export_buffers_done(struct log_export *e);        /* frees it */
