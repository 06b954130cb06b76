#pragma once
/* A data directory that is ours alone, by its lock: what the daemon's start (store.h) and a command without a daemon
 * (offline.h) do alike, in this order. Embedded; one thread. */

#include <stdbool.h>
#include <sys/types.h>

#include "storage/index/index.h"
#include "util/error.h"

/* What a backup or restore is made in until it is whole (backup.h). */
#define DATA_DIR_INCOMING "incoming"

struct data_dir {
        const char *path; /* borrowed */
        int fd;
        int lock_fd;
        bool was_clean; /* the last stop was orderly */
        pid_t holder;   /* of the lock, when that is not us; 0: unknown */
};

void data_dir_init(struct data_dir *d, const char *path);
/* The directory must be there. < 0 with err. */
int data_dir_open(struct data_dir *d, struct error *err);
/* Is there a database; or anything of ours, or nothing at all? Else -ENOENT with err: so that a wrong directory stays as it
 * is. */
int data_dir_expect_database(const struct data_dir *d, struct error *err);
int data_dir_expect_ours(const struct data_dir *d, struct error *err);
/* <path>/lock (flock): held until data_dir_done(), or until the process ends, however it ends. -EBUSY: another process has
 * it; -EUCLEAN: it is a restore that was not finished. < 0 with err. */
int data_dir_lock(struct data_dir *d, struct error *err);
/* Log lines that only the journal has come back into their files. Before anything looks at these. */
int data_dir_recover_logs(struct data_dir *d, struct error *err);
/* Opens the index, migrated, or made when it is missing, and made to agree with the files. *ret_untidy: something is left
 * for the next start to put right. < 0 with err. */
int data_dir_open_index(struct data_dir *d, struct index **ret, bool *ret_untidy, struct error *err);
/* The last thing that is done there: all is durable, and the next start need not look at everything. 0 or -errno. */
int data_dir_stop_clean(struct data_dir *d);
void data_dir_done(struct data_dir *d);

/* Does another process hold the lock? Asked of the kernel's list (proc(5), locks): trying the lock would keep a daemon
 * from starting in that very moment. *ret_pid (may be NULL): who. */
bool data_dir_is_held(int datadir_fd, pid_t *ret_pid);
