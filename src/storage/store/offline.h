#pragma once
/* A data directory that no daemon runs on, held by its lock for a command that changes it: brought into order first, as
 * a daemon's start does it, and marked as in order when it is let go. One thread. */

#include "storage/store/data_dir.h"

struct offline {
        struct data_dir dir;
        uid_t uid; /* whom the file system saw before */
        gid_t gid;
        bool untidy;         /* something is left for the next start to put right */
        struct index *index; /* NULL: without */
        char path[4096];
};

enum offline_wants {
        OFFLINE_DATABASE, /* which must be there */
        OFFLINE_INDEX,    /* made when it is missing */
        OFFLINE_FILES,    /* the index stays closed */
};

/* For root the file system sees the directory's owner until it is let go, so that no file gets in the daemon's way that it
 * cannot open. The directory must be there, and be one of ours or empty. Held by somebody else: -EBUSY, and err says by
 * whom. The log journal is brought back, and the index opened (migrated) and, after an unclean stop, made to agree with the
 * files (reconcile.h). < 0 with err; nothing is held then. */
int offline_open(const char *data_dir, enum offline_wants wants, struct offline **ret, struct error *err);
/* ok: all that was begun is done, and the next start need not look at everything. NULL-safe. 0 or -errno of the sync. */
int offline_close(struct offline *o, bool ok);
