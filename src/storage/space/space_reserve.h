#pragma once
/* <data_dir>/reserve: space that is kept so that deleting works on a full disk. Deleting rows makes SQLite's WAL grow
 * first, and writing that back may make the database grow; so it is given up in portions, or the WAL had it all. Any thread but the network's; a lock is held across the calls that change the file. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SPACE_RESERVE_MAX_BYTES ((uint64_t)8 << 20)
#define SPACE_RESERVE_SHARE 64 /* of the file system, at most */
#define SPACE_RESERVE_PORTIONS 4

struct space_reserve {
        pthread_mutex_t lock;
        int fd;
        uint64_t bytes, held; /* what it shall hold, what it does */
        bool impossible;
};

/* Opens the file, makes it when it is missing, and sees whether it holds something. 0 or -errno: nothing to undo. */
int space_reserve_init(struct space_reserve *r, int datadir_fd, uint64_t disk_bytes);
void space_reserve_done(struct space_reserve *r);

/* Allocates what is not there yet. A disk that cannot (no room, no fallocate) is left without. */
void space_reserve_make(struct space_reserve *r);
/* A portion. True: there was one, and its space is free now. */
bool space_reserve_give_up(struct space_reserve *r);
