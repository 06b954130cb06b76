#pragma once
/* Who sent a request: a token of a set, with the set kept alive. Zero-initialised is "nobody". Belongs to whoever
 * has it; not thread-safe. */

#include "auth/tokens.h"

struct principal {
        struct tokens *tokens; /* a reference */
        const struct token *token;
};

void principal_done(struct principal *p);                                /* nobody again */
void principal_copy(struct principal *to, const struct principal *from); /* to was nobody */
