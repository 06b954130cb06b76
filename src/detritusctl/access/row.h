#pragma once
/* Rows that the index returns as JSON text. */

#include <json.h>

/* 0 and *ret, which the caller frees (json_read_free()); -ENOMEM, or -EBADMSG: the row is not JSON. */
int row_parse(const char *json, struct json_object **ret);
