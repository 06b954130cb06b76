#pragma once
/* Which entries of a set a presented token may be, by its form. Pure.
 *
 * A generated token reads dt_<key id>_<secret>, where <key id> is the entry's id and <secret> 43 characters of
 * base64url: such a token is compared with the entry of that id only, and one with an unknown id is nobody's. So is any
 * other token that begins with dt_<id>_ of an entry, the longest id winning. The rest may be any entry's. */

#include <stdbool.h>
#include <stddef.h>

#include "auth/tokens.h"

/* A run of the set's list. */
struct token_candidates {
        const struct token *first;
        size_t n;
        bool named; /* the token names the entry; n is 1 */
};

struct token_candidates token_form_candidates(const struct tokens *set, const char *presented, size_t len);

/* Is this a generated token of that entry? Then its secret has 256 bits of entropy. */
bool token_form_is_generated(const struct token *t, const char *presented, size_t len);
