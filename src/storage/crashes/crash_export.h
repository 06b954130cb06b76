#pragma once
/* A stored crash as files: what is known of it, its dump, its attachments. Reads the index and the blobs, beside a
 * running daemon. Names are made of harmless characters, whatever the client called its files. One thread. */

#include <stdbool.h>
#include <stdint.h>

#include "storage/index/index.h"
#include "util/error.h"

#define CRASH_EXPORT_NAME_MAX 100 /* fits a tar's header */

/* Where files go: begin, data in pieces, end. A file that fails is not ended. 0, or < 0, which is returned with err. */
struct crash_export_sink {
        int (*begin)(void *userdata, const char *name, uint64_t len, struct moment mtime, struct error *err);
        int (*data)(void *userdata, const void *data, size_t len, struct error *err);
        int (*end)(void *userdata, struct error *err);
        void *userdata;
};

struct crash_export_options {
        bool decode;                /* undo the zstd and gzip that clients sent; other encodings stay as they are */
        uint64_t max_decoded_bytes; /* of one file */
};

/* crash-<id>/crash.json (as index_show_crash()), metadata.json (as the client sent it), dump.dmp or dump.bin, and
 * attachments/<position>-<its name>, with ".zst" or ".gz" at the end of what stays compressed. What will be decoded is
 * decoded twice, so that `begin` knows its length. -ENOENT: no such crash, or a blob is gone (err says which). */
int crash_export(struct index *x, int datadir_fd, int64_t id, const struct crash_export_options *options,
                 const struct crash_export_sink *sink, struct error *err);
