#include "auth/principal.h"

#include <assert.h>

void principal_done(struct principal *p)
{
        tokens_unref(p->tokens);
        *p = (struct principal){ 0 };
}

void principal_copy(struct principal *to, const struct principal *from)
{
        assert(!to->tokens);
        assert(!from->token == !from->tokens);
        *to = *from;
        if (to->tokens)
                tokens_ref(to->tokens);
}
