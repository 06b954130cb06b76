#pragma once
/* Files and directories that survive a power cut. Everything here may block: never on a network thread. All return 0
 * or -errno. Paths are relative to dirfd. */

#include <stddef.h>
#include <sys/types.h>

/* write(2)/pwrite(2) until all is written. */
int durable_write_all(int fd, const void *data, size_t len);

/* fdatasync; never call it again on a store after it failed once (fsyncgate: pages may be gone). */
int durable_sync(int fd);

/* fsync of a directory, so that names made in it survive. path NULL or "." is dirfd itself. */
int durable_sync_dir(int dirfd, const char *path);

/* syncfs: all data and names of the file system that fd is on (Linux 5.8 and later tell its errors here). */
int durable_sync_all(int fd);

/* mkdir -p; each directory made is synced into its parent. Mode 0750. */
int durable_mkdirs(int dirfd, const char *path);
/* The same without the syncs: for a caller who makes the names durable later. */
int durable_mkdirs_later(int dirfd, const char *path);

/* Atomically replaces path: a temporary file beside it, written, synced, renamed, directory synced. */
int durable_replace_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode);
