#pragma once
/* What import.c (the order of things), import_crashes.c and import_logs.c share. */

#include "upkeep/import.h"
#include "upkeep/tree_copy.h"

struct import {
        const struct import_config *config;
        struct offline *o;
        int from_fd;
        struct tree_copy files;
        struct import_counts counts;
        uint64_t looked_at;
};

void import_progress(struct import *i, const char *step);
void import_left(const struct import *i, const char *path, const char *why);
/* 0 or -errno */
int import_crashes(struct import *i);
int import_logs(struct import *i);
