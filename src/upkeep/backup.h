#pragma once
/* A copy of a data directory that is one itself: what `backup` makes, and what `restore` makes of a backup. The database
 * by SQLite's online backup, blobs and JSON files as hard links where possible, log files up to a whole line. Made again
 * into the same directory, only what is new is copied, and what is gone is removed. Works beside a daemon; one thread;
 * memory does not grow with what is there. */

#include "storage/index/index_check.h"
#include "util/error.h"

#define BACKUP_MANIFEST "manifest.json"

struct backup_config {
        const char *from, *to;
        bool link;    /* hard links; false: copies, or reflinks */
        bool restore; /* from is a backup, to must be empty (or an unfinished restore), and gets no manifest */
        void (*progress)(void *userdata, const char *step, uint64_t done, uint64_t all); /* may be NULL */
        void *userdata;
};

struct backup_counts {
        struct index_totals rows;      /* in the copy */
        uint64_t linked, copied, kept; /* files */
        uint64_t bytes;                /* copied */
        uint64_t removed;              /* files that are no longer in the original */
        uint64_t deleted_meanwhile;    /* blobs that retention deleted while the copy was made */
        uint64_t lost;                 /* blobs that rows name and that are not there: the original is damaged */
        uint64_t crashes_forgotten;    /* of the copy, with those blobs that were deleted meanwhile */
};

/* 0: everything is durable. < 0 with err: what was in the directory before is still good, but for log files that have
 * grown, or gone as in the original, which a further run, or a restore, copes with. */
int backup_run(const struct backup_config *config, struct backup_counts *ret, struct error *err);
