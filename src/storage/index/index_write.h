#pragma once
/* What the one writer does to the index: transactions, reports, log files, the last use of tokens. Its thread alone. */

#include "storage/index/index.h"

/* Invariants, asserted:
 *   1. After index_write_take() only that thread calls any function of the index.
 *   2. Transactions do not nest: index_begin() outside of one, savepoints inside. On some errors, a full disk among
 *      them, SQLite undoes the transaction by itself. Then index_commit() returns -ECANCELED, and index_rollback() does
 *      nothing.
 *   3. Reports are inserted inside a transaction; checkpoints come outside. */

/* From now on the calling thread alone calls this index; with release, any thread may again. */
void index_write_take(struct index *x);
void index_write_release(struct index *x);

int index_begin(struct index *x);
int index_commit(struct index *x);
void index_rollback(struct index *x);
/* For one report inside a batch: undone alone when it fails. */
int index_savepoint(struct index *x);
int index_release(struct index *x);
int index_rollback_to(struct index *x); /* -ECANCELED: SQLite has undone the whole transaction already */

/* Runs a PASSIVE checkpoint when the WAL holds 1,000 pages or more, TRUNCATE past 16 MiB. */
int index_checkpoint_if_due(struct index *x);
/* A TRUNCATE one now. */
int index_cut_wal(struct index *x);
/* Bytes of the WAL, and whether the last checkpoint was held up by a reader. */
uint64_t index_wal_bytes(const struct index *x);
bool index_wal_is_held(const struct index *x);
/* Which process reads an old state of the database now: its pid, or 0 when none is found. Reads /proc/locks. */
pid_t index_wal_find_reader(const struct index *x);

/* A PASSIVE one now, on a full disk: afterwards the WAL starts over, in the space that it has. What a transaction wrote
 * there in vain is freed first, for the database. */
int index_checkpoint(struct index *x);

/* Source upserted, blobs upserted, crash and attachments inserted; triggers count references. */
int index_insert_crash(struct index *x, const struct index_crash *crash);

/* A file found on disk that no crash uses. A row that exists is kept. */
int index_add_blob(struct index *x, const char *sha256, uint64_t len, struct moment created_at);

/* What is known of a source's log file of a day, and what its newest line says of the source. */
struct index_log_file_totals {
        const struct source *source;
        const char *platform, *version; /* "": not known */
        const char *day;
        uint64_t bytes;      /* the whole file's */
        uint64_t lines_more; /* since the last call */
        struct moment seen_at;
};
int index_upsert_log_file(struct index *x, const struct index_log_file_totals *totals);

/* A file found on disk that the index may not know; its lines stay uncounted. A row that exists is kept, but becomes
 * compressed. */
int index_add_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                       struct moment seen_at);
int index_add_compressed_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                                  struct moment seen_at);

/* Corrects the totals of a file that has a row: its size, and lines that were not counted; of a file of which no byte
 * was known these are all. */
int index_correct_log_file(struct index *x, int64_t source_id, const char *day, uint64_t bytes, uint64_t lines_more);
/* Its lines are in a compressed file of `bytes` now. */
int index_mark_compressed(struct index *x, int64_t source_id, const char *day, uint64_t bytes);
/* The file is plain again, with `bytes`; its lines count as uncounted. */
int index_mark_plain(struct index *x, int64_t source_id, const char *day, uint64_t bytes);

/* A token of this id was shown and found good. An older time than is there changes nothing. */
int index_upsert_token_use(struct index *x, const char *token_id, struct moment at);
