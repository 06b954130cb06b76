#pragma once
/* Copies a data directory to another one: `backup`, and `restore` for the way back. The database is copied by SQLite's
 * online backup, blobs and JSON files are hard links where possible, log files are copied up to a whole line. A second
 * run into the same directory copies only what is new, and removes what is gone. Works beside a daemon. One thread.
 * Memory does not grow with the amount of data. */

#include "storage/index/index_check.h"
#include "util/error.h"

#define BACKUP_MANIFEST "manifest.json"

struct backup_config {
        const char *from, *to;
        bool link;    /* hard links; false: copies, or reflinks */
        bool restore; /* from is a backup; to must be empty, or an unfinished restore, and gets no manifest */
        /* What is odd in the original, or cannot be read, and is not copied. May be NULL. */
        void (*left)(void *userdata, const char *path, const char *why);
        void (*progress)(void *userdata, const char *step, uint64_t done, uint64_t all); /* may be NULL */
        void *userdata;
};

struct backup_counts {
        struct index_totals rows;      /* in the copy */
        uint64_t linked, copied, kept; /* files */
        uint64_t bytes;                /* really copied, not linked */
        uint64_t removed;              /* files that are no longer in the original */
        uint64_t deleted_meanwhile;    /* blobs that retention deleted while the copy was made */
        uint64_t left;                 /* files and directories that were told to left() */
        uint64_t lost;                 /* blobs that rows name and that are missing: the original is damaged */
};

/* 0: everything is durable. < 0 with err: an older copy in the directory is still good, except that log files may have
 * grown, or gone as in the original. Another run, or a restore, copes with that. */
int backup_run(const struct backup_config *config, struct backup_counts *ret, struct error *err);
