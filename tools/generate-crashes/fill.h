#pragma once
/* Fills one data directory, whose lock the caller holds. */

#include "options.h"
#include "storage/index/index.h"

struct fill_counts {
        uint64_t crashes, attachments, log_files, log_lines;
};

/* 0 or -errno. */
int fill(const struct options *o, int datadir_fd, struct index *index, struct fill_counts *ret);
