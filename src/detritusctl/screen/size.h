#pragma once
/* How many bytes, for people. */

#include <stdint.h>

/* "64.0 KiB". */
void size_text(uint64_t bytes, char ret[32]);
