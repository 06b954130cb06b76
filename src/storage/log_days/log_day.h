#pragma once
/* One source's lines of one day, read while the daemon may append to them, compress or delete them: from
 * <day>.ndjson, <day>.ndjson.zst, or both where they hold different lines (log_compress.h). What was open stays readable.
 * Any thread that may block, one at a time. Memory: one line, and two buffers of fixed size. */

#include <stdint.h>
#include <sys/types.h>

#include "protocol/source.h"
#include "util/cleanup.h"

struct log_day;

/* -ENOENT: neither file is there. -errno. */
int log_day_open(int datadir_fd, const struct source *source, const char *day, struct log_day **ret);
struct log_day *log_day_free(struct log_day *d); /* NULL-safe */
DEFINE_FREEP(log_day_free, struct log_day)

/* Bytes of lines, as they are before compression, when it was opened. A compressed file that does not say is read. */
int log_day_size(struct log_day *d, uint64_t *ret);

/* Goes on at this byte of the lines: only the frame it is in has to be decompressed. Behind the end is the end. */
int log_day_seek(struct log_day *d, uint64_t offset);
/* Where the line begins that comes next. */
uint64_t log_day_offset(const struct log_day *d);

/* LOG_DAY_LINE: a line without its newline, good until the next call. 0: the end; what is behind the last newline is
 * still being written. -EBADMSG: a compressed file is broken here. -errno. */
enum { LOG_DAY_LINE = 1 };
int log_day_next(struct log_day *d, const char **ret_line, size_t *ret_len);
uint64_t log_day_passed_over(const struct log_day *d); /* lines above LOG_LINES_MAX_BYTES */
