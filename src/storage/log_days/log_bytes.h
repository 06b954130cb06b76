#pragma once
/* The bytes of one log file, decompressed where it is compressed. Any thread that may block, one at a time. Memory: for
 * a compressed file 128 KiB and zstd's window. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

struct log_bytes;

/* path is relative to dirfd; a link is not followed. 0 or -errno, as of
 * regular_open(). */
int log_bytes_open(int dirfd, const char *path, bool compressed, struct log_bytes **ret);
struct log_bytes *log_bytes_free(struct log_bytes *b); /* NULL-safe */
DEFINE_FREEP(log_bytes_free, struct log_bytes)

/* The file itself, borrowed, and its size when it was opened. */
int log_bytes_fd(const struct log_bytes *b);
uint64_t log_bytes_file_size(const struct log_bytes *b);

/* Reads no further than the size that it had when it was opened. */
void log_bytes_stop_at_size(struct log_bytes *b);
/* Goes on at this byte of the file; in a compressed one, a frame begins there. 0 or -errno. */
int log_bytes_seek(struct log_bytes *b, off_t at);
/* Reads at most `room` bytes, more than 0; *ret_n 0: the end. 0, -EBADMSG (not zstd, or cut short), -ENOMEM, -errno. */
int log_bytes_read(struct log_bytes *b, void *to, size_t room, size_t *ret_n);
