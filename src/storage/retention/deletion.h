#pragma once
/* Deletes crashes, log files, blobs and sources in short steps, for retention (retention.h) and for operators
 * (control/operation_purge.c and its neighbours). A step is a job of the index writer or the log committer, and the
 * caller's thread waits for it, so uploads and log exports go on between two steps.
 *
 * Invariants:
 *   1. A struct deletion belongs to the thread that called deletion_begin(); only deletion_stop() and
 *      deletion_is_stopping() are for any.
 *   2. The rows of crashes and blobs go before their files, in a committed transaction. A stop in between leaves files
 *      that no row names, which the next start finds, and never a row without its file. Log files go before their rows.
 *   3. Blobs and JSON files are removed on the index writer's thread right after that commit, log files on the log
 *      committer's.
 *
 * Functions that delete return 0, -ECANCELED after deletion_stop(), or -errno. What was deleted until then stays
 * deleted and is in the tally; called again, they go on from there. */

#include "storage/index/index_operate.h"
#include "storage/logs/log_committer.h"
#include "storage/writer/index_writer.h"
#include "storage/writer/log_totals.h"

struct deletion;

struct deletion_stores { /* all borrowed */
        int datadir_fd;
        struct blob_store *blobs;
        struct index_writer *index;
        struct log_committer *logs;
        struct log_totals *totals; /* for deletion_purge() */
        struct space *space;       /* whose reserve file is given up for a deletion on a full disk; may be NULL */
        struct troubles *troubles; /* may be NULL */
        atomic_bool *untidy;       /* set when a file whose row is gone could not be removed */
};

int deletion_new(const struct deletion_stores *stores, struct deletion **ret); /* 0 or -ENOMEM */
struct deletion *deletion_free(struct deletion *d);                            /* NULL-safe */
DEFINE_FREEP(deletion_free, struct deletion)
void deletion_begin(struct deletion *d); /* the calling thread deletes, from now on */

/* What is running ends between two steps, and nothing begins any more. Any thread. */
void deletion_stop(struct deletion *d);
bool deletion_is_stopping(struct deletion *d);

/* How much the steps may disturb everybody else. A new deletion is fast. */
enum deletion_pace {
        DELETION_FAST,  /* 250 rows a step */
        DELETION_SMALL, /* 16 rows a step */
        DELETION_GENTLE /* and a rest after each, unless the disk is short of space */
};
void deletion_set_pace(struct deletion *d, enum deletion_pace pace);

struct deletion_tally {
        uint64_t crashes, blobs, blob_bytes, log_files, log_bytes, sources;
};
/* What was deleted since the last call. */
struct deletion_tally deletion_take_tally(struct deletion *d);
/* How many transactions the steps have committed. */
unsigned deletion_commits(const struct deletion *d);

/* Crashes that are not held and were received before one moment and after another. */
int deletion_crashes_expire(struct deletion *d, struct moment received_before, struct moment received_after);
/* The oldest crashes that are not held, until the project ("": all together) has no more than max_bytes of crashes. */
int deletion_crashes_evict(struct deletion *d, const char *project, uint64_t max_bytes);

enum deletion_outcome { DELETION_DONE, DELETION_ABSENT, DELETION_HELD /* left alone because it is held */ };
/* Crashes by id, and the blobs that nothing uses any more. outcomes has n places, n > 0. */
int deletion_crashes_by_id(struct deletion *d, const int64_t *ids, size_t n, bool held_too,
                           enum deletion_outcome *outcomes);
/* Keeps crashes from being deleted (or no longer). outcomes has n places, n > 0. */
int deletion_crashes_hold(struct deletion *d, const int64_t *ids, size_t n, bool held, enum deletion_outcome *outcomes);

/* Log files of days before a day (YYYY-MM-DD) and after another. */
int deletion_logs_expire(struct deletion *d, const char *day_before, const char *day_after);
/* The oldest log files of days before a day, until the project ("": all together) has no more than max_bytes of
 * logs. */
int deletion_logs_evict(struct deletion *d, const char *project, uint64_t max_bytes, const char *day_before);

/* Blobs that nothing uses. */
int deletion_blobs_free(struct deletion *d);

/* Sources of which nothing is stored any more. */
int deletion_sources_free(struct deletion *d);

/* Called after each step of a purge with what has been deleted so far; a result other than 0 ends the purge and is
 * returned. */
struct deletion_progress {
        int (*report)(void *userdata, const struct deletion_tally *so_far);
        void *userdata;
};
/* All of a project or a source that was received before a moment: crashes, log files, then the blobs that these were
 * the last to use, then the sources that are empty. Covers log batches that were submitted before the call. progress
 * may be NULL. */
int deletion_purge(struct deletion *d, const struct index_scope *scope, const struct deletion_progress *progress);
