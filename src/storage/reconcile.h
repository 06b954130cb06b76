#pragma once
/* After an unclean stop: makes the index and the files of the crash store agree again. Before the threads start. */

#include "storage/crashes/index.h"

struct reconcile_counts {
        uint64_t leftovers;        /* half-written files, removed */
        uint64_t blobs_unindexed;  /* files without a row: rows with refs = 0 now, which retention collects */
        uint64_t crashes_indexed;  /* JSON files without a row, indexed again */
        uint64_t mirrors_unusable; /* JSON files without a row that cannot be: left alone, each with a log line */
        uint64_t mirrors_written;  /* rows without a JSON file */
        uint64_t mirrors_absent;   /* and such as could not be written: the next start is to look again */
        uint64_t blobs_lost;       /* rows without a file, which must never be: kept, each with a log line */
};

/* Looks at every crash and every blob, and says in one log line what it found. 0 or -errno: the index cannot go on. */
int reconcile_data_dir(int datadir_fd, struct index *index, struct reconcile_counts *ret);
