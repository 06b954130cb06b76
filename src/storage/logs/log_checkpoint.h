#pragma once
/* Checkpoints of the log journal: makes the log files themselves durable, then frees the segments that held their
 * lines. One thread, one checkpoint at a time, beside the commits. All functions are the committer's, but for
 * log_checkpoint_failed(). */

#include <stdbool.h>

#include "metrics/metrics.h"
#include "storage/logs/journal.h"

struct log_checkpoint;

/* Above that many files, one syncfs(2) is cheaper than a sync for each (docs/adr/0007-log-journal.md). */
#define LOG_CHECKPOINT_FILES_MAX 64

/* What to sync. */
struct log_checkpoint_work {
        bool everything; /* the whole file system: too many files, a new name, or a file that is closed by now */
        unsigned n;
        int fds[LOG_CHECKPOINT_FILES_MAX];
};
void log_checkpoint_work_done(struct log_checkpoint_work *w); /* closes the descriptors */

/* Everything is borrowed. Starts the thread. 0 or -errno. */
int log_checkpoint_new(const struct log_committer_config *config, struct journal *j, struct log_checkpoint **ret);
/* Lets a running one finish. NULL-safe. */
struct log_checkpoint *log_checkpoint_free(struct log_checkpoint *k);
DEFINE_FREEP(log_checkpoint_free, struct log_checkpoint)

/* Seals the journal and begins; none may be running. Takes the descriptors and empties the work. */
void log_checkpoint_start(struct log_checkpoint *k, struct log_checkpoint_work *work);
bool log_checkpoint_is_running(struct log_checkpoint *k);
void log_checkpoint_wait(struct log_checkpoint *k); /* until none is running */

/* A sync failed, which is final: the journal keeps what it holds for the next start. Any thread. */
bool log_checkpoint_failed(const struct log_checkpoint *k);
/* What the log store says on the board when a sync failed, here or in the writer. */
void log_checkpoint_report_failure(struct troubles *t);
