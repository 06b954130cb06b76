#pragma once
/* Compresses a day of log lines that has ended: <day>.ndjson becomes <day>.ndjson.zst, a seekable zstd file that any
 * zstd reads. Each frame holds about a mebibyte of whole lines, and a seek table at the end says where the frames
 * begin. Any thread that may block. Source: "Zstandard Seekable Format" 0.1.0; RFC 8878 for frames and skippable
 * frames. */

#include <stdbool.h>
#include <stdint.h>

#include "protocol/source.h"

/* Called between frames; true: give up. */
typedef bool (*log_compress_stop)(void *userdata);

struct log_compress_sizes {
        uint64_t plain_bytes, compressed_bytes;
};

/* The file is written beside its name, synced, read back and compared, and renamed; then the directory is synced. If
 * there is a .zst with the same lines already, nothing is written. The plain file stays. 0; LOG_COMPRESS_OTHER: there
 * is a .zst with other lines, and both files are left alone; LOG_COMPRESS_STOPPED; -ENOENT: no plain file; -EBADMSG:
 * what was written did not read back; -errno. Nothing new is left on failure. */
enum { LOG_COMPRESS_OTHER = 1, LOG_COMPRESS_STOPPED };
int log_compress_day(int datadir_fd, const struct source *source, const char *day, log_compress_stop stop,
                     void *userdata, struct log_compress_sizes *ret);
