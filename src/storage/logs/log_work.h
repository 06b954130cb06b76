#pragma once
/* What stands in the log committer's queue, seen from inside: lists of struct log_work become batches, unlinks and
 * barriers again. */

#include <assert.h>
#include <semaphore.h>

#include "storage/logs/log_committer.h"

/* Lives on the stack of the thread that waits for it. */
struct log_barrier {
        struct log_work work;
        struct log_barrier *next;
        sem_t passed;
        int result;
};

static inline struct log_batch *log_work_batch(struct log_work *w)
{
        assert(w->kind == LOG_WORK_BATCH);
        return container_of(w, struct log_batch, work);
}

static inline struct log_unlink *log_work_unlink(struct log_work *w)
{
        assert(w->kind == LOG_WORK_UNLINK);
        return container_of(w, struct log_unlink, work);
}

static inline struct log_barrier *log_work_barrier(struct log_work *w)
{
        assert(w->kind == LOG_WORK_BARRIER);
        return container_of(w, struct log_barrier, work);
}

static inline struct log_work *log_work_of(struct work *w) /* NULL: NULL */
{
        return w ? container_of(w, struct log_work, item) : NULL;
}

static inline struct log_work *log_work_next(const struct log_work *w)
{
        return log_work_of(w->item.next);
}

static inline void log_work_set_result(struct log_work *w, int result)
{
        switch (w->kind) {
        case LOG_WORK_BATCH: log_work_batch(w)->result = result; break;
        case LOG_WORK_UNLINK: log_work_unlink(w)->result = result; break;
        case LOG_WORK_BARRIER: log_work_barrier(w)->result = result; break;
        }
}
