#pragma once
/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, at most U+10FFFF. Pure. */

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const void *data, size_t len);
