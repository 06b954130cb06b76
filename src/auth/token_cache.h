#pragma once
/* The tokens that were presented lately and are nobody's, each under its MAC (token_mac.h), with what it was compared
 * with: after a reload only entries that are new need a look. Good tokens are elsewhere (token_known.h), so that no
 * flood of bad ones can push them out. Belongs to the verifier, whose lock guards it. */

#include <stddef.h>
#include <stdint.h>

#include "auth/token_known.h"
#include "util/cleanup.h"

struct token_cache;

/* Above max_entries, what was looked at longest ago leaves first. NULL on ENOMEM. */
struct token_cache *token_cache_new(size_t max_entries);
struct token_cache *token_cache_free(struct token_cache *c); /* NULL-safe */
DEFINE_FREEP(token_cache_free, struct token_cache)

/* What this token was compared with; the caller may change it. Until the next call. NULL: not known, or expired. */
struct token_tried *token_cache_find(struct token_cache *c, const uint8_t mac[TOKEN_MAC_BYTES], uint64_t now_ns);

/* Remembers or replaces. Out of memory is not a failure: the next look-up misses. */
void token_cache_put(struct token_cache *c, const uint8_t mac[TOKEN_MAC_BYTES], struct token_tried tried,
                     uint64_t expires_ns);
