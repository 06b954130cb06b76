#pragma once
/* A data directory that no daemon runs on, held by its lock for a command that changes it: brought into order first, as
 * a daemon's start does it, and marked as in order when it is let go. One thread. */

#include <sys/types.h>

#include "storage/crashes/index.h"
#include "util/error.h"

struct offline {
        int datadir_fd, lock_fd;
        uid_t uid; /* whom the file system saw before */
        gid_t gid;
        struct index *index; /* NULL: without */
        char data_dir[4096];
};

/* For root the file system sees the directory's owner until it is let go, so that no file gets in the daemon's way that it
 * cannot open. The directory must be there. Held by somebody else: -EBUSY, and err says by whom. with_index: the log journal is brought
 * back, the index opened (migrated, made when missing) and, after an unclean stop, made to agree with the files
 * (reconcile.h). < 0 with err; nothing is held then. */
int offline_open(const char *data_dir, bool with_index, struct offline **ret, struct error *err);
/* ok: all that was begun is done, and the next start need not look at everything. NULL-safe. 0 or -errno of the sync. */
int offline_close(struct offline *o, bool ok);
