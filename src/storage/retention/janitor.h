#pragma once
/* Retention: deletes log files and crashes older than their time to live, and the oldest where there is more than a cap;
 * then blobs that nothing refers to. One thread at idle priority; it asks the index writer in short transactions and never walks directories. */

#include "config/config.h"
#include "metrics/metrics.h"
#include "storage/index/index_operate.h"
#include "storage/logs/log_committer.h"
#include "storage/writer/index_writer.h"
#include "storage/writer/log_totals.h"

struct janitor;

struct janitor_config {
        unsigned logs_ttl_days;       /* 0: everything at the next cycle */
        unsigned crashes_ttl_days;    /* likewise */
        unsigned compress_after_days; /* 0: never */
        unsigned interval_secs;
        struct config_caps caps;               /* of all projects together */
        const struct config_project *projects; /* with caps of their own; borrowed */
        size_t n_projects;
        int datadir_fd;           /* borrowed */
        struct blob_store *blobs; /* borrowed, as are the rest */
        atomic_bool *untidy;      /* set when a file whose row is gone could not be removed */
        struct index_writer *index;
        struct log_committer *logs;
        struct metrics *metrics;
        struct space *space; /* gives its reserve up for a deletion on a full disk; may be NULL */
};

/* Starts the thread; the first cycle runs at once, as the reference's does. 0 or -errno. */
int janitor_new(const struct janitor_config *config, struct janitor **ret);
/* One without a thread and without cycles of its own: what it is told to do, it does on the caller's thread. */
int janitor_new_helper(const struct janitor_config *config, struct janitor **ret);
struct janitor *janitor_free(struct janitor *j); /* stops between two steps and joins; NULL-safe */
DEFINE_FREEP(janitor_free, struct janitor)

/* Whatever it is doing ends between two steps, with -ECANCELED. Any thread. */
void janitor_stop(struct janitor *j);

/* What was deleted. */
struct janitor_tally {
        uint64_t crashes, blobs, blob_bytes, log_files, log_bytes, log_files_compressed, sources;
};

struct janitor_cycle {
        struct janitor_tally tally;
        struct moment began;
        uint64_t duration_ns;
        int result; /* 0 or -errno: the tally holds what was done until then */
};

/* A whole cycle that begins now: on its thread, behind the one that may be running, or on the caller's where it has
 * none. 0, or -ECANCELED: it is being stopped. */
int janitor_run_cycle(struct janitor *j, struct janitor_cycle *ret);
/* The one that ended last; false: none has. Any thread. */
bool janitor_last_cycle(struct janitor *j, struct janitor_cycle *ret);

/* Deletions that operators ask for, in short steps between which uploads go on, on the caller's thread; for a helper.
 * told() hears after each step what is gone so far; what it returns other than 0 ends the work and is returned. All
 * return 0, -ECANCELED or -errno; the tally holds what was done until then. */
typedef int (*janitor_told)(void *userdata, const struct janitor_tally *tally);

enum janitor_outcome { JANITOR_DONE, JANITOR_ABSENT, JANITOR_HELD /* left alone because it is held */ };
/* Crashes by id, with their JSON files and the blobs that nothing uses any more. outcomes has n places. */
int janitor_delete_crashes(struct janitor *j, const int64_t *ids, size_t n, bool held_too,
                           enum janitor_outcome *outcomes, struct janitor_tally *tally);
/* Against retention, or no longer. */
int janitor_hold_crashes(struct janitor *j, const int64_t *ids, size_t n, bool held, enum janitor_outcome *outcomes);
/* All of a project or a source that was received before a moment, and the sources that are empty then. The log committer
 * has taken what was submitted before the call; totals may be NULL. */
int janitor_purge(struct janitor *j, const struct index_scope *scope, struct log_totals *totals, janitor_told told,
                  void *userdata, struct janitor_tally *tally);
