#pragma once
/* Content-addressed files: crashes/by-hash/<2 hex>/<sha256>.bin below the data directory. A blob that is being received
 * has no name yet, so whatever ends early leaves nothing. Publishing gives it its name.
 *
 *     RECEIVING -> FINISHED -> PUBLISHED        finish; link
 *
 * Up to finish: the thread that receives (page cache only, no sync). Publishing and unlinking: the index writer's
 * thread alone, which is why a blob cannot be published and deleted at the same time. */

#include <stdbool.h>
#include <stdint.h>

#include "storage/blobs/draft.h"
#include "util/cleanup.h"

#define BLOB_HEX_SIZE 65  /* 64 hex digits + NUL */
#define BLOB_PATH_SIZE 96 /* "crashes/by-hash/ab/<64 hex>.bin" + NUL */

struct blob_store;

/* datadir_fd is borrowed and must stay open. Makes crashes/by-hash and tmp/, empties tmp/. 0 or -errno. */
int blob_store_new(int datadir_fd, struct blob_store **ret);
struct blob_store *blob_store_free(struct blob_store *s); /* NULL-safe; no writer may be alive */
DEFINE_FREEP(blob_store_free, struct blob_store)

unsigned blob_store_open_writers(const struct blob_store *s); /* any thread; for /metrics */

struct blob_writer;

/* 0 or -errno. */
int blob_writer_new(struct blob_store *s, struct blob_writer **ret);
struct blob_writer *blob_writer_free(struct blob_writer *w); /* NULL-safe; a blob without a name is gone */
DEFINE_FREEP(blob_writer_free, struct blob_writer)

/* Appends and hashes. 0 or -errno (-ENOSPC, -EDQUOT, -EIO). */
int blob_writer_write(struct blob_writer *w, const void *data, size_t len);
uint64_t blob_writer_len(const struct blob_writer *w);

/* No more bytes: writes what is left and fixes the hash. 0 or -errno, like write; then the writer can only be freed. */
int blob_writer_finish(struct blob_writer *w);
const char *blob_writer_sha256(const struct blob_writer *w); /* after finish: 64 lower-case hex digits */

/* Publishing, in this order, after finish: sync the data, link it to its name, sync the name. draft_sync_all() can take
 * the place of each sync, for many blobs at once. All return 0 or -errno. */

/* Is the blob stored already, whole? Then its data is durable, and only the name needs a sync: another upload may have
 * linked it a moment ago. */
int blob_writer_is_stored(const struct blob_writer *w, bool *ret);
int blob_writer_sync(struct blob_writer *w);
/* A new directory is owed a draft_sync_all(). *ret_existed: the blob was stored before, whole or not. */
int blob_writer_link(struct blob_writer *w, bool *ret_existed);
/* draft_sync_all() instead, where that is owed or the directory cannot be opened. What fails is final (failure.h). */
int blob_sync_name(struct blob_store *s, const char *sha256);
/* After the sync: gives the pages back to the system. */
void blob_writer_drop_pages(struct blob_writer *w);

struct draft_dir *blob_store_drafts(struct blob_store *s);

/* "crashes/by-hash/ab/<hex>.bin", relative to the data directory. Any thread, like the next three. */
void blob_path(const char *sha256, char ret[BLOB_PATH_SIZE]);
/* The hash in such a path, or in its last component alone. False: it has another form. */
bool blob_parse_path(const char *path, char ret[BLOB_HEX_SIZE]);
bool blob_parse_name(const char *name, char ret[BLOB_HEX_SIZE]);
/* Is a file of this length there? Says nothing about its bytes. */
bool blob_is_there(int datadir_fd, const char *sha256, uint64_t len);

/* Removes a blob. 0, -ENOENT or another -errno; *ret_len (may be NULL): its size. */
int blob_unlink(struct blob_store *s, const char *sha256, uint64_t *ret_len);
