#pragma once
/* Whose token is this? A presented token is looked up under its HMAC-SHA-256. Only one that could be an entry whose
 * token is not known yet costs an Argon2, on the verifier's own threads (token_known.h, token_form.h).
 * verifier_check() may be called by any thread and takes a short lock. The same token presented again while it is
 * being verified waits for the verification under way, so a flood of one token costs one. Those that wait take fair
 * turns (fair_queue.h). */

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
        size_t queue;         /* tokens that may wait */
        size_t cache_entries; /* bad tokens; the oldest leave first */
        unsigned bad_secs;
        int memory_dirfd;        /* where good generated tokens are remembered (token_seen.h); -1: nowhere */
        struct metrics *metrics; /* borrowed; NULL counts nothing */
};

/* Takes its own reference of tokens. 0 or -errno. */
int verifier_new(const struct verifier_config *config, struct tokens *tokens, struct verifier **ret);
struct verifier *verifier_free(struct verifier *v); /* answers what is queued with UNAVAILABLE first; NULL-safe */
DEFINE_FREEP(verifier_free, struct verifier)

/* A new set: a token whose entry is gone or has another hash is not good from now on; all others stay as they were,
 * with the project and prefix of the new set. 0, or -ENOMEM and nothing has changed. */
int verifier_set_tokens(struct verifier *v, struct tokens *tokens);

/* A look-up would still find this principal: its token set is the present one. */
bool verifier_knows(const struct verifier *v, const struct principal *p);

/* UNAVAILABLE: nobody looked: no memory, shutdown, or it had to leave a full queue. It must never read as
 * "unauthenticated", which clients take as final (OTLP: UNAUTHENTICATED is not retried): answer 503. */
enum verification_outcome { VERIFICATION_OK, VERIFICATION_UNKNOWN, VERIFICATION_UNAVAILABLE };

struct verification {
        struct verification *next;            /* the verifier's */
        void (*done)(struct verification *v); /* on any thread, once, only after VERIFIER_PENDING */
        /* for done() */
        enum verification_outcome outcome;
        struct principal principal; /* the receiver's from then on; nobody unless OK */
};

/* 0: *ret is filled now. VERIFIER_UNKNOWN: no token matches. VERIFIER_PENDING: taken, done() is called (and may have
 * run already). VERIFIER_BUSY: the queue is full, answer 503. -ENOMEM. With PENDING *job is the verifier's until
 * done(); the caller fills nothing of it but done, and presented is copied. from: the client's address, as a number. */
enum { VERIFIER_UNKNOWN = 1, VERIFIER_PENDING, VERIFIER_BUSY };
int verifier_check(struct verifier *v, const char *presented, size_t len, uint64_t from, struct verification *job,
                   struct principal *ret);
