#pragma once
/* What the log journal holds after a crash goes into the log files: every line that was acknowledged is there once, in
 * order. Before the committer starts; the data directory's lock is held. */

#include <stdint.h>

#include "util/error.h"

struct log_recovery_counts {
        uint64_t frames;           /* commits found */
        uint64_t files;            /* that they name */
        uint64_t files_repaired;   /* whose lines were not all there */
        uint64_t bytes_restored;   /* of lines that were not */
        uint64_t bytes_elsewhere;  /* of lines in a renamed log file, or in a copy beside it: left there */
        uint64_t files_changed;    /* moved, emptied or replaced by somebody: lines went to their end */
        uint64_t files_unwritable; /* lines went to recovered/ */
        uint64_t frames_damaged;   /* holes: lines may be lost, and the segment is kept aside */
};

/* 0; or < 0 with err: the disk is full or broken, or a later version wrote the journal. Nothing is lost then: the
 * next call does it all again. After 0 all segments are free. */
int log_recovery_run(int datadir_fd, struct log_recovery_counts *ret, struct error *err);
