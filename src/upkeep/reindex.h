#pragma once
/* The two ways between the database and its JSON files: reindex rebuilds the database from crashes/by-source,
 * crashes/by-hash and logs/; mirror rebuilds crashes/by-source from the database. Both without a daemon; one thread. */

#include "storage/index/index_check.h"
#include "storage/store/adopt.h"
#include "storage/store/offline.h"

#define REINDEX_KEPT "detritus.db.before-reindex"

struct reindex_counts {
        struct index_totals before, after; /* before: zeros if the old database cannot be read */
        bool taken_over;                   /* the old database told what JSON files do not say */
        struct adopt_counts files;
};

/* Builds the database beside the old one, and swaps them by one rename; the old one stays as REINDEX_KEPT. 0;
 * REINDEX_FEWER: the old one can be read and has more crashes than the files, so nothing was changed (force: change it
 * all the same); < 0 with err. -EBUSY: the directory is in use. */
enum { REINDEX_FEWER = 1 };
int reindex_data_dir(const char *data_dir, bool force, struct reindex_counts *ret, struct error *err);

struct mirror_counts {
        uint64_t crashes, written, removed;
        uint64_t left; /* JSON files whose name is not that of a crash */
};
typedef void (*mirror_progress)(void *userdata, uint64_t done, uint64_t all);

/* Writes the JSON file of each crash if it is missing or differs in a byte, atomically and many at once. Then removes
 * those that are named after a crash that the database does not have. o is open with its index. dry_run: only counts. 0
 * or -errno. */
int reindex_mirror(struct offline *o, bool dry_run, mirror_progress progress, void *userdata,
                   struct mirror_counts *ret);
