#pragma once
/* Reads the lines of one log file, plain or compressed, in bounded memory. Any thread that may block. */

#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define LOG_LINES_MAX_BYTES ((size_t)64 << 20) /* of one line and its newline: far above limits.otlp_line_bytes */

struct log_lines;

/* path is relative to dirfd; a file that ends in .zst is decompressed. A plain file is read up to the size it has now.
 * 0 or -errno. */
int log_lines_open(int dirfd, const char *path, struct log_lines **ret);
struct log_lines *log_lines_free(struct log_lines *l); /* NULL-safe */
DEFINE_FREEP(log_lines_free, struct log_lines)

/* The next whole line without its newline, valid until the next call. LOG_LINES_LINE, LOG_LINES_TORN (what comes after
 * the last newline; then 0), 0 at the end, LOG_LINES_TOO_LONG, -EBADMSG (not zstd, or cut short), -ENOMEM, -errno. */
enum { LOG_LINES_LINE = 1, LOG_LINES_TORN, LOG_LINES_TOO_LONG };
int log_lines_next(struct log_lines *l, const char **ret_line, size_t *ret_len);

/* What a file holds between two offsets. */
struct log_lines_content {
        uint64_t lines;         /* newlines */
        uint64_t hole;          /* the first zero byte, which no line holds; else the second offset */
        uint64_t lines_to_hole; /* newlines in front of it */
};

/* 0 or -errno (-EIO: the file is shorter). */
int log_lines_count(int fd, uint64_t from, uint64_t to, struct log_lines_content *ret);
