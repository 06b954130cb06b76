#pragma once
/* Writes JSON into a buffer: objects and arrays are opened and ended, and the writer places the commas. Nothing
 * fails halfway: the buffer keeps the first error (util/buf.h), and json_write_finish() returns it. The caller owns
 * the buffer. Not thread-safe. The log path writes with json_text.h instead, which knows nothing of nesting. Source:
 * RFC 8259. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define JSON_WRITE_DEPTH_MAX 32

struct json_write {
        struct buf *out;
        unsigned depth;                    /* how many objects and arrays are open */
        bool filled[JSON_WRITE_DEPTH_MAX]; /* by depth: a member or element was written */
        bool object[JSON_WRITE_DEPTH_MAX]; /* by depth: an object; else an array */
};

/* Values are appended to *out, which may hold something already. */
struct json_write json_write_to(struct buf *out);

/* In an object each value has a key; in an array, and on top, key is NULL. Keys are ours: they need no escaping. */
void json_write_object(struct json_write *w, const char *key);
void json_write_array(struct json_write *w, const char *key);
void json_write_end(struct json_write *w); /* of the innermost object or array */

void json_write_string(struct json_write *w, const char *key, const char *value); /* valid UTF-8; NULL: null */
void json_write_text(struct json_write *w, const char *key, const void *data, size_t len);
void json_write_hex(struct json_write *w, const char *key, const void *data, size_t len); /* lower-case, in quotes */
void json_write_u64(struct json_write *w, const char *key, uint64_t value);
void json_write_i64(struct json_write *w, const char *key, int64_t value);
void json_write_double(struct json_write *w, const char *key, double value); /* not finite: as a string, "NaN" */
void json_write_bool(struct json_write *w, const char *key, bool value);
void json_write_null(struct json_write *w, const char *key);

/* A value that is JSON already, as it stands. */
void json_write_raw(struct json_write *w, const char *key, const void *json, size_t len);

/* Everything is ended. 0, or the buffer's error: -ENOMEM. */
int json_write_finish(const struct json_write *w);
