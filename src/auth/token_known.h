#pragma once
/* What the verifier has found out about the entries of a token set: which token each is, by its MAC. An entry has
 * exactly one token, so once that is known, any other token is compared with the entry at the price of a MAC, not of
 * an Argon2. This never expires: it holds for as long as the entry is in the file with the same PHC string.
 *
 *  * Also where a set and the sets before it differ. An entry keeps its serial number over reloads while its id and
 * its PHC string stay the same.
 *
 *  * Not thread-safe: the verifier's lock guards it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/token_form.h"
#include "auth/token_mac.h"
#include "auth/tokens.h"
#include "util/cleanup.h"

struct token_known;

/* For a set, which is borrowed and must live as long. What before (NULL: nothing) knew of entries that are in both sets
 * is taken over. 0 or -ENOMEM. */
int token_known_new(const struct tokens *set, const struct token_known *before, struct token_known **ret);
struct token_known *token_known_free(struct token_known *k); /* NULL-safe */
DEFINE_FREEP(token_known_free, struct token_known)

/* Whose token is this? NULL: nobody's that is known. */
const struct token *token_known_find(const struct token_known *k, const uint8_t mac[TOKEN_MAC_BYTES]);

/* t, of this set, is the entry of this token. */
void token_known_learn(struct token_known *k, const struct token *t, const uint8_t mac[TOKEN_MAC_BYTES]);

/* The entry of this set with the same id and PHC string as t, which may be of an older set. NULL: there is none. */
const struct token *token_known_same(const struct token_known *k, const struct token *t);

/* What a token was compared with in vain. Zero-initialised: with nothing. */
struct token_tried {
        uint64_t set;   /* the newest set that was looked at */
        uint64_t upto;  /* all entries with serial numbers up to this */
        uint64_t named; /* and this one; 0: none */
};

/* Must t, a candidate of this set, still be compared by an Argon2? */
bool token_known_is_open(const struct token_known *k, const struct token *t, const struct token_tried *tried);
/* Is that so for any of them? */
bool token_known_any_open(const struct token_known *k, const struct token_candidates *c,
                          const struct token_tried *tried);
/* All candidates were compared, besides what had been tried before. */
void token_known_tried(const struct token_known *k, const struct token_candidates *c, struct token_tried *tried);
/* No entry is new since. */
bool token_known_tried_all(const struct token_known *k, const struct token_tried *tried);
