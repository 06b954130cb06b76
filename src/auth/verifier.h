#pragma once
/* Whose token is this? A presented token is looked up in a cache under HMAC-SHA-256 with a key drawn at start; only a
 * miss costs an Argon2, on the verifier's own threads. verifier_check() may be called by any thread and takes a short
 * lock; done() runs on a verifier thread.
 *
 * A generated token reads dt_<key id>_<secret>, where <key id> is the entry's id: such a token is compared with the
 * entry of that id only, and one with an unknown id fails without an Argon2. Any other token is tried against all.
 */

#include <stdbool.h>
#include <stddef.h>

#include "auth/tokens.h"
#include "metrics/metrics.h"
#include "util/cleanup.h"
#include "util/work_queue.h"

struct verifier;

struct verifier_config {
        unsigned threads;
        size_t queue;         /* verifications that may wait */
        size_t cache_entries; /* good and bad together; the oldest leave first */
        unsigned good_secs;
        unsigned bad_secs;
        struct metrics *metrics; /* borrowed */
};

/* The outcome: a token of a set, with the set kept alive. Zero-initialised is "nobody". */
struct principal {
        struct tokens *tokens; /* a reference */
        const struct token *token;
};
void principal_done(struct principal *p);
void principal_copy(struct principal *to, const struct principal *from);

/* Takes its own reference of tokens. 0 or -errno. */
int verifier_new(const struct verifier_config *config, struct tokens *tokens, struct verifier **ret);
struct verifier *verifier_free(struct verifier *v); /* answers what is queued first; NULL-safe */
DEFINE_FREEP(verifier_free, struct verifier)

/* A new set: the cache is emptied, so a removed token stops at once. */
void verifier_set_tokens(struct verifier *v, struct tokens *tokens);
struct tokens *verifier_tokens(struct verifier *v); /* the present set; a reference */

struct verification {
        struct work work;
        void (*done)(struct verification *v); /* on a verifier thread, once, only after VERIFIER_PENDING */
        char *presented;                      /* the verifier's: wiped and freed before done() */
        size_t presented_len;
        bool ok; /* for done() */
        struct principal principal;
};

/* 0: *principal is filled now. VERIFIER_UNKNOWN: no token matches. VERIFIER_PENDING: taken, done() tells.
 * VERIFIER_BUSY: the queue is full, answer 503. -ENOMEM. With PENDING the object is the verifier's until done(). */
enum { VERIFIER_UNKNOWN = 1, VERIFIER_PENDING, VERIFIER_BUSY };
int verifier_check(struct verifier *v, const char *presented, size_t len, struct verification *job,
                   struct principal *ret);
