#pragma once
/* Finds ASCII text whatever its case; other bytes must be equal. Pure. */

#include <stddef.h>

/* The first place of `what` in the text; NULL: it is not there. An empty `what` is at the start. */
const char *find_case(const char *text, size_t len, const char *what, size_t what_len);
