#pragma once
/* Whose token is this? A presented token is looked up in a cache under HMAC-SHA-256 with a key drawn at start; only a
 * miss costs an Argon2, on the verifier's own threads. verifier_check() may be called by any thread and takes a short
 * lock; done() runs on a verifier thread. The same token presented again while it is being verified waits for the
 * verification under way, so a flood of one token costs one.
 *
 * A generated token reads dt_<key id>_<secret>, where <key id> is the entry's id and <secret> 43 characters of
 * base64url: such a token is compared with the entry of that id only, and one with an unknown id fails without an
 * Argon2. So is any other token that begins with dt_<id>_ of an entry, the longest id winning. The rest is tried
 * against all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/principal.h"
#include "auth/tokens.h"
#include "metrics/metrics.h"
#include "util/cleanup.h"

struct verifier;

struct verifier_config {
        unsigned threads;
        size_t queue;         /* verifications that may wait */
        size_t cache_entries; /* good and bad together; the oldest leave first */
        unsigned good_secs;
        unsigned bad_secs;
        struct metrics *metrics; /* borrowed; NULL counts nothing */
};

/* Takes its own reference of tokens. 0 or -errno. */
int verifier_new(const struct verifier_config *config, struct tokens *tokens, struct verifier **ret);
struct verifier *verifier_free(struct verifier *v); /* answers what is queued with UNAVAILABLE first; NULL-safe */
DEFINE_FREEP(verifier_free, struct verifier)

/* A new set: the cache is emptied, so a removed token stops at once; what is being verified is verified again. */
void verifier_set_tokens(struct verifier *v, struct tokens *tokens);
struct tokens *verifier_tokens(struct verifier *v); /* the present set; a reference */

/* A look-up would still find this principal: the token set is the present one, and it is not too long ago. */
bool verifier_knows(const struct verifier *v, const struct principal *p, uint64_t now_ns);

/* UNAVAILABLE: nobody looked, for want of memory or because of shutdown. It must never read as "unauthenticated", which
 * clients take as final (OTLP: UNAUTHENTICATED is not retried): answer 503. */
enum verification_outcome { VERIFICATION_OK, VERIFICATION_UNKNOWN, VERIFICATION_UNAVAILABLE };

struct verification {
        struct verification *next;            /* the verifier's */
        void (*done)(struct verification *v); /* on a verifier thread, once, only after VERIFIER_PENDING */
        /* for done() */
        enum verification_outcome outcome;
        struct principal principal; /* the receiver's from then on; nobody unless OK */
};

/* 0: *ret is filled now. VERIFIER_UNKNOWN: no token matches. VERIFIER_PENDING: taken, done() is called (and may have
 * run already). VERIFIER_BUSY: the queue is full, answer 503. -ENOMEM. With PENDING *job is the verifier's until
 * done(); the caller fills nothing of it but done, and presented is copied. */
enum { VERIFIER_UNKNOWN = 1, VERIFIER_PENDING, VERIFIER_BUSY };
int verifier_check(struct verifier *v, const char *presented, size_t len, struct verification *job,
                   struct principal *ret);
