/* Runs the statements of sql/queries/ (index_statements.h, made by tools/embed-sql). Each is prepared at its first use
 * and kept; its parameters are set in one go, and it is reset at the end, so that none keeps a snapshot.
 *
 * Failure modes: what SQLite says is logged and becomes -errno, of which -EIO alone is final (failure.h). */
#include <errno.h>
#include <string.h>

#include "storage/index/index_internal.h"
#include "util/files/failure.h"
#include "util/log.h"

/* ---- errors ---- */

/* errno of the last failed call on the database or on its WAL (sqlite3_system_errno() may be of a later call). */
static int last_errno(struct index *x, int which)
{
        sqlite3_file *f = NULL;
        int error = 0;
        sqlite3_file_control(x->db, "main", which, &f);
        if (f && f->pMethods)
                f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &error);
        return error;
}

/* SQLITE_FULL is ENOSPC alone: a quota comes as an I/O error, and so does a -shm file that cannot grow, which holds
 * nothing durable. A write that found no space may be tried again, unlike a sync. */
static bool found_no_space(struct index *x, int code)
{
        if (code == SQLITE_IOERR_SHMSIZE)
                return true;
        int main_file = last_errno(x, SQLITE_FCNTL_FILE_POINTER), wal = last_errno(x, SQLITE_FCNTL_JOURNAL_POINTER);
        return code == SQLITE_IOERR_WRITE && (main_file == 0 || main_file == EDQUOT) && (wal == 0 || wal == EDQUOT) &&
               main_file + wal > 0;
}

static bool is_passing(int error)
{
        return error == 0 || failure_of(FAILURE_WRITE, -error) != FAILURE_FINAL;
}

/* On the database or on its WAL: the errno of the other one may be old. */
static int translate_write(struct index *x)
{
        int main_file = last_errno(x, SQLITE_FCNTL_FILE_POINTER), wal = last_errno(x, SQLITE_FCNTL_JOURNAL_POINTER);
        if (!is_passing(main_file) || !is_passing(wal) || main_file + wal == 0)
                return -EIO;
        return wal ? -wal : -main_file;
}

/* Only what is said of written data is final: -EIO (failure.h, FAILURE_WRITE). A lock, a mapping or a read that failed
 * has lost nothing. */
static int translate_io(struct index *x, int code)
{
        switch (code) {
        case SQLITE_IOERR_WRITE: return translate_write(x);
        case SQLITE_IOERR_FSYNC:
        case SQLITE_IOERR_DIR_FSYNC:
        case SQLITE_IOERR_DATA: return -EIO;
        case SQLITE_IOERR_NOMEM: return -ENOMEM;
        default: return -EAGAIN;
        }
}

static int translate(struct index *x, int code)
{
        if (found_no_space(x, code))
                return -ENOSPC;
        switch (code & 0xFF) {
        case SQLITE_FULL: return -ENOSPC;
        case SQLITE_IOERR: return translate_io(x, code);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return -EIO; /* it must not be written to any more */
        case SQLITE_NOMEM: return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return -EBUSY;
        case SQLITE_CANTOPEN: return sqlite3_system_errno(x->db) ? -sqlite3_system_errno(x->db) : -EAGAIN;
        case SQLITE_READONLY:
        case SQLITE_PERM: return -EACCES;
        case SQLITE_CONSTRAINT:
        case SQLITE_TOOBIG: return -EINVAL;
        default: return -EPROTO;
        }
}

int index_failed(struct index *x, const char *doing)
{
        int code = sqlite3_extended_errcode(x->db);
        log_warn("the index failed", LOG_STR("doing", doing), LOG_STR("sqlite", sqlite3_errmsg(x->db)),
                 LOG_INT("code", code));
        return translate(x, code);
}

int index_execute(struct index *x, const char *sql)
{
        return sqlite3_exec(x->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : index_failed(x, sql);
}

bool index_in_transaction(struct index *x)
{
        return !sqlite3_get_autocommit(x->db);
}

/* ---- running ---- */

static int bind_time(sqlite3_stmt *s, int at, struct moment time, unsigned digits)
{
        char text[CLOCK_RFC3339_SIZE];
        clock_format_fixed(time, digits, text);
        return sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

/* Fails only where a copy finds no memory. */
static int bind(sqlite3_stmt *s, int at, const struct index_arg *arg)
{
        switch (arg->kind) {
        case INDEX_ARG_TEXT: return sqlite3_bind_text(s, at, arg->text, -1, SQLITE_STATIC);
        case INDEX_ARG_COPY: return sqlite3_bind_text(s, at, arg->text, -1, SQLITE_TRANSIENT);
        case INDEX_ARG_INT: return sqlite3_bind_int64(s, at, arg->integer);
        case INDEX_ARG_RECEIVED: return bind_time(s, at, arg->time, INDEX_RECEIVED_DIGITS);
        case INDEX_ARG_CRASHED: return bind_time(s, at, arg->time, 9);
        }
        return SQLITE_MISUSE;
}

static int prepare(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                   sqlite3_stmt **ret)
{
        const char *sql = index_statements[which].sql;
        sqlite3_stmt **s = &x->prepared[which];
        assert(which < INDEX_STATEMENT_MAX_);
        assert_on_thread(&x->owner);
        if (!*s && sqlite3_prepare_v3(x->db, sql, -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK)
                return index_failed(x, sql);
        assert(!sqlite3_stmt_busy(*s)); /* a callback must not run the statement that calls it */
        assert((size_t)sqlite3_bind_parameter_count(*s) == n);
        for (size_t i = 0; i < n; i++) {
                if (bind(*s, (int)i + 1, &args[i]) != SQLITE_OK)
                        return -ENOMEM;
        }
        *ret = *s;
        return 0;
}

int index_prepare(struct index *x, enum index_statement which)
{
        sqlite3_stmt *s;
        return prepare(x, which, NO_ARGS, &s);
}

int index_each(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, index_row_cb cb,
               void *userdata)
{
        sqlite3_stmt *s;
        int step = SQLITE_ROW, r = prepare(x, which, args, n, &s);
        if (r < 0)
                return r;
        while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
                r = cb ? cb(userdata, s) : 0;
        if (r == 0 && step != SQLITE_DONE)
                r = index_failed(x, index_statements[which].sql);
        sqlite3_reset(s);
        return r;
}

int index_run(struct index *x, enum index_statement which, const struct index_arg *args, size_t n)
{
        return index_each(x, which, args, n, NULL, NULL);
}

int index_first(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, index_row_cb cb,
                void *userdata)
{
        sqlite3_stmt *s;
        int r = prepare(x, which, args, n, &s);
        if (r < 0)
                return r;
        int step = sqlite3_step(s);
        if (step == SQLITE_ROW)
                r = cb(userdata, s);
        else
                r = step == SQLITE_DONE ? -ENOENT : index_failed(x, index_statements[which].sql);
        sqlite3_reset(s);
        return r;
}

static int any_row(_unused_ void *userdata, _unused_ sqlite3_stmt *row)
{
        return 0;
}

int index_exists(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, bool *ret)
{
        int r = index_first(x, which, args, n, any_row, NULL);
        if (r == 0 || r == -ENOENT)
                *ret = r == 0;
        return r == -ENOENT ? 0 : r;
}

static int take_number(void *userdata, sqlite3_stmt *row)
{
        *(int64_t *)userdata = sqlite3_column_int64(row, 0);
        return 0;
}

int index_number(struct index *x, enum index_statement which, const struct index_arg *args, size_t n, int64_t *ret)
{
        return index_first(x, which, args, n, take_number, ret);
}

/* ---- rows ---- */

const char *index_text(sqlite3_stmt *s, int column)
{
        return (const char *)sqlite3_column_text(s, column);
}

uint64_t index_count(sqlite3_stmt *s, int column)
{
        int64_t n = sqlite3_column_int64(s, column);
        return n < 0 ? 0 : (uint64_t)n;
}

struct crash_rows {
        index_crash_cb cb;
        void *userdata;
};

static int hand_out_crash(void *userdata, sqlite3_stmt *s)
{
        const struct crash_rows *rows = userdata;
        const struct index_crash_row row = {
                .id = sqlite3_column_int64(s, 0),
                .project = index_text(s, 1),
                .install_id = index_text(s, 2),
                .crashed_at = index_text(s, 3),
                .dump_sha256 = index_text(s, 4),
                .held = sqlite3_column_int(s, 5) != 0,
        };
        bool whole = row.project && row.install_id && row.crashed_at && row.dump_sha256;
        return whole ? rows->cb(rows->userdata, &row) : -ENOMEM;
}

int index_each_crash(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                     index_crash_cb cb, void *userdata)
{
        struct crash_rows rows = { cb, userdata };
        return index_each(x, which, args, n, hand_out_crash, &rows);
}

int index_first_crash(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                      index_crash_cb cb, void *userdata)
{
        struct crash_rows rows = { cb, userdata };
        return index_first(x, which, args, n, hand_out_crash, &rows);
}

struct log_file_rows {
        index_log_file_cb cb;
        void *userdata;
};

static int hand_out_log_file(void *userdata, sqlite3_stmt *s)
{
        const struct log_file_rows *rows = userdata;
        const struct index_log_file row = {
                .source_id = sqlite3_column_int64(s, 0),
                .project = index_text(s, 1),
                .install_id = index_text(s, 2),
                .day = index_text(s, 3),
                .bytes = index_count(s, 4),
                .compressed = sqlite3_column_int(s, 5) != 0,
        };
        return row.project && row.install_id && row.day ? rows->cb(rows->userdata, &row) : -ENOMEM;
}

int index_each_log_file(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                        index_log_file_cb cb, void *userdata)
{
        struct log_file_rows rows = { cb, userdata };
        return index_each(x, which, args, n, hand_out_log_file, &rows);
}

int index_first_log_file(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                         index_log_file_cb cb, void *userdata)
{
        struct log_file_rows rows = { cb, userdata };
        return index_first(x, which, args, n, hand_out_log_file, &rows);
}

struct blob_rows {
        index_blob_cb cb;
        void *userdata;
};

static int hand_out_blob(void *userdata, sqlite3_stmt *s)
{
        const struct blob_rows *rows = userdata;
        const char *sha256 = index_text(s, 0);
        return sha256 ? rows->cb(rows->userdata, sha256, index_count(s, 1)) : -ENOMEM;
}

int index_each_blob(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                    index_blob_cb cb, void *userdata)
{
        struct blob_rows rows = { cb, userdata };
        return index_each(x, which, args, n, hand_out_blob, &rows);
}
