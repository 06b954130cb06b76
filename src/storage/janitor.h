#pragma once
/* Retention: deletes log files and crashes older than their time to live, and the oldest where there is more than a cap;
 * then blobs that nothing refers to. One thread at idle priority; it asks the index writer in short transactions and never walks directories. */

#include "config/config.h"
#include "metrics/metrics.h"
#include "storage/crashes/index_writer.h"
#include "storage/logs/committer.h"

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
struct janitor *janitor_free(struct janitor *j); /* stops between two steps and joins; NULL-safe */
DEFINE_FREEP(janitor_free, struct janitor)
