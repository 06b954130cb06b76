#pragma once
/* The two ways between the database and its JSON files: reindex makes the database anew from crashes/by-source,
 * crashes/by-hash and logs/; mirror makes crashes/by-source anew from the database. Both while no daemon runs. */

#include "storage/index/index_check.h"
#include "storage/store/adopt.h"
#include "storage/store/offline.h"

#define REINDEX_KEPT "detritus.db.before-reindex"

struct reindex_counts {
        struct index_totals before, after; /* before: zeros when the old database could not be read */
        bool taken_over;                   /* what JSON files cannot tell came from the old database */
        struct adopt_counts files;
};

/* Built aside and swapped in by one rename; the old database stays as REINDEX_KEPT. REINDEX_FEWER: the old one is readable
 * and has more crashes than the files; nothing was changed, unless force. -EBUSY: the directory is in use. < 0 with
 * err. */
enum { REINDEX_FEWER = 1 };
int reindex_data_dir(const char *data_dir, bool force, struct reindex_counts *ret, struct error *err);

struct mirror_counts {
        uint64_t crashes, written, removed;
        uint64_t left; /* files that are no crash's and were not understood */
};
typedef void (*mirror_progress)(void *userdata, uint64_t done, uint64_t all);

/* Writes each crash's JSON file that is missing or differs in a byte, atomically and many at once, then removes those whose name is that of
 * a crash that the database does not have. dry_run: only counts. 0 or -errno. */
int reindex_mirror(struct offline *o, bool dry_run, mirror_progress progress, void *userdata,
                   struct mirror_counts *ret);
