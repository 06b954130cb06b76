#pragma once
/* A data directory without a daemon, held by its lock for a command that changes it. It is put in order first, as a
 * daemon's start does, and marked as in order when it is released. One thread. */

#include "storage/store/data_dir.h"
#include "util/files/owner.h"

struct offline {
        struct data_dir dir;
        struct owner before;
        bool untidy;         /* something is left for the next start to put right */
        struct index *index; /* NULL: OFFLINE_FILES */
        char path[4096];
};

enum offline_wants {
        OFFLINE_DATABASE, /* which must be there */
        OFFLINE_VERIFIED, /* the same, just verified: lost blobs have been reported, and are not logged again */
        OFFLINE_INDEX,    /* created if it is missing */
        OFFLINE_FILES,    /* the index stays closed */
};

/* The directory must be there, and be one of ours or empty. Until it is released, root works as its owner
 * (util/files/owner.h). The log journal is recovered and the index opened; after an unclean stop the index is made to
 * agree with the files (reconcile.h). < 0 with err, and nothing is held; -EBUSY: somebody else holds it, and err says
 * who. */
int offline_open(const char *data_dir, enum offline_wants wants, struct offline **ret, struct error *err);
/* ok: the command finished what it began, so the next start need not check everything. NULL-safe. 0, or -errno of the
 * sync. */
int offline_close(struct offline *o, bool ok);
