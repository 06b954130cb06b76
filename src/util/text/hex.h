#pragma once
/* Lower-case hex. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * n digits, no NUL; returns the end. */
char *hex_encode(char *to, const void *data, size_t n);

/* True when all n characters are digits 0-9 a-f. */
bool hex_is_lower(const char *s, size_t n);
