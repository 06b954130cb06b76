#pragma once
/* Argon2 hashes in PHC form: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>. verify and hash cost tens of milliseconds
 * and tens of MiB: never on a network thread. Sources: RFC 9106, the PHC string format. */

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

#define PHC_MAX_BYTES 512

/* argon2id, argon2i, argon2d; v=16 (also when v is absent) or 19; m 8..1,048,576 KiB and >= 8p; t 1..64; p 1..64; salt
 * 8..64 bytes, hash 16..128 bytes, base64 without padding. 0, or PHC_BAD with the reason. */
enum { PHC_BAD = 1 };
int phc_check(const char *phc, struct error *err);

/* 0 and *ret_match, or -ENOMEM. phc must have passed phc_check(). */
int phc_verify(const char *phc, const char *secret, size_t secret_len, bool *ret_match);

/* Argon2id v=19 m=19456 t=2 p=1 with a fresh 16-byte salt and a 32-byte hash. 0 or -errno. */
int phc_hash(const char *secret, size_t secret_len, char ret[PHC_MAX_BYTES]);
