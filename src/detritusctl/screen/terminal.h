#pragma once
/* Text from clients, made harmless for a terminal: no control characters (escape sequences, C1), no characters that
 * reorder the text around them. Returned errors are the buffer's, which stick. */

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* Appends up to max_columns characters of the text's first line, each control character as '?'. Cut text ends in "...".
 * max_columns 0: no limit. 0 or -ENOMEM. */
int terminal_line(struct buf *out, const char *text, size_t max_columns);

/* All lines, each after `indent`; tabs stay. 0 or -ENOMEM. */
int terminal_text(struct buf *out, const char *text, const char *indent);

/* JSON text: a dangerous character becomes \uXXXX (it can only be part of a string), white space a blank or a newline.
 * 0 or -ENOMEM. */
int terminal_json(struct buf *out, const char *json);
/* Any bytes, followed by a NUL or a newline, as a harmless JSON string; what is not UTF-8 as '?'. 0 or -ENOMEM. */
int terminal_json_string(struct buf *out, const char *text, size_t len);

size_t terminal_width(const char *text); /* characters */
size_t terminal_columns(void);           /* of standard output; 0: not a terminal, no limit */
