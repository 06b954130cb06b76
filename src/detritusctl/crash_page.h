#pragma once
/* The page of `crashes show`: one crash for people. */

#include <stdint.h>

/* An index_json_cb for index_show_crash(). */
int crash_page_print(void *userdata, const char *json);

/* "64.0 KiB". */
void crash_page_size(uint64_t bytes, char ret[32]);
