#pragma once
/* The head of an HTTP/1.1 request, checked line by line before a parser sees it, because parsers forgive what a strict
 * server must not: bare LF, folded lines, a space before the colon. Pure. Source: RFC 9112 §2.2, §3, §5. */

#include <stddef.h>
#include <stdint.h>

/* data[0..len) is what has come of a head so far; *checked, 0 at first, is kept between calls and says how much of it,
 * in whole lines, is known to be good. Returns 0 and *ret_end, the head's length with its empty line, or 0 there while
 * more must come; or the HTTP status to refuse with, and the reason. A head may have max bytes. */
int http1_head_check(const uint8_t *data, size_t len, size_t max, size_t *checked, size_t *ret_end,
                     const char **ret_reason);
