#pragma once
/* The header lines of one part; multipart.c's other half. Pure. */

#include <stddef.h>

#include "protocol/crash/multipart.h"

/* head: complete lines, each ending in CRLF and none a continuation, without the empty one; number: the part's, for the
 * words of a refusal. Works in place: *ret's strings point into head, which is NUL-terminated where they end. 0 or
 * ANSWER_MALFORMED. */
int multipart_head_parse(char *head, size_t len, unsigned number, struct multipart_part *ret, struct refusal *r);
