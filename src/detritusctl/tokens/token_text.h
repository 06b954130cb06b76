#pragma once
/* Changes of a token file's text, in YAML or TOML. Pure; they find places by the line numbers of config/tree.h. Whether
 * the outcome is what was meant is for the caller to see. 0, -ENOMEM, or 1 with words when the layout is another. */

#include "auth/tokens.h"
#include "util/buf.h"
#include "util/error.h"

int token_text_add(const struct buf *old, bool toml, const struct token *token, struct buf *out, struct error *err);
/* The entry's hash, which reads `from`, becomes `to`. */
int token_text_exchange(const struct buf *old, bool toml, const char *id, const char *from, const char *to,
                        struct buf *out, struct error *err);
/* The lines of the entry, from its first to its last; blank lines and comments around it stay. */
int token_text_remove(const struct buf *old, bool toml, const char *id, struct buf *out, struct error *err);
