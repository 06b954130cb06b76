#pragma once
/* What the files of the index share: index.c opens and closes it, index_statement.c runs statements, index_wal.c cares
 * for the WAL; the others are the headers' of the same names. */

#include <sqlite3.h>

#include "index_statements.h" /* made of sql/queries/ */
#include "storage/index/index.h"
#include "util/thread_owner.h"

/* What SQLite may do for a statement. A test asks it. */
enum index_plan {
        INDEX_PLAN_BY_INDEX, /* everything by index, in the index's order */
        INDEX_PLAN_SORTS,    /* it may sort what it found by index, which is little */
        INDEX_PLAN_SCANS,    /* it reads whole tables, once, in a command */
        INDEX_PLAN_NONE,     /* there is none */
};

struct index_statement_text {
        enum index_plan plan;
        const char *sql;
};
extern const struct index_statement_text index_statements[INDEX_STATEMENT_MAX_];

struct index {
        sqlite3 *db;
        sqlite3_stmt *prepared[INDEX_STATEMENT_MAX_]; /* each made at its first use */
        struct thread_owner owner;                    /* a writer's */
        bool writable;
        int shm_fd;             /* a writer's (index_wal.c); closed after db */
        int wal_pages;          /* in the WAL after the last commit */
        int checkpointed_pages; /* what it held at our last checkpoint */
        bool wal_held;          /* by a reader, when the last checkpoint was made */
};

#define INDEX_BUSY_TIMEOUT_MS 5000

/* ---- statements: index_statement.c ---- */

/* Logs SQLite's words and translates its code. */
int index_failed(struct index *x, const char *doing);
/* Several statements, without parameters or rows, prepared for once: PRAGMAs and migrations. */
int index_execute(struct index *x, const char *sql);
bool index_in_transaction(struct index *x);

/* What a parameter is set to, in the order of ?1, ?2, … */
struct index_arg {
        enum { INDEX_ARG_TEXT, INDEX_ARG_COPY, INDEX_ARG_INT, INDEX_ARG_RECEIVED, INDEX_ARG_CRASHED } kind;
        union {
                const char *text;
                int64_t integer;
                struct moment time;
        };
};

/* Text that outlives the statement's run; NULL: NULL. */
static inline struct index_arg arg_text(const char *text)
{
        return (struct index_arg){ .kind = INDEX_ARG_TEXT, .text = text };
}

/* Text that the callback may change, such as where the next page begins. */
static inline struct index_arg arg_copy(const char *text)
{
        return (struct index_arg){ .kind = INDEX_ARG_COPY, .text = text };
}

static inline struct index_arg arg_int(int64_t integer)
{
        return (struct index_arg){ .kind = INDEX_ARG_INT, .integer = integer };
}

/* A time of ours, in milliseconds. */
static inline struct index_arg arg_received(struct moment time)
{
        return (struct index_arg){ .kind = INDEX_ARG_RECEIVED, .time = time };
}

/* A client's time, in nanoseconds: part of a report's identity. */
static inline struct index_arg arg_crashed(struct moment time)
{
        return (struct index_arg){ .kind = INDEX_ARG_CRASHED, .time = time };
}

#define INDEX_RECEIVED_DIGITS 3

/* For the two parameters `args` and `n`: every parameter of the statement, no more. */
#define ARGS(...)                                                                                                      \
        (const struct index_arg[]){ __VA_ARGS__ },                                                                     \
                sizeof((const struct index_arg[]){ __VA_ARGS__ }) / sizeof(struct index_arg)
#define NO_ARGS NULL, 0

/* Prepares a statement without parameters, so that running it later needs no memory. 0 or -errno. */
int index_prepare(struct index *x, enum index_statement which);

/* Runs a statement without rows. 0 or -errno. */
int index_run(struct index *x, enum index_statement which, const struct index_arg *args, size_t n);

/* Calls cb for each row; what cb returns other than 0 ends it, and is returned. The statement is over afterwards,
 * whatever happened. */
typedef int (*index_row_cb)(void *userdata, sqlite3_stmt *row);
int index_each(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, index_row_cb cb,
               void *userdata);
/* The same for the first row alone. -ENOENT: there is none. */
int index_first(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, index_row_cb cb,
                void *userdata);

/* Is there a row? */
int index_exists(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, bool *ret);
/* The first column of the first row. -ENOENT. */
int index_number(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, int64_t *ret);

/* Rows made of {crash_row}, {log_file_row}, and (sha256, len), in sql/queries/. */
int index_each_crash(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                     index_crash_cb cb, void *userdata);
int index_each_log_file(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                        index_log_file_cb cb, void *userdata);
int index_each_blob(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                    index_blob_cb cb, void *userdata);

/* The first alone. -ENOENT. */
int index_first_crash(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                      index_crash_cb cb, void *userdata);
int index_first_log_file(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                         index_log_file_cb cb, void *userdata);

const char *index_text(sqlite3_stmt *s, int column); /* NULL: NULL, or no memory */
uint64_t index_count(sqlite3_stmt *s, int column);   /* below 0 is 0 */

/* ---- the WAL: index_wal.c ---- */

/* Notes from now on how long the WAL is. */
void index_wal_watch(struct index *x);
/* Makes sure that the -shm file of the database at path has its blocks. The descriptor is kept, since closing any drops
 * the locks that SQLite has on the file (fcntl(2)). 0 or -errno. */
int index_wal_keep_shm(struct index *x, const char *path);
/* mode: SQLITE_CHECKPOINT_*. 0, also when a reader holds it up, or -errno. */
int index_wal_checkpoint(struct index *x, int mode);
