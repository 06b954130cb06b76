#pragma once
/* What `crashes show` prints for people: one crash. */

/* An index_json_cb for index_show_crash(). */
int crash_page_print(void *userdata, const char *json);
