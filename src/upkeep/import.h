#pragma once
/* Takes the data of another directory, ours or detritus-server's, into this one: crashes with their blobs, and log
 * lines. It recognises what is here already, so it can be run again, also after it was cut short. One thread. */

#include "storage/crashes/mirror_batch.h"
#include "storage/store/offline.h"

#define IMPORT_MERGE_LINES_MAX ((size_t)1 << 23) /* in a log file that both directories have */

/* This many files are open at once and wait for the disk together; the attachments of the last crash may add some. */
#define IMPORT_BATCH_FILES MIRROR_BATCH_MAX

struct import_counts {
        uint64_t crashes, crashes_known; /* taken; here before */
        uint64_t crashes_left;           /* unreadable, only in its database, or a blob is missing or corrupt: each is
                                          * reported to left() */
        uint64_t blobs, blob_bytes;      /* copied */
        uint64_t log_files, log_files_known, log_files_left;
        uint64_t others_left; /* what is no file of a crash or day: odd names, a FIFO for a directory, the database */
        uint64_t log_lines;   /* added to files that were here before */
        bool details;         /* its database told what JSON files do not say */
};

struct import_config {
        const char *from;
        void (*left)(void *userdata, const char *path, const char *why); /* what is not taken, and why */
        void (*progress)(void *userdata, const char *step, uint64_t done, uint64_t all); /* may be NULL; all is 0 */
        void *userdata;
};

/* o is open with its index. The other directory is only read; no daemon should be writing to it. Only its regular
 * files are opened. What is odd in it, or cannot be read, is told to left() and counted, and the rest is taken. 0,
 * or < 0 with err. */
int import_run(const struct import_config *config, struct offline *o, struct import_counts *ret, struct error *err);
