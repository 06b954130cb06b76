#pragma once
/* Edits of a token file's text, in YAML or TOML. They find places by the line numbers of config/tree.h; whether the
 * result says what was intended, the caller has to check. The functions append the new text to *out and return 0,
 * -ENOMEM, or 1 with err: the layout is not one that they can edit. Pure. */

#include "auth/tokens.h"
#include "util/buf.h"
#include "util/error.h"

struct token_text {
        const struct buf *text;
        bool is_toml;
};

int token_text_add(const struct token_text *old, const struct token *token, struct buf *out, struct error *err);

/* The hash of the entry `id`, which is `from`, becomes `to`. */
struct token_text_change {
        const char *id, *from, *to;
};
int token_text_exchange(const struct token_text *old, const struct token_text_change *change, struct buf *out,
                        struct error *err);

/* Removes the lines of the entry, from its first to its last; comments around it stay. */
int token_text_remove(const struct token_text *old, const char *id, struct buf *out, struct error *err);
