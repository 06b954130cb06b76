#pragma once
/* After an unclean stop: makes the index and the files agree again. Before the threads start, and behind the recovery of
 * the log journal. */

#include "storage/index/index.h"

struct reconcile_counts {
        uint64_t leftovers;         /* half-written files, removed */
        uint64_t blobs_unindexed;   /* files without a row: rows with refs = 0 now, which retention collects */
        uint64_t crashes_indexed;   /* JSON files without a row, indexed again */
        uint64_t mirrors_unusable;  /* JSON files without a row that cannot be: left alone, each with a log line */
        uint64_t mirrors_written;   /* rows without a JSON file */
        uint64_t mirrors_absent;    /* and such as could not be written: the next start is to look again */
        uint64_t blobs_lost;        /* rows without a file, which must never be: kept, each with a log line */
        uint64_t log_tails;         /* unterminated last lines, and what is behind a hole: moved to <file>.torn */
        uint64_t log_totals;        /* rows of log files that trailed them, brought up to date */
        uint64_t log_files_damaged; /* with a hole that could not be moved: left alone, each with a log line */
};

/* Looks at every crash, every blob and the newest log files, and says in one log line what it found. 0 or -errno: the
 * index cannot go on. */
int reconcile_data_dir(int datadir_fd, struct index *index, struct reconcile_counts *ret);
