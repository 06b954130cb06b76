#pragma once
/* The page of `crashes show`: one crash for people. */

/* An index_json_cb for index_show_crash(). */
int crash_page_print(void *userdata, const char *json);
