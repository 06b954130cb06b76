#pragma once
/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, at most U+10FFFF. Pure. */

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const void *data, size_t len);

/* The length of the text that is valid, from the start. *ret_bad: the length of what follows and is one mistake, which
 * one U+FFFD stands for (Unicode "U+FFFD Substitution of Maximal Subparts"); 0 at the end. */
size_t utf8_valid_part(const void *data, size_t len, size_t *ret_bad);

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
