#pragma once
/* Was the last stop of a daemon on this data directory orderly? The second line of the lock file says so: "running" is
 * written before anything changes, "clean" when everything is on disk. For whoever holds the lock. */

#include <stdbool.h>

/* Writes our pid and "running", durably. *ret_clean: the last stop was orderly. 0 or -errno. */
int clean_stop_begin(int datadir_fd, int lock_fd, bool *ret_clean);

/* Syncs everything below datadir_fd, then writes "clean", durably. 0, or -errno: the next start checks everything. */
int clean_stop_end(int datadir_fd, int lock_fd);
