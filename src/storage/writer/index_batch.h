#pragma once
/* One batch of reports on its way to disk: the index writer's work. Index writer's thread. */

#include "storage/writer/index_writer.h"

#define INDEX_BATCH_MAX 256

struct index_batch_disk {
        struct index *index;
        struct blob_store *blobs;
        struct metrics *metrics;
        struct troubles *troubles; /* may be NULL */
        struct space *space;       /* may be NULL */
        int datadir_fd;
        atomic_bool *untidy; /* see struct index_writer_config */
};

/* Fills result and dedup of each report (0 < n <= INDEX_BATCH_MAX). 0, or the -errno after which nothing may be
 * acknowledged any more; even then each report has its true result. */
int index_batch_store(const struct index_batch_disk *disk, struct crash_report *const *reports, size_t n);

/* Does this error of the database mean that it can no longer be trusted? A full or busy one can. */
bool index_batch_is_final(int error);
