#pragma once
/* What the index's files share: index_open.c (life), index.c (what the index writer does), index_janitor.c (retention),
 * index_read.c (what people and the mirror read), index_list.c (lists for people). */

#include <sqlite3.h>

#include "storage/index/index.h"

enum index_statement {
        INDEX_BEGIN,
        INDEX_COMMIT,
        INDEX_ROLLBACK,
        INDEX_SAVEPOINT,
        INDEX_RELEASE,
        INDEX_ROLLBACK_TO,
        INDEX_HAS_CRASH,
        INDEX_UPSERT_SOURCE,
        INDEX_UPSERT_BLOB,
        INDEX_INSERT_CRASH,
        INDEX_INSERT_ATTACHMENT,
        INDEX_HAS_BLOB,
        INDEX_ADD_BLOB,
        INDEX_UPSERT_LOG_FILE,
        INDEX_HAS_LOG_FILE,
        INDEX_ADD_LOG_FILE,
        INDEX_CORRECT_LOG_FILE,
        INDEX_MARK_COMPRESSED,
        INDEX_UPSERT_TOKEN_USE,
        INDEX_PLAIN_LOG_FILES,
        INDEX_EXPIRED_CRASHES,
        INDEX_ORPHAN_BLOBS,
        INDEX_EXPIRED_LOG_FILES,
        INDEX_USAGE,
        INDEX_PROJECT_CRASHES,
        INDEX_PROJECT_LOG_FILES,
        INDEX_DELETE_CRASH,
        INDEX_DELETE_BLOB,
        INDEX_DELETE_LOG_FILE,
        INDEX_CRASHES_BEHIND,
        INDEX_BLOBS_BEHIND,
        INDEX_NEWEST_LOG_FILES,
        INDEX_READ_CRASH,
        INDEX_READ_ATTACHMENTS,
        INDEX_WALK_BY_TIME,
        INDEX_WALK_BY_PROJECT,
        INDEX_WALK_BY_VERSION,
        INDEX_WALK_BY_PLATFORM,
        INDEX_WALK_BY_KIND,
        INDEX_WALK_BY_INSTALL,
        INDEX_COUNT_BY_PROJECT,
        INDEX_COUNT_BY_VERSION,
        INDEX_COUNT_BY_PLATFORM,
        INDEX_COUNT_BY_KIND,
        INDEX_COUNT_BY_INSTALL,
        INDEX_NEW_CRASHES,
        INDEX_NEWEST_CRASH,
        INDEX_DATA_VERSION,
        INDEX_LIST_CRASH,
        INDEX_SHOW_CRASH,
        INDEX_FIND_CRASHES,
        INDEX_LIST_SOURCES,
        INDEX_SHOW_SOURCE,
        INDEX_FIND_SOURCES,
        INDEX_TOKEN_USES,
        INDEX_CRASH_BY_ID,
        INDEX_SET_HELD,
        INDEX_PURGE_PROJECT,
        INDEX_PURGE_SOURCE,
        INDEX_SOURCE_LOG_FILES,
        INDEX_PROJECT_SOURCES,
        INDEX_DELETE_SOURCE,
        INDEX_COUNTS,
        INDEX_LOG_ACTIVITY,
        INDEX_CRASH_ACTIVITY, /* this and the next ones sort what they look at, which is bounded or what would go */
        INDEX_SURVEY_EXPIRED,
        INDEX_SURVEY_PROJECT,
        INDEX_SURVEY_SOURCE,
        INDEX_SURVEY_ORPHANS,
        INDEX_SURVEY_LOGS,
        INDEX_SURVEY_PROJECT_LOGS,
        INDEX_SURVEY_SOURCE_LOGS,
        INDEX_STATEMENT_MAX_
};

extern const char *const index_statements[INDEX_STATEMENT_MAX_];

#define INDEX_RECEIVED_DIGITS 3 /* our own times: milliseconds */
#define INDEX_CRASHED_DIGITS 9  /* the client's: part of a report's identity */

#define INDEX_BUSY_TIMEOUT_MS 5000

struct index {
        sqlite3 *db;
        sqlite3_stmt *prepared[INDEX_STATEMENT_MAX_]; /* each made at its first use */
        bool writable;
        int shm_fd;             /* a writer's (index_wal.c); closed behind db */
        bool bind_failed;       /* of the statement prepared last: it must not run */
        int wal_pages;          /* in the WAL after the last commit */
        int checkpointed_pages; /* what it held at our last checkpoint */
};

/* index_wal.c. Notes from now on how long the WAL is. */
void index_wal_watch(struct index *x);
/* Sees to it that the -shm file of the database at path has its blocks. The descriptor is kept, since closing any drops the
 * locks that SQLite has on the file (fcntl(2)). 0 or -errno. */
int index_wal_keep_shm(struct index *x, const char *path);
/* mode: SQLITE_CHECKPOINT_*. 0, also when a reader holds it up, or -errno. */
int index_wal_checkpoint(struct index *x, int mode);

/* Logs SQLite's words and translates its code. */
int index_failed(struct index *x, const char *doing);

/* The statement, reset and without parameters. Text bound to it must live until it is done. */
int index_prepare(struct index *x, enum index_statement which, sqlite3_stmt **ret);
void index_bind_text(sqlite3_stmt *s, int at, const char *text); /* NULL binds NULL */
/* The same for text that the callback of the very statement may change, such as where the next page begins. */
void index_bind_copy(struct index *x, sqlite3_stmt *s, int at, const char *text);
void index_bind_int(sqlite3_stmt *s, int at, int64_t value);
void index_bind_time(struct index *x, sqlite3_stmt *s, int at, struct moment time, unsigned digits);

/* INDEX_ROW: there is a row. 0: done. -errno. A statement left before 0 must be reset, else it keeps its snapshot. */
enum { INDEX_ROW = 1 };
int index_step(struct index *x, sqlite3_stmt *s);
/* For statements without rows. */
int index_run(struct index *x, sqlite3_stmt *s);
const char *index_text(sqlite3_stmt *s, int column);

/* The JSON text of the one row that a statement has for ?1, copied. -ENOENT. */
int index_hand_out(struct index *x, enum index_statement which, int64_t id, index_json_cb cb, void *userdata);
/* The first column of all rows; the statement's LIMIT fits ret_ids. */
int index_take_ids(struct index *x, sqlite3_stmt *s, int64_t *ret_ids, size_t *ret_n);
