#pragma once
/* A data directory without a database, as the reference leaves one, or with files the database does not know: reads the
 * mirror's JSON files and the log directory into the index. Runs once before the threads start; logs its progress.
 * What cannot be read is reported (path and reason) and left alone. */

#include "storage/index/index.h"
#include "util/error.h"

struct adopt_counts {
        uint64_t crashes, log_files, blobs_added; /* rows made */
        uint64_t unreadable, incomplete; /* JSON files left alone: not understood, or their blobs are not there */
        uint64_t blobs_missing;          /* named by the incomplete ones */
        uint64_t leftovers;              /* half-written files, removed */
};

enum adopt_what {
        ADOPT_LOGS, /* only log files without a row */
        ADOPT_ALL,  /* crashes and blobs too: for an index that was never adopted (index_open()'s created) */
        /* The same after an unclean stop (reconcile.h). A log file without a row is one that was new then: its row says
         * that none of its bytes is known yet, for reconcile_log_files() to look at them. */
        ADOPT_UNCLEAN,
};

/* With crashes, the index is marked as adopted at the end. Rows already there are kept. received_at is the mirror file's
 * mtime. 0 or -errno. */
int adopt_data_dir(int datadir_fd, struct index *index, enum adopt_what what, struct adopt_counts *ret);
