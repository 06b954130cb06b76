#pragma once
/* HMAC-SHA-256 of presented tokens, so that nothing that remembers a token has to keep the token itself. The key never
 * changes. Any thread, no lock. Source: RFC 2104. */

#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define TOKEN_MAC_BYTES 32
#define TOKEN_MAC_KEY_BYTES 64 /* SHA-256's block: used as it is */

struct token_mac;

/* 0 or -ENOMEM. The key is copied. */
int token_mac_new(const uint8_t key[TOKEN_MAC_KEY_BYTES], struct token_mac **ret);
struct token_mac *token_mac_free(struct token_mac *m); /* NULL-safe */
DEFINE_FREEP(token_mac_free, struct token_mac)

/* 0 or -ENOMEM. */
int token_mac_make(const struct token_mac *m, const void *data, size_t len, uint8_t ret[TOKEN_MAC_BYTES]);
