#pragma once
/* An aligned table on standard output: titles, two blanks between columns, and the rest of the terminal's line for the
 * last column. Rows are printed in pages, so that a list of millions needs little memory; columns only grow from page
 * to page. Text from clients is made harmless. */

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct table_column {
        const char *title;
        bool right;     /* for numbers */
        unsigned spare; /* on a terminal that is too narrow, the highest is left out first; 0 and the last one stay */
        size_t max;     /* characters, cut beyond; 0: 40. Only the terminal cuts the last column */
};

struct table;

/* The columns are borrowed; n > 0. 0 or -ENOMEM. */
int table_new(const struct table_column *columns, size_t n, struct table **ret);
struct table *table_free(struct table *t); /* NULL-safe; rows that were not printed are lost */
DEFINE_FREEP(table_free, struct table)

/* As many cells as columns; NULL is empty. Prints whenever a page is full. 0, -ENOMEM or -EIO. */
int table_add(struct table *t, const char *const *cells);
/* Prints the remaining rows, and the titles even when there was no row. */
int table_finish(struct table *t);
