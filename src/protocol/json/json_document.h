#pragma once
/* JSON as text: what has to be settled before json-c makes a tree of it, and the layout people read. Pure.
 *
 * json-c 0.16, strict as it can be made, still takes NaN, `-01`, `1.`, raw control characters, unpaired surrogates
 * (which it replaces) and bytes after a NUL; it cuts keys at \u0000 and clamps integers to 64 bits. A report must be
 * stored as it was sent or be refused, so json_document_check() goes first. Source: RFC 8259. */

#include <stddef.h>

#include "util/buf.h"
#include "util/error.h"

enum { JSON_DOCUMENT_BAD = 1 }; /* err says what, and at which byte */

/* Is text one JSON text of valid UTF-8, at most max_depth arrays and objects deep, whose keys hold no NUL? Appends
 * it to *out, changed only where json-c would lose something: integers beyond 64 bits, and "-0", get ".0" and so
 * count as doubles, whose digits json-c keeps. 0, JSON_DOCUMENT_BAD or -ENOMEM (*out is then of no use). */
int json_document_check(const char *text, size_t len, unsigned max_depth, struct buf *out, struct error *err);

/* Appends s, valid UTF-8, as a JSON string. 0 or -ENOMEM. */
int json_document_append_string(struct buf *out, const char *s);

/* Appends compact JSON (valid, without white space) indented by two spaces as serde_json's pretty printer does it: one
 * member a line, ": " after keys, [] and {} when empty, no newline at the end. 0 or -ENOMEM. */
int json_document_indent(const char *compact, size_t len, struct buf *out);
