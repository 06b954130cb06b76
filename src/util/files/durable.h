#pragma once
/* Files and directories that survive a power cut. Everything here may block: never on a network thread. All return 0
 * or -errno. Paths are relative to dirfd. */

#include <stddef.h>
#include <sys/types.h>

/* write(2)/pwrite(2) until all is written. */
int durable_write_all(int fd, const void *data, size_t len);

/* fdatasync. After a failure, which is FAILURE_FINAL (failure.h) like one of durable_sync_all(), never call it again
 * for the same store: the kernel may have dropped the pages ("fsyncgate"). */
int durable_sync(int fd);

/* fsync of a directory, so that new names in it survive. path NULL or "." is dirfd itself. An error that is not final
 * means that it could not be opened, and nothing was synced. */
int durable_sync_dir(int dirfd, const char *path);

/* syncfs: all data and names of the file system that fd is on. Linux 5.8 and later report its errors here. */
int durable_sync_all(int fd);

/* mkdir -p; each directory made is synced into its parent. Mode 0750. */
int durable_mkdirs(int dirfd, const char *path);
/* The same without the syncs, for a caller that makes the names durable later. */
int durable_mkdirs_later(int dirfd, const char *path);

/* Replaces path atomically: a temporary file beside it is written, synced and renamed, then the directory is synced. */
int durable_replace_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode);
/* The same, but a power cut may bring the old file back: the directory is not synced. */
int durable_replace_file_later(int dirfd, const char *path, const void *data, size_t len, mode_t mode);
