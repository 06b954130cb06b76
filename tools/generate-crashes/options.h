#pragma once
/* The command line of generate-crashes. */

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

struct options {
        const char *data_dir;
        uint64_t crashes, sources, projects, days, bytes, seed;
        struct moment until; /* the newest receipt */
        bool files, no_logs;
};

/* 0, 1: the help was printed, -1: wrong usage, which was said. */
int options_read(struct options *ret, int argc, char **argv);
