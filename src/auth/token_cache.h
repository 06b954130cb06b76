#pragma once
/* The outcomes for tokens presented before, each under a MAC of its token, so that no token is kept here.
 * Belongs to the verifier, whose lock guards all but token_cache_mac(). Entries point into the verifier's present token
 * set: whoever changes that set clears the cache. Source: RFC 2104 (HMAC). */

#include <stddef.h>
#include <stdint.h>

#include "auth/tokens.h"
#include "util/cleanup.h"

#define TOKEN_CACHE_MAC_BYTES 32

struct token_cache;

/* max_entries bounds good and bad together; what was looked at longest ago leaves first. 0 or -errno. */
int token_cache_new(size_t max_entries, struct token_cache **ret);
struct token_cache *token_cache_free(struct token_cache *c); /* NULL-safe */
DEFINE_FREEP(token_cache_free, struct token_cache)

/* HMAC-SHA-256 of the token with this cache's own key. Any thread, no lock. 0 or -ENOMEM. */
int token_cache_mac(const struct token_cache *c, const char *presented, size_t len, uint8_t ret[TOKEN_CACHE_MAC_BYTES]);

/* 0 with the token (NULL: known to be nobody's) and when it expires, or TOKEN_CACHE_MISS, also when it has expired. */
enum { TOKEN_CACHE_MISS = 1 };
int token_cache_find(struct token_cache *c, const uint8_t mac[TOKEN_CACHE_MAC_BYTES], uint64_t now_ns,
                     const struct token **ret, uint64_t *ret_expires_ns);

/* Remembers or replaces. Out of memory is not a failure: the next look-up misses. */
void token_cache_put(struct token_cache *c, const uint8_t mac[TOKEN_CACHE_MAC_BYTES], const struct token *token,
                     uint64_t expires_ns);
void token_cache_clear(struct token_cache *c);
