/* Rows are gathered by pages, so that a list of millions needs little memory; columns only grow from page to page. */
#include "detritusctl/crash_table.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/crash_page.h"
#include "detritusctl/terminal.h"

#define PAGE_ROWS 500
#define CELL_COLUMNS_MAX 40 /* a column before the last is cut here */
#define PANIC_COLUMNS_MIN 20

enum { ID, TIME, PROJECT, INSTALL, VERSION, KIND, SIZE, ATTACHMENTS, PANIC, N_COLUMNS };

static const struct {
        const char *title;
        bool right; /* numbers */
} columns[N_COLUMNS] = {
        [ID] = { "ID", true },
        [TIME] = { "TIME", false },
        [PROJECT] = { "PROJECT", false },
        [INSTALL] = { "INSTALL", false },
        [VERSION] = { "VERSION", false },
        [KIND] = { "KIND", false },
        [SIZE] = { "SIZE", true },
        [ATTACHMENTS] = { "ATTACHMENTS", true },
        [PANIC] = { "PANIC", false },
};

struct crash_table {
        size_t terminal_columns;
        size_t widths[N_COLUMNS];
        bool titled;
        size_t n_rows;
        char *cells[PAGE_ROWS][N_COLUMNS];
};

int crash_table_new(size_t terminal, struct crash_table **ret)
{
        struct crash_table *t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->terminal_columns = terminal;
        for (size_t i = 0; i < N_COLUMNS; i++)
                t->widths[i] = strlen(columns[i].title);
        *ret = t;
        return 0;
}

static void clear(struct crash_table *t)
{
        for (size_t row = 0; row < t->n_rows; row++) {
                for (size_t i = 0; i < N_COLUMNS; i++)
                        free(t->cells[row][i]);
        }
        t->n_rows = 0;
}

struct crash_table *crash_table_free(struct crash_table *t)
{
        if (!t)
                return NULL;
        clear(t);
        free(t);
        return NULL;
}

static void print_cell(const char *text, size_t i, size_t width)
{
        size_t n = terminal_width(text), pad = width > n ? width - n : 0;
        if (i + 1 == N_COLUMNS)
                printf("%s\n", text);
        else if (columns[i].right)
                printf("%*s%s  ", (int)pad, "", text);
        else
                printf("%s%*s  ", text, (int)pad, "");
}

/* What the other columns leave of the terminal's line. */
static size_t panic_columns(const struct crash_table *t)
{
        size_t used = 0;
        if (t->terminal_columns == 0)
                return 0;
        for (size_t i = 0; i < PANIC; i++)
                used += t->widths[i] + 2;
        return used + PANIC_COLUMNS_MIN < t->terminal_columns ? t->terminal_columns - used : PANIC_COLUMNS_MIN;
}

static int print_row(struct crash_table *t, char *const cells[N_COLUMNS])
{
        _cleanup_(buf_done) struct buf panic = { 0 };
        int r = terminal_line(&panic, cells[PANIC], panic_columns(t));
        if (r == 0)
                r = buf_append_char(&panic, '\0');
        if (r < 0)
                return r;
        for (size_t i = 0; i < PANIC; i++)
                print_cell(cells[i], i, t->widths[i]);
        print_cell((const char *)panic.data, PANIC, 0);
        return ferror(stdout) ? -EIO : 0;
}

static int print_page(struct crash_table *t)
{
        int r = 0;
        if (!t->titled) {
                for (size_t i = 0; i < N_COLUMNS; i++)
                        print_cell(columns[i].title, i, t->widths[i]);
                t->titled = true;
        }
        for (size_t row = 0; r == 0 && row < t->n_rows; row++)
                r = print_row(t, t->cells[row]);
        clear(t);
        return r;
}

static int make_cell(struct crash_table *t, size_t i, const char *text)
{
        _cleanup_(buf_done) struct buf cell = { 0 };
        int r = terminal_line(&cell, text, i == PANIC ? 0 : CELL_COLUMNS_MAX);
        if (r < 0)
                return r;
        char *taken = buf_take_str(&cell);
        if (!taken)
                return -ENOMEM;
        t->cells[t->n_rows][i] = taken;
        size_t width = terminal_width(taken);
        if (width > t->widths[i])
                t->widths[i] = width;
        return 0;
}

static int make_row(struct crash_table *t, struct json_object *crash)
{
        static const char *const keys[N_COLUMNS] = {
                "id", "crashed_at", "project", "install_id", "version", "kind", "dump_len", "attachments", "panic_text",
        };
        char text[32];
        int r = 0;
        memset(t->cells[t->n_rows], 0, sizeof(t->cells[0]));
        for (size_t i = 0; r == 0 && i < N_COLUMNS; i++) {
                struct json_object *value = json_object_object_get(crash, keys[i]);
                if (i == SIZE)
                        crash_page_size(json_object_get_uint64(value), text);
                else if (i == TIME)
                        snprintf(text, sizeof(text), "%.19sZ", value ? json_object_get_string(value) : "");
                const char *shown = value ? json_object_get_string(value) : "";
                r = make_cell(t, i, i == SIZE || i == TIME ? text : shown);
        }
        t->n_rows++; /* also when a cell failed, so that the others are freed */
        return r;
}

int crash_table_add(void *table, const char *json)
{
        struct crash_table *t = table;
        struct json_object *crash = json_tokener_parse(json);
        if (!crash)
                return -ENOMEM;
        int r = make_row(t, crash);
        json_object_put(crash);
        return r == 0 && t->n_rows == PAGE_ROWS ? print_page(t) : r;
}

int crash_table_finish(struct crash_table *t)
{
        return print_page(t);
}
