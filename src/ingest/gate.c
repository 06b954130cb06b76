/* The gate: every request but those of operators.c shows a bearer token here (RFC 6750 §2.1). A token seen before is
 * known at once; a new one costs an Argon2 on the verifier's threads, while the call is parked. Overload is never
 * answered with 401, which clients take for final.
 *
 * The last good tokens of each network thread are compared (in constant time) before the verifier is asked, which would
 * cost a MAC and a lock that all threads share. They hold until the verifier's outcome would expire or the token set is
 * replaced; what does not hold any more is wiped with the thread's next request. */

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "ingest/call.h"

static void refuse_token(struct call *c, enum answer answer, const char *why)
{
        struct refusal r = { 0 };
        refuse(&r, answer, "%s", why);
        if (answer == ANSWER_UNAVAILABLE)
                r.retry_after_ms = 1000;
        call_refuse(c, &r);
}

static void on_verified(struct verification *v)
{
        call_wake(container_of(v, struct call, verification));
}

/* ---- known tokens ---- */

static void forget(struct known_token *k)
{
        principal_done(&k->principal);
        OPENSSL_cleanse(k->presented, k->len);
        k->len = 0;
}

void gate_forget(struct ingest_loop *l)
{
        for (size_t i = 0; i < KNOWN_TOKENS; i++)
                forget(&l->known_tokens[i]);
}

static bool find_known(struct ingest_loop *l, const char *presented, size_t len, struct principal *ret)
{
        for (struct known_token *k = l->known_tokens; k < l->known_tokens + KNOWN_TOKENS; k++) {
                if (k->len == 0)
                        continue;
                if (!principal_holds(l->ingest->verifier, &k->principal, loop_now_ns(l->loop))) {
                        forget(k);
                } else if (k->len == len && CRYPTO_memcmp(k->presented, presented, len) == 0) {
                        principal_copy(ret, &k->principal);
                        return true;
                }
        }
        return false;
}

static void keep_known(struct ingest_loop *l, const char *presented, size_t len, const struct principal *p)
{
        struct known_token *k = &l->known_tokens[l->next_known_token];
        if (len > sizeof(k->presented))
                return;
        l->next_known_token = (l->next_known_token + 1) % KNOWN_TOKENS;
        forget(k);
        principal_copy(&k->principal, p);
        memcpy(k->presented, presented, len);
        k->len = len;
}

/* ---- the way in ---- */

static void admit(struct call *c)
{
        token_use_note(c->in->ingest->token_use, c->principal.token);
        c->admitted(c);
}

static void resumed(struct call *c)
{
        switch (c->verification.outcome) {
        case VERIFICATION_OK:
                c->principal = c->verification.principal;
                c->verification.principal = (struct principal){ 0 };
                admit(c);
                break;
        case VERIFICATION_UNKNOWN: refuse_token(c, ANSWER_UNAUTHENTICATED, "invalid bearer token"); break;
        case VERIFICATION_UNAVAILABLE:
                refuse_token(c, ANSWER_UNAVAILABLE, "the token could not be verified now");
                break;
        }
}

/* The token of "Bearer <token>"; NULL with the reason. */
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

void gate_enter(struct call *c, void (*admitted)(struct call *c))
{
        const char *reason, *token = bearer_token(c->request, &reason);
        if (!token) {
                refuse_token(c, ANSWER_UNAUTHENTICATED, reason);
                return;
        }
        size_t len = strlen(token);
        c->admitted = admitted;
        if (find_known(c->in, token, len, &c->principal)) {
                admit(c);
                return;
        }
        c->verification.done = on_verified;
        call_park(c, resumed); /* before the verifier can wake it */
        int r = verifier_check(c->in->ingest->verifier, token, len, &c->verification, &c->principal);
        if (r == VERIFIER_PENDING)
                return;
        c->parked = false;
        if (r == 0) {
                keep_known(c->in, token, len, &c->principal);
                admit(c);
        } else if (r == VERIFIER_UNKNOWN) {
                refuse_token(c, ANSWER_UNAUTHENTICATED, "invalid bearer token");
        } else {
                refuse_token(c, ANSWER_UNAVAILABLE, "too many tokens are being verified now");
        }
}
