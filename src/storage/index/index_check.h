#pragma once
/* What verifies and repairs the index as a whole. Unlike everything else these functions read whole tables, a page of
 * rows at a time where they can, so that no reader holds a snapshot for long beside a daemon. */

#include "storage/index/index.h"

/* Words about something that is wrong. Other than 0 stops, and is returned. */
typedef int (*index_problem_cb)(void *userdata, const char *what, const char *problem);

/* About how many of the database's pages have been read. */
typedef void (*index_pages_cb)(void *userdata, uint64_t done, uint64_t all);
/* PRAGMA integrity_check and foreign_key_check; what: "detritus.db" or a table. pages is called now and then; it may be
 * NULL. */
int index_check_database(struct index *x, index_problem_cb cb, index_pages_cb pages, void *userdata);
/* Each project whose row of usage or crash_count is wrong. Reads everything. */
int index_check_usage(struct index *x, index_problem_cb cb, void *userdata);

/* A blob's row, and its uses counted again: by crashes and attachments, and as blob_use has them. Rows of blob_use that
 * are wrong, though their sum is right, are counted too. */
struct index_blob_count {
        const char *sha256;
        uint64_t len;
        int64_t refs, counted, in_blob_use, wrong_blob_use;
};
typedef int (*index_blob_count_cb)(void *userdata, const struct index_blob_count *count);
/* In the order of their hashes, after one. Each row's figures are of one moment. */
int index_count_blobs(struct index *x, const char *sha256, unsigned max, index_blob_count_cb cb, void *userdata);

/* Counted again, in the transaction that is open, else in one of its own: refs and blob_use of one blob, by index;
 * usage, which changes when those do, and crash_count, from everything. */
int index_recount_blob(struct index *x, const char *sha256);
int index_recount_usage(struct index *x);

/* Rows of each table, for progress and manifests. */
struct index_totals {
        uint64_t crashes, blobs, log_files, sources;
};
int index_count_all(struct index *x, struct index_totals *ret);
