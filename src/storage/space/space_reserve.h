#pragma once
/* <data_dir>/reserve: space that is kept so that deleting works on a full disk. Deleting rows makes SQLite's WAL grow
 * first, and writing the WAL back may make the database grow. So the space is given up in portions; otherwise the WAL
 * would take all of it. Any thread but the network's: a lock is held across the calls that change the file. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SPACE_RESERVE_MAX_BYTES ((uint64_t)8 << 20)
#define SPACE_RESERVE_SHARE 64 /* of the file system, at most */
#define SPACE_RESERVE_PORTIONS 4

struct space_reserve {
        pthread_mutex_t lock;
        int fd;
        uint64_t bytes, held; /* as much as it should hold, and as it does: never more */
        bool impossible;
};

/* Opens or creates the file and finds out how much it holds. 0 or -errno: nothing to undo. */
int space_reserve_init(struct space_reserve *r, int datadir_fd, uint64_t disk_bytes);
void space_reserve_done(struct space_reserve *r);

/* Allocates the rest. Where the disk cannot do that (no room, no fallocate), there is no reserve. */
void space_reserve_make(struct space_reserve *r);
/* Frees one portion. False: there was none. */
bool space_reserve_give_up(struct space_reserve *r);
