#pragma once
/* The table of `crashes list`, with the panic's first line in the last column. */

#include "detritusctl/screen/table.h"

/* 0 or -ENOMEM. */
int crash_table_new(struct table **ret);
/* An index_json_cb for index_list_crashes(). */
int crash_table_add(void *table, const char *json);
