#pragma once
/* What the files of the deletion engine share: deletion.c (how steps run), deletion_crashes.c, deletion_logs.c,
 * deletion_blobs.c and deletion_purge.c (what they delete). Retention runs its own steps by it, too. */

#include <pthread.h>

#include "storage/retention/deletion.h"
#include "storage/retention/step.h"
#include "util/thread_owner.h"

#define DELETION_STEP_ROWS 250 /* rows a transaction, at most */
/* At a gentle pace: the thread that deletes is idle and waits for its turn between two steps, and everybody else goes
 * on. With 250 rows the index writer took the processor away from log exports for milliseconds (docs/performance.md,
 * P8). */
#define DELETION_GENTLE_STEP_ROWS 16
#define DELETION_AFTER_ANY_DAY "9999-99-99"

struct deletion {
        struct thread_owner owner;
        struct deletion_stores stores;
        enum deletion_pace pace;
        struct deletion_tally tally;
        unsigned commits;
        pthread_mutex_t lock;    /* for stopping */
        pthread_cond_t stopping; /* monotonic */
        bool is_stopping;
};

unsigned deletion_step_rows(const struct deletion *d);

/* One step. 0 or -errno; -EAGAIN: the index writer takes no work now. */
int deletion_run(struct deletion *d, struct step *step);
/* One step of at most *max rows, then a rest if the pace has one. On a full disk SQLite's WAL is written back and begun
 * again, then the reserve file is given up, and at last the step is made smaller, since a smaller transaction needs
 * less of the WAL. */
int deletion_run_rows(struct deletion *d, struct step *step, unsigned *max);

/* Calls next() until it sets *ret_last or fails, with a look at deletion_stop() before each call and a report after
 * it. */
typedef int (*deletion_next)(struct deletion *d, void *work, bool *ret_last);
int deletion_repeat(struct deletion *d, deletion_next next, void *work, const struct deletion_progress *progress);

/* The parts of a purge. */
int deletion_crashes_purge(struct deletion *d, const struct index_scope *scope,
                           const struct deletion_progress *progress);
int deletion_logs_purge(struct deletion *d, const struct index_scope *scope, const struct deletion_progress *progress);
