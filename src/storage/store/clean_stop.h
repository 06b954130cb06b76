#pragma once
/* Did the last daemon on this data directory stop in order? The second line of the lock file says so: "running" from
 * before anything is touched, "clean" once everything is on disk. Whoever holds the lock. */

#include <stdbool.h>

/* Writes our pid and "running", durably. *ret_clean: the last stop was orderly. 0 or -errno. */
int clean_stop_begin(int datadir_fd, int lock_fd, bool *ret_clean);

/* Everything below datadir_fd to disk, then "clean", durably. 0 or -errno: the next start looks at everything. */
int clean_stop_end(int datadir_fd, int lock_fd);
