#pragma once
/* Opening the files of a data directory, ours or another one. Anybody may have put something else in a file's place: a
 * FIFO would block for ever, a device may do anything, and a symbolic link may lead anywhere. Any thread that may
 * block. */

#include <sys/stat.h>
#include <sys/types.h>

#include "util/error.h"

/* Opens a regular file for reading, and nothing else. ret_st (may be NULL) is what fstat(2) says of it. 0 or -errno
 * (-ELOOP: a symbolic link; -EINVAL: something else that is no regular file). */
int regular_open(int dirfd, const char *path, int *ret_fd, struct stat *ret_st);

/* Why a file cannot be read, when an open or a read failed with `error`: "it is a FIFO, not a regular file", or what
 * strerror(3) says. */
void regular_say(int dirfd, const char *path, int error, struct error *err);

/* In words: "a regular file", "a directory", "a symbolic link", "a FIFO", "a socket", "a device". Pure. */
const char *regular_kind(mode_t mode);
