#pragma once
/* Takes another data directory, ours or detritus-server's, into this one: crashes with their blobs, and log lines. What is
 * here already is recognised, so that it can be run again, after it was cut short too. One thread. */

#include "storage/crashes/mirror_batch.h"
#include "storage/store/offline.h"

#define IMPORT_MERGE_LINES_MAX                                                                                         \
        ((size_t)1 << 23) /* of one log file that both have, and neither is the other's beginning */

/* So many files, or with the last one's attachments some more, are open at once, and wait for the disk together. */
#define IMPORT_BATCH_FILES MIRROR_BATCH_MAX

struct import_counts {
        uint64_t crashes, crashes_known; /* taken, and here before */
        uint64_t crashes_left;           /* unreadable, or a blob missing or corrupt: each is told */
        uint64_t blobs, blob_bytes;      /* copied */
        uint64_t log_files, log_files_known, log_files_left;
        uint64_t log_lines; /* taken into files that were here before */
        bool details;       /* what JSON files cannot tell came from its database */
};

struct import_config {
        const char *from;
        void (*left)(void *userdata, const char *path, const char *why);                 /* what is not taken */
        void (*progress)(void *userdata, const char *step, uint64_t done, uint64_t all); /* may be NULL; all is 0 */
        void *userdata;
};

/* Into a directory that is held, with its index. The other one is only read; no daemon should be writing it. 0, or < 0
 * with err. */
int import_run(const struct import_config *config, struct offline *o, struct import_counts *ret, struct error *err);
