#pragma once
/* UUIDs as text. Pure. */

#include <stdbool.h>

#define UUID_SIZE 37 /* 8-4-4-4-12 hex digits + NUL */

/* Reads the forms that Rust's uuid crate reads, in upper or lower case: hyphenated, the same in braces or after
 * "urn:uuid:", or 32 hex digits. ret: lower case, hyphenated. False when s is not a UUID; then ret is of no use. */
bool uuid_normalise(const char *s, char ret[UUID_SIZE]);
