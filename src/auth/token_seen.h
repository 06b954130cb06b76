#pragma once
/* The file <data-dir>/journal/tokens.seen: MACs of generated tokens that were found good, so that a restart costs no
 * Argon2. Only generated tokens are in it: their 256 bits of entropy cannot be guessed whatever the hash (adr/0015). It
 * is a cache. Whatever is missing in it, or damaged, costs an Argon2 at the token's next use.
 *
 * A line names an entry by a digest of its id and PHC string, so that one that was removed or changed fits no line. */

#include <stddef.h>
#include <stdint.h>

#include "auth/token_known.h"
#include "auth/token_mac.h"
#include "util/cleanup.h"

#define TOKEN_SEEN_FILE "journal/tokens.seen"

struct token_seen;

/* Reads the file in that directory (-1: keep nothing), and begins a new one if it is missing, not ours alone or
 * damaged. Failing to do so is logged, and nothing is kept then. Blocks. 0 or -errno. */
int token_seen_open(int dirfd, struct token_seen **ret);
struct token_seen *token_seen_free(struct token_seen *s); /* NULL-safe */
DEFINE_FREEP(token_seen_free, struct token_seen)

/* All MACs of presented tokens are made with this; with the file's key, if there is a file. */
const struct token_mac *token_seen_mac(const struct token_seen *s);

/* Learns what the file knows of the set's entries, and forgets the lines of the file that fit none. Blocks. 0 or
 * -ENOMEM. */
int token_seen_teach(struct token_seen *s, const struct tokens *set, struct token_known *known);

/* Adds a line, durable some time. Blocks; any thread. */
void token_seen_add(struct token_seen *s, const struct token *t, const uint8_t mac[TOKEN_MAC_BYTES]);
