#pragma once
/* What proves and restores the index as a whole: verify, reindex, backup and import. Unlike everything else these read
 * whole tables, a page of rows at a time where they can, so that no reader holds a snapshot for long beside a daemon.
 * Errors as in index.h. */

#include "storage/index/index.h"

/* Words about something that is wrong. Other than 0 stops, and is returned. */
typedef int (*index_problem_cb)(void *userdata, const char *what, const char *problem);

/* PRAGMA integrity_check and foreign_key_check; what: "detritus.db" or a table. */
int index_check_database(struct index *x, index_problem_cb cb, void *userdata);

/* A blob's row, and its uses counted anew: by crashes and attachments, and as blob_use has them. Rows of blob_use that
 * are wrong, though their sum be right, are counted too. */
struct index_blob_count {
        const char *sha256;
        uint64_t len;
        int64_t refs, counted, in_blob_use, wrong_blob_use;
};
typedef int (*index_blob_count_cb)(void *userdata, const struct index_blob_count *count);
/* In the order of their hashes, behind one. Each row's figures are of one moment. */
int index_count_blobs(struct index *x, const char *sha256, unsigned max, index_blob_count_cb cb, void *userdata);
/* Each project whose row of usage or crash_count is wrong. Reads everything. */
int index_check_usage(struct index *x, index_problem_cb cb, void *userdata);
/* Counted anew, in the transaction that is open, else in one of its own: refs and blob_use of one blob, by index; usage,
 * which changes when those do, and crash_count, from everything. */
int index_recount_blob(struct index *x, const char *sha256);
int index_recount_usage(struct index *x);

/* -ENOENT: there is no such row. */
int index_find_blob(struct index *x, const char *sha256, uint64_t *ret_len);

struct index_log_row {
        int64_t source_id;
        const char *project, *install_id, *day;
        uint64_t bytes;
        bool compressed;
};
typedef int (*index_log_row_cb)(void *userdata, const struct index_log_row *row);
/* Every log file, in the order of day and source, behind one. */
int index_log_files_behind(struct index *x, const char *day, int64_t source_id, unsigned max, index_log_row_cb cb,
                           void *userdata);
/* -ENOENT: there is no such row. cb's result otherwise. */
int index_find_log_file(struct index *x, const struct source *source, const char *day, index_log_row_cb cb,
                        void *userdata);
/* A file that is plain again, with so many bytes; its lines count as uncounted. */
int index_mark_plain(struct index *x, int64_t source_id, const char *day, uint64_t bytes);

/* Rows of each table, for progress and manifests. */
struct index_totals {
        uint64_t crashes, blobs, log_files, sources;
};
int index_count_all(struct index *x, struct index_totals *ret);

/* Copies the database, as it is at one moment, into a new file that must not exist: SQLite's online backup. It holds a
 * snapshot until it is done. The file is not synced. progress (may be NULL) is told pages. */
typedef void (*index_progress)(void *userdata, uint64_t done, uint64_t all);
int index_copy_to(struct index *x, const char *path, index_progress progress, void *userdata);

/* Forgets a blob with every crash that uses it: for a copy, whose original has deleted them. Inside a transaction. */
int index_forget_blob(struct index *x, const char *sha256);
/* The file alone holds everything then, as it must before it is renamed: closing does the same, but tells no failure. */
int index_checkpoint_whole(struct index *x);
/* Makes one plain file of the database, readable on media that cannot be written; opening it for writing undoes that. */
int index_leave_wal(struct index *x);

/* Takes from a database that index_copy_to() made what JSON files cannot tell of crashes and log files that both have: when
 * a crash was received (the earlier one), whether it is held, how many lines a file has, and sources. */
int index_take_over(struct index *x, const char *copy_path);
