#pragma once
/* What import.c (the order of things), import_crashes.c, import_logs.c, import_others.c (what is left) and
 * import_rows.c (what has no file) share. */

#include "upkeep/import.h"
#include "upkeep/tree_copy.h"

struct batch;

struct import {
        const struct import_config *config;
        struct offline *o;
        int from_fd;
        struct tree_copy files;
        struct import_counts counts;
        uint64_t looked_at;
        struct batch *batch; /* import_crashes.c's */
};

void import_progress(struct import *i, const char *step);
void import_left(const struct import *i, const char *path, const char *why);
void import_leave_other(struct import *i, const char *path, const char *why); /* counted, too */
/* Would another file fail in the same way? Then the import ends; else this one is left. error: -errno. */
bool import_ends(int error);

/* Is a directory there? If something else is, that is left. */
bool import_is_directory(struct import *i, const char *path);

struct import_walk {
        const char *top; /* in the other directory */
        unsigned depth;
        int (*take)(struct import *i, const char *path); /* of each regular file */
        const char *unknown;                             /* what to say of IMPORT_UNKNOWN */
        uint64_t *left;                                  /* counts what is no regular file at this depth */
};

/* Calls take for the regular files, and leaves everything else. take: 0; IMPORT_UNKNOWN: left, for its name; -errno. */
enum { IMPORT_UNKNOWN = 1 };
int import_walk(struct import *i, const struct import_walk *walk);
/* 0 or -errno */
int import_crashes(struct import *i);
int import_logs(struct import *i);
int import_others(struct import *i);
int import_rows(struct import *i); /* after the details of the database were taken */
