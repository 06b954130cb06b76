#pragma once
/* One closed day of log lines, <day>.ndjson, becomes <day>.ndjson.zst: a seekable zstd file, which any zstd reads whole.
 * Its frames hold about a mebibyte of whole lines each, and a seek table at the end says where they begin. Any thread that
 * may block. Source: "Zstandard Seekable Format" 0.1.0; RFC 8878 for frames and skippable frames. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asked between frames; true: give up. */
typedef bool (*log_compress_stop)(void *userdata);

/* Compresses dir/name (paths relative to datadir_fd) to dir/name.zst: written beside it, synced, read back and compared,
 * renamed, directory synced. When a whole .zst is there already with the same lines, nothing is written. The plain file
 * stays. 0: *ret_plain and *ret_compressed are their sizes; LOG_COMPRESS_OTHER: a .zst with other lines is there, and both
 * are left; LOG_COMPRESS_STOPPED; -ENOENT, -errno (nothing is left behind), -EBADMSG: what was written did not read back. */
enum { LOG_COMPRESS_OTHER = 1, LOG_COMPRESS_STOPPED };
int log_compress_file(int datadir_fd, const char *dir, const char *name, log_compress_stop stop, void *userdata,
                      uint64_t *ret_plain, uint64_t *ret_compressed);
