#pragma once
/* Runs: batches of one append each that wait at their files, to be written together by one writev for each file. The
 * committer's thread. */

#include <limits.h>
#include <sys/uio.h>

#include "storage/logs/journal.h"
#include "storage/logs/log_cache.h"
#include "storage/logs/log_debts.h"

struct log_runs {
        struct log_cache *files; /* borrowed, as are the next two */
        struct journal *journal; /* NULL without sync */
        struct log_debts *debts; /* with room for one more for each run */
        struct log_file *first;  /* files with a run */
        struct iovec iov[IOV_MAX];
};

void log_runs_join(struct log_runs *r, struct log_file *f, struct log_batch *b);
/* Writes what waits, and stages it for the journal. What fails is in the results of the batches. */
void log_runs_write(struct log_runs *r);
/* After a failure: the batches are answered with it, and are no longer ours. */
void log_runs_drop(struct log_runs *r);
