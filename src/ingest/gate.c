/* Bearer tokens (RFC 6750 §2.1). A token that was seen before is recognised at once. A new one costs an Argon2 on the
 * verifier's threads, and the call is parked meanwhile. Overload is never answered with 401, because clients do not try
 * again after that.
 *
 * Each network thread remembers the last good tokens and compares with them first, in constant time. That saves a MAC
 * and a lock that all threads share. A remembered token is good until the token set is replaced; then the thread's next
 * request wipes it, and asks the verifier, which knows those tokens that are still good. */

#include "ingest/gate.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "ingest/call.h"

#define KNOWN_TOKENS 4

struct known_token {
        struct principal principal;
        size_t len; /* 0: nothing is remembered here */
        char presented[128];
};

struct gate_loop {
        struct known_token known[KNOWN_TOKENS];
        unsigned next; /* the one to replace next */
};

/* ---- known tokens ---- */

static void forget(struct known_token *k)
{
        principal_done(&k->principal);
        OPENSSL_cleanse(k->presented, k->len);
        k->len = 0;
}

struct gate_loop *gate_loop_new(void)
{
        return calloc(1, sizeof(struct gate_loop));
}

struct gate_loop *gate_loop_free(struct gate_loop *g)
{
        for (size_t i = 0; g && i < KNOWN_TOKENS; i++)
                forget(&g->known[i]);
        free(g);
        return NULL;
}

static bool find_known(struct ingest_loop *l, const char *presented, size_t len, struct principal *ret)
{
        for (struct known_token *k = l->gate->known; k < l->gate->known + KNOWN_TOKENS; k++) {
                if (k->len == 0)
                        continue;
                if (!verifier_knows(l->ingest->verifier, &k->principal)) {
                        forget(k);
                } else if (k->len == len && CRYPTO_memcmp(k->presented, presented, len) == 0) {
                        principal_copy(ret, &k->principal);
                        return true;
                }
        }
        return false;
}

static void keep_known(struct gate_loop *g, const char *presented, size_t len, const struct principal *p)
{
        struct known_token *k = &g->known[g->next];
        if (len > sizeof(k->presented))
                return;
        g->next = (g->next + 1) % KNOWN_TOKENS;
        forget(k);
        principal_copy(&k->principal, p);
        memcpy(k->presented, presented, len);
        k->len = len;
}

/* ---- the way in ---- */

void gate_visit_done(struct gate_visit *v)
{
        principal_done(&v->principal);
        principal_done(&v->verification.principal); /* verified after the client had left */
}

static void refuse_token(struct call *c, enum answer answer, const char *why)
{
        struct refusal r = { 0 };
        refuse(&r, answer, "%s", why);
        if (answer == ANSWER_UNAVAILABLE)
                r.retry_after_ms = 1000;
        call_refuse(c, &r);
}

static void let_in(struct call *c)
{
        assert(c->gate.state != GATE_INSIDE);
        assert(c->gate.principal.token);
        c->gate.state = GATE_INSIDE;
        token_use_note(c->in->ingest->token_use, c->gate.principal.token);
        c->gate.admitted(c);
}

/* On a verifier thread. */
static void on_verified(struct verification *v)
{
        call_wake(container_of(v, struct call, gate.verification));
}

static void resumed(struct call *c)
{
        struct gate_visit *g = &c->gate;
        assert(g->state == GATE_VERIFYING);
        switch (g->verification.outcome) {
        case VERIFICATION_OK:
                g->principal = g->verification.principal;
                g->verification.principal = (struct principal){ 0 };
                let_in(c);
                break;
        case VERIFICATION_UNKNOWN: refuse_token(c, ANSWER_UNAUTHENTICATED, "invalid bearer token"); break;
        case VERIFICATION_UNAVAILABLE:
                refuse_token(c, ANSWER_UNAVAILABLE, "the token could not be verified now");
                break;
        }
}

/* The token in "Bearer <token>". NULL: there is none, *ret_reason says why. */
static const char *bearer_token(const struct http_request *r, const char **ret_reason)
{
        const char *field = http_request_field(r, "authorization");
        if (!field) {
                *ret_reason = "missing bearer token";
                return NULL;
        }
        if (strncasecmp(field, "Bearer ", 7) != 0) {
                *ret_reason = "authorization header must use Bearer";
                return NULL;
        }
        field += 7;
        field += strspn(field, " ");
        if (!*field) {
                *ret_reason = "missing bearer token";
                return NULL;
        }
        return field;
}

void gate_admit(struct call *c, void (*admitted)(struct call *c))
{
        assert_on_thread(&c->in->thread);
        assert(c->gate.state == GATE_OUTSIDE);
        const char *reason, *token = bearer_token(c->request, &reason);
        if (!token) {
                refuse_token(c, ANSWER_UNAUTHENTICATED, reason);
                return;
        }
        struct gate_visit *g = &c->gate;
        size_t len = strlen(token);
        g->admitted = admitted;
        if (find_known(c->in, token, len, &g->principal)) {
                let_in(c);
                return;
        }
        g->state = GATE_VERIFYING;
        g->verification.done = on_verified;
        call_park(c, resumed); /* before the verifier can wake it */
        int r = verifier_check(c->in->ingest->verifier, token, len, c->request->peer_address, &g->verification,
                               &g->principal);
        if (r == VERIFIER_PENDING)
                return;
        call_unpark(c);
        if (r == 0) {
                keep_known(c->in->gate, token, len, &g->principal);
                let_in(c);
        } else if (r == VERIFIER_UNKNOWN) {
                refuse_token(c, ANSWER_UNAUTHENTICATED, "invalid bearer token");
        } else {
                refuse_token(c, ANSWER_UNAVAILABLE, "too many tokens are being verified now");
        }
}
