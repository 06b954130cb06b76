/* The connection cannot write its database. Whatever else a statement could do is refused before it runs: an ATTACH
 * would reach other files, a VACUUM INTO would make one, a PRAGMA with an argument may change how the connection
 * behaves. */
#include "storage/index/index_query.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "storage/index/index_internal.h"
#include "util/text/hex.h"

/* PRAGMAs with an argument that only read. */
static bool only_reads(const char *pragma)
{
        static const char *const names[] = { "table_info",      "table_xinfo", "index_list",
                                             "index_info",      "index_xinfo", "foreign_key_list",
                                             "integrity_check", "quick_check", "foreign_key_check" };
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (sqlite3_stricmp(pragma, names[i]) == 0)
                        return true;
        }
        return false;
}

static int authorize(_unused_ void *userdata, int action, const char *first, const char *second,
                     _unused_ const char *database, _unused_ const char *trigger)
{
        switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_FUNCTION:
        case SQLITE_RECURSIVE: return SQLITE_OK;
        case SQLITE_PRAGMA: return second && !only_reads(first) ? SQLITE_DENY : SQLITE_OK;
        default: return SQLITE_DENY;
        }
}

static bool is_blank(const char *sql)
{
        while (isspace((unsigned char)*sql) || *sql == ';')
                sql++;
        return *sql == '\0';
}

static int refuse_query(struct index *x, struct error *err)
{
        error_set(err, "%s",
                  sqlite3_errcode(x->db) == SQLITE_AUTH ? "only statements that read are allowed"
                                                        : sqlite3_errmsg(x->db));
        return INDEX_QUERY_REFUSED;
}

/* Only a comment may follow the statement; a comment prepares to nothing. */
static int prepare(struct index *x, const char *sql, sqlite3_stmt **ret, struct error *err)
{
        sqlite3_stmt *more = NULL;
        const char *rest;
        if (sqlite3_prepare_v2(x->db, sql, -1, ret, &rest) != SQLITE_OK)
                return refuse_query(x, err);
        if (*ret && !is_blank(rest)) {
                bool nothing = sqlite3_prepare_v2(x->db, rest, -1, &more, NULL) == SQLITE_OK && !more;
                sqlite3_finalize(more);
                if (!nothing) {
                        error_set(err, "one statement at a time");
                        return INDEX_QUERY_REFUSED;
                }
        }
        if (!*ret || !sqlite3_stmt_readonly(*ret)) {
                error_set(err, *ret ? "only statements that read are allowed" : "there is no statement");
                return INDEX_QUERY_REFUSED;
        }
        return 0;
}

static int hand_out_columns(sqlite3_stmt *s, const struct index_query_sink *sink)
{
        int n = sqlite3_column_count(s), r = 0;
        _cleanup_(freep) const char **names = calloc((size_t)n + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        for (int i = 0; r == 0 && i < n; i++) {
                names[i] = sqlite3_column_name(s, i);
                r = names[i] ? 0 : -ENOMEM;
        }
        return r == 0 ? sink->columns(sink->userdata, (size_t)n, names) : r;
}

/* *ret_hex: a blob's text, for the caller to free. */
static int read_value(sqlite3_stmt *s, int column, struct index_value *ret, char **ret_hex)
{
        static const struct index_value null = { .kind = INDEX_VALUE_NULL };
        *ret = null;
        switch (sqlite3_column_type(s, column)) {
        case SQLITE_NULL: return 0;
        case SQLITE_INTEGER:
                ret->kind = INDEX_VALUE_INTEGER;
                ret->integer = sqlite3_column_int64(s, column);
                break;
        case SQLITE_FLOAT:
                ret->kind = INDEX_VALUE_REAL;
                ret->real = sqlite3_column_double(s, column);
                break;
        case SQLITE_BLOB: {
                size_t len = (size_t)sqlite3_column_bytes(s, column);
                ret->kind = INDEX_VALUE_BLOB;
                ret->text = *ret_hex = calloc(len + 1, 2);
                if (*ret_hex)
                        hex_encode(*ret_hex, sqlite3_column_blob(s, column), len);
                return *ret_hex ? 0 : -ENOMEM;
        }
        default: ret->kind = INDEX_VALUE_TEXT;
        }
        ret->text = index_text(s, column);
        return ret->text ? 0 : -ENOMEM;
}

static int hand_out_row(sqlite3_stmt *s, struct index_value *values, char **hex, size_t n,
                        const struct index_query_sink *sink)
{
        int r = 0;
        memset(hex, 0, n * sizeof(*hex));
        for (size_t i = 0; r == 0 && i < n; i++)
                r = read_value(s, (int)i, &values[i], &hex[i]);
        if (r == 0)
                r = sink->row(sink->userdata, n, values);
        for (size_t i = 0; i < n; i++)
                free(hex[i]);
        return r;
}

static int run(struct index *x, sqlite3_stmt *s, const struct index_query_sink *sink, struct error *err)
{
        size_t n = (size_t)sqlite3_column_count(s);
        _cleanup_(freep) struct index_value *values = calloc(n + 1, sizeof(*values));
        _cleanup_(freep) char **hex = calloc(n + 1, sizeof(*hex));
        int r = values && hex ? hand_out_columns(s, sink) : -ENOMEM;
        while (r == 0) {
                int step = sqlite3_step(s);
                if (step == SQLITE_DONE)
                        return 0;
                r = step == SQLITE_ROW ? hand_out_row(s, values, hex, n, sink) : refuse_query(x, err);
        }
        return r;
}

int index_query(struct index *x, const char *sql, const struct index_query_sink *sink, struct error *err)
{
        sqlite3_stmt *s = NULL;
        assert(!x->writable);
        sqlite3_set_authorizer(x->db, authorize, NULL);
        int r = prepare(x, sql, &s, err);
        if (r == 0)
                r = run(x, s, sink, err);
        sqlite3_finalize(s);
        sqlite3_set_authorizer(x->db, NULL, NULL);
        return r;
}
