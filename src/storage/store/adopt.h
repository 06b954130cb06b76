#pragma once
/* Indexes the files of a data directory that its database does not know: those of a directory without a database, as
 * the reference leaves one, and those that an unclean stop left without a row. Runs before the threads start, and logs
 * its progress. What cannot be read is logged with path and reason, and left alone. */

#include "storage/index/index.h"
#include "util/error.h"

struct adopt_counts {
        uint64_t crashes, log_files, blobs_added; /* new rows */
        uint64_t unreadable, incomplete;          /* JSON files left alone: not understood, or blobs are missing */
        uint64_t blobs_missing;                   /* those blobs */
        uint64_t leftovers;                       /* half-written files, removed */
};

enum adopt_what {
        ADOPT_LOGS, /* only log files without a row */
        ADOPT_ALL,  /* crashes and blobs, too: for an index that was never adopted (index_open() created it) */
        /* The same after an unclean stop (reconcile.h). A log file without a row was new then. Its row says that none
         * of its bytes has been counted, so that reconcile_log_files() looks at them. */
        ADOPT_UNCLEAN,
};

/* Unless ADOPT_LOGS, marks the index as adopted at the end. Rows that are there are kept. A crash was received at the
 * mtime of its JSON file. 0 or -errno. */
int adopt_data_dir(int datadir_fd, struct index *index, enum adopt_what what, struct adopt_counts *ret);
