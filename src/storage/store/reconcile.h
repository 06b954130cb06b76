#pragma once
/* Makes the index and the files agree again after an unclean stop. Runs before the threads start, and after the
 * recovery of the log journal. */

#include "storage/index/index.h"

struct reconcile_counts {
        uint64_t leftovers;         /* half-written files, removed */
        uint64_t blobs_unindexed;   /* files without a row: they have one without uses now, for retention to collect */
        uint64_t crashes_indexed;   /* JSON files without a row: indexed again */
        uint64_t mirrors_unusable;  /* JSON files without a row that cannot be indexed: left alone, each logged */
        uint64_t mirrors_written;   /* JSON files that were missing: written from their rows */
        uint64_t mirrors_absent;    /* JSON files that could not be written: the next start tries again */
        uint64_t blobs_lost;        /* rows without a file, which must never be: kept, each logged */
        uint64_t log_tails;         /* unfinished last lines, and bytes after a hole: moved to <file>.torn */
        uint64_t log_totals;        /* rows of log files that counted too little: brought up to date */
        uint64_t log_files_damaged; /* with a hole that could not be moved: left alone, each logged */
};

/* Checks every crash, every blob and the newest log files, and sums up in one log line. 0, or -errno: the index or the
 * disk failed. log_lost: log each lost blob, too; a caller that has just verified the directory has reported them. */
int reconcile_data_dir(int datadir_fd, struct index *index, bool log_lost, struct reconcile_counts *ret);
