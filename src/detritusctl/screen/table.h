#pragma once
/* An aligned table on standard output: titles, two blanks between columns, and what is left of the terminal's line for
 * the last one. Rows are gathered by pages, so that a list of millions needs little memory; columns only grow from page
 * to page. What strangers wrote is made harmless. */

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct table_column {
        const char *title;
        bool right;     /* numbers */
        unsigned spare; /* where a terminal is too narrow, the column with the highest goes; 0 and the last one stay */
        size_t max;     /* characters, cut beyond; 0: 40. The last column is cut by the terminal alone */
};

struct table;

/* The columns are borrowed. 0 or -ENOMEM. */
int table_new(const struct table_column *columns, size_t n, struct table **ret);
struct table *table_free(struct table *t); /* NULL-safe; what was not printed is gone */
DEFINE_FREEP(table_free, struct table)

/* As many cells as columns; NULL is empty. Prints whenever a page of rows is full. 0, -ENOMEM or -EIO. */
int table_add(struct table *t, const char *const *cells);
/* Prints what waits; the titles also when there was no row. */
int table_finish(struct table *t);
