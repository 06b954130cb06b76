#pragma once
/* A data directory that is ours alone, by its lock: what the start of the daemon (store.h) and a command without a
 * daemon (offline.h) have in common. The functions are called in the order in which they stand here, and each asserts
 * it:
 *
 *     CLOSED -> OPEN -> LOCKED -> RECOVERED -> INDEXED        open; lock; recover_logs; open_index
 *
 * Embedded; one thread. */

#include <stdbool.h>
#include <sys/types.h>

#include "storage/index/index.h"
#include "util/error.h"

/* Where a backup or restore is made until it is whole (backup.h). */
#define DATA_DIR_INCOMING "incoming"

enum data_dir_state { DATA_DIR_CLOSED, DATA_DIR_OPEN, DATA_DIR_LOCKED, DATA_DIR_RECOVERED, DATA_DIR_INDEXED };

struct data_dir {
        enum data_dir_state state;
        const char *path; /* borrowed */
        int fd;
        int lock_fd;
        bool was_clean; /* the last stop was orderly */
        bool verified;  /* set by the caller: lost blobs have been reported, and are not logged again */
        pid_t holder;   /* who holds the lock if we could not take it; 0: unknown */
};

void data_dir_init(struct data_dir *d, const char *path);
/* The directory must be there. < 0 with err. */
int data_dir_open(struct data_dir *d, struct error *err);
/* Is there a database? Is there anything of ours, or nothing at all? Else -ENOENT with err, so that a wrong directory
 * stays as it is. */
int data_dir_expect_database(const struct data_dir *d, struct error *err);
int data_dir_expect_ours(const struct data_dir *d, struct error *err);
/* Takes <path>/lock (flock), until data_dir_done() or the end of the process. -EBUSY: another process holds it;
 * -EUCLEAN: a backup or restore was not finished. < 0 with err. */
int data_dir_lock(struct data_dir *d, struct error *err);
/* Writes log lines that only the journal has into their files, before anything looks at those. < 0 with err. */
int data_dir_recover_logs(struct data_dir *d, struct error *err);
/* Opens the index, creates it if it is missing, migrates it, and makes it agree with the files. *ret_untidy: something
 * is left for the next start to put right. < 0 with err. */
int data_dir_open_index(struct data_dir *d, struct index **ret, bool *ret_untidy, struct error *err);
/* The last call before data_dir_done(): everything becomes durable, and the next start need not check everything. 0 or
 * -errno. */
int data_dir_stop_clean(struct data_dir *d);
void data_dir_done(struct data_dir *d);

/* Does another process hold the lock? The kernel's list answers (proc(5), locks), because trying the lock could keep a
 * daemon from starting at that moment. *ret_pid (may be NULL): who. */
bool data_dir_is_held(int datadir_fd, pid_t *ret_pid);
