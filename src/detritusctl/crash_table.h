#pragma once
/* The table of `crashes list`: aligned columns, the panic's first line last. */

#include "util/cleanup.h"

struct crash_table;

/* 0 or -ENOMEM. */
int crash_table_new(struct crash_table **ret);
struct crash_table *crash_table_free(struct crash_table *t); /* NULL-safe */
DEFINE_FREEP(crash_table_free, struct crash_table)

/* An index_json_cb for index_list_crashes(). Prints whenever a page of rows is full. */
int crash_table_add(void *table, const char *json);
int crash_table_finish(struct crash_table *t);
