#pragma once
/* Reads members out of a tree of json-c's. Every function takes NULL, and what is not an object or array: then
 * nothing is there. What is returned is borrowed from the tree, but for json_read_parse(). Not thread-safe: json-c
 * keeps an object's text inside it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct json_object;

/* One JSON text at most max_depth deep, with nothing after it. 0 and *ret, which the caller frees (NULL for the text
 * "null"); JSON_READ_BAD; or -ENOMEM. json-c takes a little more than RFC 8259 does, single quotes for example: what
 * must be refused then, or kept byte for byte, goes through json_document.h first. */
enum { JSON_READ_BAD = 1 };
int json_read_parse(const char *text, size_t len, int max_depth, struct json_object **ret);
void json_read_free(struct json_object *tree); /* one reference */
DEFINE_FREEP(json_read_free, struct json_object)

struct json_object *json_read_member(struct json_object *object, const char *key); /* NULL: not there, or null */
bool json_read_has(struct json_object *object, const char *key);                   /* also when it is null */

const char *json_read_string(struct json_object *object, const char *key); /* NULL: not there, or not a string */
const char *json_read_shown(struct json_object *object,
                            const char *key);                        /* other values as JSON text; NULL: not there */
uint64_t json_read_u64(struct json_object *object, const char *key); /* 0: not there, or not a number */
int64_t json_read_i64(struct json_object *object, const char *key);
double json_read_double(struct json_object *object, const char *key);
bool json_read_bool(struct json_object *object, const char *key); /* false: not there, or not a boolean */

/* Elements of an array. */
size_t json_read_count(struct json_object *array);
struct json_object *json_read_item(struct json_object *array, size_t i);

/* A value by itself: of an array, say. As the functions above. */
const char *json_read_value_shown(struct json_object *value);
