#pragma once
/* The JSON index files of the reference, kept beside the database for compatibility:
 * crashes/by-source/<project>/<install_id>/<stamp>-<sha256>.json. Index writer's thread. All return 0 or -errno. */

#include <stdbool.h>

#include "storage/blobs/blob.h"
#include "storage/blobs/draft.h"
#include "storage/index/index.h"
#include "util/buf.h"

#define MIRROR_PATH_SIZE 512

/* The path of a report's file, relative to the data directory. */
void mirror_path(const struct source *source, struct moment timestamp, const char *dump_sha256,
                 char ret[MIRROR_PATH_SIZE]);

/* The reverse. False when the path is not of that form; a true one need not be what mirror_path() would say. */
bool mirror_parse_path(const char *path, struct source *ret_source, struct moment *ret_timestamp,
                       char ret_dump_sha256[BLOB_HEX_SIZE]);

/* The file's content: pretty-printed JSON in the reference's key order. */
int mirror_render(const struct index_crash *crash, struct buf *out);

/* Renders and writes it atomically (temporary file, sync, rename, directory sync). Its mtime is received_at. */
int mirror_write(int datadir_fd, const struct index_crash *crash);

/* The same in steps, for many: the content is written, unsynced; once it is synced it gets its name, which is not. */
int mirror_draft(struct draft_dir *drafts, const struct index_crash *crash, struct draft *ret);
int mirror_link(struct draft *f, const struct index_crash *crash);
int mirror_link_as(struct draft *f, const char *path); /* what mirror_path() says */
