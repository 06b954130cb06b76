#pragma once
/* UUIDs as text. Pure. */

#include <stdbool.h>

#define UUID_SIZE 37 /* 8-4-4-4-12 hex digits + NUL */

/* The forms that Rust's uuid crate reads, in any case: hyphenated, the same in braces or behind urn:uuid:, or 32 hex
 * digits. ret: lower case, hyphenated. False when it is none; ret is then of no use. */
bool uuid_normalise(const char *s, char ret[UUID_SIZE]);
