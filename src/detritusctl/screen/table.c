#include "detritusctl/screen/table.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"

#define PAGE_ROWS 500
#define CELL_CHARACTERS 40
#define LAST_CHARACTERS_WANTED 32 /* other columns give way so that the last one has this many */
#define LAST_CHARACTERS_MIN 10
#define COLUMN_CHARACTERS_MIN 11 /* a UUID's first group, and dots */

struct table {
        const struct table_column *columns;
        size_t n, n_rows;
        size_t *widths;
        bool *left_out;
        bool titled;
        char **cells; /* PAGE_ROWS rows of n */
};

int table_new(const struct table_column *columns, size_t n, struct table **ret)
{
        assert(n > 0);
        _cleanup_(table_freep) struct table *t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->columns = columns;
        t->n = n;
        t->widths = calloc(n, sizeof(*t->widths));
        t->left_out = calloc(n, sizeof(*t->left_out));
        t->cells = calloc(PAGE_ROWS * n, sizeof(*t->cells));
        if (!t->widths || !t->left_out || !t->cells)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                t->widths[i] = terminal_width(columns[i].title);
        *ret = TAKE_PTR(t);
        return 0;
}

static void clear(struct table *t)
{
        for (size_t i = 0; t->cells && i < t->n_rows * t->n; i++) {
                free(t->cells[i]);
                t->cells[i] = NULL;
        }
        t->n_rows = 0;
}

struct table *table_free(struct table *t)
{
        if (!t)
                return NULL;
        clear(t);
        free(t->cells);
        free(t->left_out);
        free(t->widths);
        free(t);
        return NULL;
}

/* No blanks after the last word of a line, which the caller ends. */
static void print_cell(const struct table *t, size_t i, const char *text)
{
        size_t n = terminal_width(text);
        int pad = t->widths[i] > n ? (int)(t->widths[i] - n) : 0;
        bool last = i + 1 == t->n;
        if (t->columns[i].right)
                printf("%*s%s%s", pad, "", text, last ? "" : "  ");
        else
                printf("%s%*s%s", text, last ? 0 : pad, "", last ? "" : "  ");
}

/* How much of a line the columns before the last one take. */
static size_t used_by_others(const struct table *t)
{
        size_t used = 0;
        for (size_t i = 0; i + 1 < t->n; i++)
                used += t->left_out[i] ? 0 : t->widths[i] + 2;
        return used;
}

/* The widest column that is text, not the last, and may give way; t->n: none. */
static size_t widest(const struct table *t)
{
        size_t found = t->n;
        for (size_t i = 0; i + 1 < t->n; i++) {
                if (!t->columns[i].right && !t->left_out[i] && t->widths[i] > COLUMN_CHARACTERS_MIN &&
                    (found == t->n || t->widths[i] >= t->widths[found]))
                        found = i;
        }
        return found;
}

static bool leave_one_out(struct table *t)
{
        size_t found = t->n;
        for (size_t i = 0; i + 1 < t->n; i++) {
                if (!t->left_out[i] && t->columns[i].spare > (found == t->n ? 0 : t->columns[found].spare))
                        found = i;
        }
        if (found < t->n)
                t->left_out[found] = true;
        return found < t->n;
}

/* On a terminal that is too narrow, the widest columns (except the last one) shrink and their cells are cut; then the
 * columns that can be spared are left out. */
static void fit(struct table *t)
{
        size_t all = screen_columns(), last = t->widths[t->n - 1];
        if (!t->columns[t->n - 1].right && last > LAST_CHARACTERS_WANTED)
                last = LAST_CHARACTERS_WANTED;
        while (all > 0 && used_by_others(t) + last > all) {
                size_t i = widest(t);
                if (i < t->n)
                        t->widths[i]--;
                else if (!leave_one_out(t))
                        return;
        }
}

/* What the other columns leave of the terminal's line; 0: no limit. */
static size_t last_characters(const struct table *t)
{
        size_t used = used_by_others(t), all = screen_columns();
        if (all == 0)
                return 0;
        return used + LAST_CHARACTERS_MIN < all ? all - used : LAST_CHARACTERS_MIN;
}

static int print_row(struct table *t, char *const *cells)
{
        _cleanup_(buf_done) struct buf last = { 0 };
        terminal_line(&last, cells[t->n - 1], last_characters(t));
        if (buf_append_char(&last, '\0') < 0)
                return -ENOMEM;
        for (size_t i = 0; i + 1 < t->n; i++) {
                if (t->left_out[i])
                        continue;
                _cleanup_(buf_done) struct buf cut = { 0 };
                bool fits = terminal_width(cells[i]) <= t->widths[i];
                if (!fits)
                        terminal_line(&cut, cells[i], t->widths[i]);
                if (buf_append_char(&cut, '\0') < 0)
                        return -ENOMEM;
                print_cell(t, i, fits ? cells[i] : (const char *)cut.data);
        }
        print_cell(t, t->n - 1, (const char *)last.data);
        putchar('\n');
        return ferror(stdout) ? -EIO : 0;
}

int table_finish(struct table *t)
{
        int r = 0;
        fit(t);
        if (!t->titled) {
                fputs(screen_on(SCREEN_HEAD), stdout);
                for (size_t i = 0; i < t->n; i++) {
                        if (!t->left_out[i])
                                print_cell(t, i, t->columns[i].title);
                }
                printf("%s\n", screen_off());
                t->titled = true;
        }
        for (size_t row = 0; r == 0 && row < t->n_rows; row++)
                r = print_row(t, t->cells + row * t->n);
        clear(t);
        assert(t->n_rows == 0);
        return r;
}

static int make_cell(struct table *t, size_t i, const char *text, char **ret)
{
        _cleanup_(buf_done) struct buf cell = { 0 };
        size_t max = i + 1 == t->n ? 0 : t->columns[i].max ? t->columns[i].max : CELL_CHARACTERS;
        terminal_line(&cell, text, max);
        char *taken = buf_take_str(&cell);
        if (!taken)
                return -ENOMEM;
        *ret = taken;
        size_t width = terminal_width(taken);
        if (width > t->widths[i])
                t->widths[i] = width;
        return 0;
}

int table_add(struct table *t, const char *const *cells)
{
        assert(t->n_rows < PAGE_ROWS);
        char **row = t->cells + t->n_rows * t->n;
        int r = 0;
        t->n_rows++; /* also when a cell fails, so that the others are freed */
        for (size_t i = 0; r == 0 && i < t->n; i++)
                r = make_cell(t, i, cells[i] ? cells[i] : "", &row[i]);
        return r == 0 && t->n_rows == PAGE_ROWS ? table_finish(t) : r;
}
