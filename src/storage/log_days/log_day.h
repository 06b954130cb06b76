#pragma once
/* Reads the lines of one source and one day while the daemon may append to them, compress or delete them: from
 * <day>.ndjson, <day>.ndjson.zst, or both if they hold different lines (log_compress.h). An open file stays readable.
 * Any thread that may block, one at a time. Memory: one line, and two buffers of fixed size. */

#include <stdint.h>
#include <sys/types.h>

#include "protocol/source.h"
#include "util/cleanup.h"

struct log_day;

/* 0, -ENOENT: neither file is there, or -errno. */
int log_day_open(int datadir_fd, const struct source *source, const char *day, struct log_day **ret);
struct log_day *log_day_free(struct log_day *d); /* NULL-safe */
DEFINE_FREEP(log_day_free, struct log_day)

/* The size of the lines, uncompressed, when they were opened. A compressed file without a seek table is read for
 * that. */
int log_day_size(struct log_day *d, uint64_t *ret);

/* Goes on at this byte of the lines: only its frame has to be decompressed. After the end there is nothing. */
int log_day_seek(struct log_day *d, uint64_t offset);
/* Where the next line begins. */
uint64_t log_day_offset(const struct log_day *d);

/* LOG_DAY_LINE: a line without its newline, valid until the next call. 0: the end; what comes after the last newline is
 * still being written. -EBADMSG: a compressed file is damaged here. -errno. */
enum { LOG_DAY_LINE = 1 };
int log_day_next(struct log_day *d, const char **ret_line, size_t *ret_len);
uint64_t log_day_passed_over(const struct log_day *d); /* how many lines above LOG_LINES_MAX_BYTES */
