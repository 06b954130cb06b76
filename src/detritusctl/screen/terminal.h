#pragma once
/* Text that strangers wrote, made harmless for a terminal: no control characters (escape sequences, C1), no characters
 * that reorder what is around them. */

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* Up to max_columns characters of text up to its first line break, each control character as '?'; a cut one ends in
 * "...". max_columns 0: no limit. 0 or -ENOMEM. */
int terminal_line(struct buf *out, const char *text, size_t max_columns);

/* All lines, each behind `indent`; tabs stay. 0 or -ENOMEM. */
int terminal_text(struct buf *out, const char *text, const char *indent);

/* JSON text: what is dangerous becomes \uXXXX (it can only stand in strings), white space a blank or a newline. 0 or
 * -ENOMEM. */
int terminal_json(struct buf *out, const char *json);
/* Any bytes with a NUL or a newline behind them, as a harmless JSON string; what is no UTF-8 as '?'. 0 or -ENOMEM. */
int terminal_json_string(struct buf *out, const char *text, size_t len);

size_t terminal_width(const char *text); /* characters */
size_t terminal_columns(void);           /* of standard output; 0: not a terminal, no limit */
