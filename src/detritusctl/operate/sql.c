/* detritusctl sql: runs a query and prints the result as a table or as JSON, one object per line. Without a query, on a
 * terminal, it starts sqlite3(1), read-only. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/open.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/table.h"
#include "detritusctl/screen/terminal.h"
#include "storage/index/index_query.h"
#include "util/buf.h"

#define QUERY_MAX_BYTES (1024 * 1024)

/* ---- as a table ---- */

#define CELL_CHARACTERS 120 /* on a terminal; not cut when piped */

struct answer_table {
        struct table *table;
        size_t n;
        struct table_column *columns;
        bool aligned; /* true once the first row has decided which columns are right-aligned */
};

static void answer_table_done(struct answer_table *t)
{
        table_free(t->table);
        for (size_t i = 0; i < t->n; i++)
                free((char *)t->columns[i].title);
        free(t->columns);
}

static int table_columns(void *userdata, size_t n, const char *const *names)
{
        struct answer_table *t = userdata;
        t->columns = calloc(n + 1, sizeof(*t->columns));
        if (!t->columns)
                return -ENOMEM;
        for (; t->n < n; t->n++) {
                _cleanup_(buf_done) struct buf title = { 0 };
                struct table_column *c = &t->columns[t->n];
                if (terminal_line(&title, names[t->n], 0) < 0 || !(c->title = buf_take_str(&title)))
                        return -ENOMEM;
                c->max = screen_is_terminal() ? CELL_CHARACTERS : SIZE_MAX;
        }
        return table_new(t->columns, n, &t->table);
}

static int table_row(void *userdata, size_t n, const struct index_value *values)
{
        struct answer_table *t = userdata;
        assert(n == t->n);
        _cleanup_(freep) const char **cells = calloc(n + 1, sizeof(*cells));
        if (!cells)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                cells[i] = values[i].text;
                if (!t->aligned)
                        t->columns[i].right =
                                values[i].kind == INDEX_VALUE_INTEGER || values[i].kind == INDEX_VALUE_REAL;
        }
        t->aligned = true;
        return table_add(t->table, cells);
}

/* ---- as JSON ---- */

struct objects {
        size_t n;
        char **keys; /* as JSON strings, with the colon */
};

static void objects_done(struct objects *o)
{
        for (size_t i = 0; i < o->n; i++)
                free(o->keys[i]);
        free(o->keys);
}

/* A name that occurred before gets a number, so that no object has a key twice. */
static int make_key(const char *const *names, size_t i, char **ret)
{
        _cleanup_(buf_done) struct buf name = { 0 }, key = { 0 };
        size_t before = 0;
        for (size_t j = 0; j < i; j++)
                before += strcmp(names[j], names[i]) == 0;
        buf_append_str(&name, names[i]);
        if (before > 0)
                buf_printf(&name, ":%zu", before);
        _cleanup_(freep) char *text = buf_take_str(&name);
        if (!text)
                return -ENOMEM;
        terminal_json_string(&key, text, strlen(text));
        buf_append_char(&key, ':');
        *ret = buf_take_str(&key);
        return *ret ? 0 : -ENOMEM;
}

static int json_columns(void *userdata, size_t n, const char *const *names)
{
        struct objects *o = userdata;
        o->keys = calloc(n + 1, sizeof(*o->keys));
        if (!o->keys)
                return -ENOMEM;
        for (; o->n < n; o->n++) {
                int r = make_key(names, o->n, &o->keys[o->n]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* SQLite's infinities are not JSON. */
static bool is_json_number(const struct index_value *v)
{
        return v->kind == INDEX_VALUE_INTEGER || (v->kind == INDEX_VALUE_REAL && !strstr(v->text, "Inf"));
}

/* json_write.h does not fit here: it expects our own keys and UTF-8 strings, and SQLite text can be any bytes, from
 * a CAST of a blob for example. */
static int json_row(void *userdata, size_t n, const struct index_value *values)
{
        struct objects *o = userdata;
        _cleanup_(buf_done) struct buf line = { 0 };
        assert(n == o->n);
        buf_append_char(&line, '{');
        for (size_t i = 0; i < n; i++) {
                buf_printf(&line, "%s%s", i > 0 ? "," : "", o->keys[i]);
                if (values[i].kind == INDEX_VALUE_NULL)
                        buf_append_str(&line, "null");
                else if (is_json_number(&values[i]))
                        buf_append_str(&line, values[i].text);
                else
                        terminal_json_string(&line, values[i].text, strlen(values[i].text));
        }
        buf_append_char(&line, '}');
        return screen_json_line(&line);
}

/* ---- the command ---- */

static int ask(const struct ctl *ctl, const char *sql)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(objects_done) struct objects objects = { 0 };
        _cleanup_(answer_table_done) struct answer_table table = { 0 };
        struct error err = { "out of memory" };
        struct index_query_sink as_json = { json_columns, json_row, &objects };
        struct index_query_sink as_table = { table_columns, table_row, &table };

        int status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = index_query(index, sql, ctl->json ? &as_json : &as_table, &err);
        if (r == 0 && table.table)
                r = table_finish(table.table);
        if (r == 0)
                return CTL_OK;
        return r == -EIO ? say_error("print the result", r) : say_failed("%s", err.text);
}

static int ask_standard_input(const struct ctl *ctl)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        int r = buf_read_fd(&text, STDIN_FILENO, QUERY_MAX_BYTES);
        if (r == -EFBIG)
                return say_failed("the statement is too long; the limit is 1 MiB");
        _cleanup_(freep) char *sql = r == 0 ? buf_take_str(&text) : NULL;
        return sql ? ask(ctl, sql) : say_error("read the statement", r < 0 ? r : -ENOMEM);
}

static int start_sqlite(const struct ctl *ctl)
{
        char path[PATH_MAX];
        if (snprintf(path, sizeof(path), "%s/detritus.db", ctl->data_dir) >= (int)sizeof(path))
                return say_failed("the path of the data directory is too long: %s", ctl->data_dir);
        if (access(path, R_OK) < 0) /* sqlite3 would only say so at the first query */
                return say_failed("cannot read %s: %s", path, strerror(errno));
        execlp("sqlite3", "sqlite3", "-readonly", "-box", path, NULL);
        return errno == ENOENT ? say_failed("sqlite3 is not installed; install it, or give a QUERY")
                               : say_failed("cannot start sqlite3: %s", strerror(errno));
}

static int run(const struct ctl *ctl)
{
        if (ctl->n_arguments > 0)
                return ask(ctl, ctl->arguments[0]);
        return isatty(STDIN_FILENO) && !ctl->json ? start_sqlite(ctl) : ask_standard_input(ctl);
}

const struct command sql_command = {
        .name = "sql",
        .summary = "query the database in SQL, read-only",
        .arguments = "[QUERY]",
        .max_arguments = 1,
        .description =
                "Runs one statement that reads, even while a daemon runs. Prints the result as a table, or with "
                "--json as one object per line. Without QUERY the statement is read from standard input; when that is "
                "a terminal, sqlite3(1) starts instead. docs/database.md describes the tables and views, "
                "docs/sql-cookbook.md has queries for common questions.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl sql \"SELECT * FROM version_health WHERE project = 'acme'\"",
                          "how stable is each version?" },
                        { "detritusctl sql --json \"SELECT * FROM silent_source LIMIT 5\"",
                          "which sources have gone quiet?" },
                        { NULL },
                },
        .run = run,
};
