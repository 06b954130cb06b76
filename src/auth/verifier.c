/* verifier_check(): MAC the token, then under the lock look among the good tokens, the bad ones and the
 * verifications under way. Only when all miss, and an entry is left whose token this could be, a pending
 * verification is made and queued. A verifier thread takes it, tries the token against the candidates without the
 * lock, and under the lock keeps the outcome and collects all who wait. Failure modes: a full queue is
 * VERIFIER_BUSY, or UNAVAILABLE for whoever has to leave it; Argon2 without memory, and shutdown, are UNAVAILABLE
 * and kept nowhere. When the set was replaced meanwhile, a match counts if the new set has the same entry, and a
 * mismatch goes on with the entries that are new.
 *
 *  * v->lock guards all that changes. closing is atomic so that a thread sees it between two Argon2s. */

#include "auth/verifier.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "auth/fair_queue.h"
#include "auth/phc.h"
#include "auth/token_cache.h"
#include "auth/token_form.h"
#include "auth/token_known.h"
#include "auth/token_seen.h"
#include "util/clock.h"

#define HASH_NONFATAL_OOM 1 /* a failed add leaves hh.tbl NULL */
#define HASH_FUNCTION(key, len, hashv) memcpy(&(hashv), (key), sizeof(hashv))
#include <uthash.h>

#define NS_PER_SEC UINT64_C(1000000000)

/* One token being verified, for all who presented it. */
struct pending {
        struct fair_queue_item item;
        UT_hash_handle hh;
        uint8_t mac[TOKEN_MAC_BYTES];
        struct token_tried tried;
        struct verification *waiting;
        size_t len;
        char presented[];
};

struct verifier {
        pthread_mutex_t lock;
        pthread_cond_t queued;         /* or closing */
        struct tokens *_Atomic tokens; /* changed under the lock */
        struct token_known *known;     /* of tokens */
        struct token_cache *bad;
        struct token_seen *seen;
        struct pending *pending;
        struct fair_queue *queue;
        struct metrics *metrics;
        uint64_t bad_ns;
        atomic_bool closing;
        size_t n_threads;
        pthread_t threads[];
};

/* The verifier that the calling thread computes for; NULL: another kind of thread, which must not wait for an
 * Argon2. */
static _Thread_local const struct verifier *computing_for;

static void gauge(struct verifier *v, int64_t n)
{
        if (v->metrics)
                metrics_gauge_add(v->metrics, METRICS_VERIFIER_QUEUE, n);
}

/* ---- on the verifier's threads ---- */

/* A token being compared with the candidates of one set. */
struct run {
        struct principal who; /* the set; and the entry, once one matches */
        struct token_candidates candidates;
        struct token_tried after; /* the pending verification's, if none matches */
};

static void run_begin(struct verifier *v, const struct pending *p, struct run *ret)
{
        pthread_mutex_lock(&v->lock);
        *ret = (struct run){ .who.tokens = tokens_ref(v->tokens),
                             .candidates = token_form_candidates(v->tokens, p->presented, p->len),
                             .after = p->tried };
        token_known_tried(v->known, &ret->candidates, &ret->after);
        pthread_mutex_unlock(&v->lock);
}

/* Must this entry still be tried? Not when it is gone meanwhile, or another thread has learned whose it is. */
static bool is_open(struct verifier *v, const struct pending *p, const struct token *t)
{
        pthread_mutex_lock(&v->lock);
        t = token_known_same(v->known, t);
        bool open = t && token_known_is_open(v->known, t, &p->tried);
        pthread_mutex_unlock(&v->lock);
        return open;
}

static enum verification_outcome try_all(struct verifier *v, const struct pending *p, struct run *run)
{
        enum verification_outcome outcome = VERIFICATION_UNKNOWN;
        const struct token *t = run->candidates.first, *end = t + run->candidates.n;
        assert(computing_for == v);
        for (; t < end; t++) {
                bool match = false;
                if (atomic_load_explicit(&v->closing, memory_order_relaxed))
                        return VERIFICATION_UNAVAILABLE;
                if (!is_open(v, p, t))
                        continue;
                if (v->metrics)
                        metrics_count(v->metrics, METRICS_VERIFICATIONS, 1);
                if (phc_verify(t->secret, p->presented, p->len, &match) < 0)
                        outcome = VERIFICATION_UNAVAILABLE; /* unless a later one matches */
                if (match) {
                        run->who.token = t;
                        return VERIFICATION_OK;
                }
        }
        return outcome;
}

/* False: the entry is gone. */
static bool conclude_good(struct verifier *v, const struct pending *p, struct principal *who)
{
        const struct token *t = token_known_same(v->known, who->token);
        if (!t)
                return false;
        struct tokens *set = tokens_ref(v->tokens);
        principal_done(who);
        *who = (struct principal){ .tokens = set, .token = t };
        token_known_learn(v->known, t, p->mac);
        fair_queue_note_good(v->queue, p->item.from);
        return true;
}

/* False: the present set has entries that were not in the run's. */
static bool conclude_bad(struct verifier *v, struct pending *p, const struct run *run)
{
        p->tried = run->after;
        if (v->tokens != run->who.tokens) {
                struct token_candidates c = token_form_candidates(v->tokens, p->presented, p->len);
                if (token_known_any_open(v->known, &c, &p->tried))
                        return false;
                token_known_tried(v->known, &c, &p->tried);
        }
        token_cache_put(v->bad, p->mac, p->tried, clock_monotonic_ns() + v->bad_ns);
        return true;
}

/* Ends a pending verification. False when it must go on with the present set. */
static bool settle(struct verifier *v, struct pending *p, enum verification_outcome outcome, struct run *run)
{
        bool over = true;
        pthread_mutex_lock(&v->lock);
        if (outcome == VERIFICATION_OK)
                over = conclude_good(v, p, &run->who);
        else if (outcome == VERIFICATION_UNKNOWN)
                over = conclude_bad(v, p, run);
        if (over)
                HASH_DEL(v->pending, p); /* nobody joins from here on: the list of waiters is ours */
        pthread_mutex_unlock(&v->lock);
        return over;
}

static void pending_free(struct pending *p)
{
        if (!p)
                return;
        OPENSSL_cleanse(p->presented, p->len);
        free(p);
}

/* Frees p and answers all who wait for it. */
static void answer_all(struct pending *p, enum verification_outcome outcome, const struct principal *who)
{
        struct verification *waiting = p->waiting;
        pending_free(p);
        while (waiting) {
                struct verification *w = waiting;
                waiting = w->next;
                w->outcome = outcome;
                w->principal = (struct principal){ 0 };
                if (outcome == VERIFICATION_OK)
                        principal_copy(&w->principal, who);
                w->done(w);
        }
}

static void verify(struct verifier *v, struct pending *p)
{
        enum verification_outcome outcome;
        struct run run = { 0 };
        do {
                principal_done(&run.who);
                run_begin(v, p, &run);
                outcome = try_all(v, p, &run);
        } while (!settle(v, p, outcome, &run));
        if (outcome == VERIFICATION_OK && token_form_is_generated(run.who.token, p->presented, p->len))
                token_seen_add(v->seen, run.who.token, p->mac);
        answer_all(p, outcome, &run.who);
        principal_done(&run.who);
}

/* Waits for the next one. NULL: the verifier is closing, and nothing is left to answer. */
static struct pending *next_pending(struct verifier *v)
{
        pthread_mutex_lock(&v->lock);
        struct fair_queue_item *i;
        while (!(i = fair_queue_take(v->queue)) && !atomic_load(&v->closing))
                pthread_cond_wait(&v->queued, &v->lock);
        pthread_mutex_unlock(&v->lock);
        if (i)
                gauge(v, -1);
        return i ? container_of(i, struct pending, item) : NULL;
}

static void *verifier_thread(void *arg)
{
        struct verifier *v = arg;
        struct pending *p;
        computing_for = v;
        pthread_setname_np(pthread_self(), "verifier");
        while ((p = next_pending(v)))
                verify(v, p);
        return NULL;
}

/* ---- on the callers' threads ---- */

static void wait_for(struct pending *p, struct verification *job)
{
        assert(job->done);
        job->next = p->waiting;
        p->waiting = job;
        p->item.waiting++;
}

/* What is presented, and by whom. */
struct visit {
        const char *presented;
        size_t len;
        uint64_t from;
        uint8_t mac[TOKEN_MAC_BYTES];
};

enum { NOT_KNOWN = VERIFIER_BUSY + 1 };

/* From what is remembered, or by joining a verification under way; else NOT_KNOWN, with what was tried before. */
static int answer_known(struct verifier *v, const struct visit *visit, struct verification *job, struct principal *ret,
                        struct token_tried *ret_tried)
{
        struct pending *p = NULL;
        const struct token *t = token_known_find(v->known, visit->mac);
        if (t) {
                fair_queue_note_good(v->queue, visit->from);
                *ret = (struct principal){ .tokens = tokens_ref(v->tokens), .token = t };
                return 0;
        }
        const struct token_tried *tried = token_cache_find(v->bad, visit->mac, clock_monotonic_ns());
        if (tried && token_known_tried_all(v->known, tried))
                return VERIFIER_UNKNOWN;
        *ret_tried = tried ? *tried : (struct token_tried){ 0 };
        HASH_FIND(hh, v->pending, visit->mac, TOKEN_MAC_BYTES, p);
        if (!p)
                return NOT_KNOWN;
        wait_for(p, job);
        return VERIFIER_PENDING;
}

/* Takes p when the result is PENDING. *ret_left: who had to leave the queue instead. */
static int enqueue(struct verifier *v, struct pending *p, struct verification *job, struct pending **ret_left)
{
        HASH_ADD(hh, v->pending, mac, sizeof(p->mac), p);
        if (!p->hh.tbl)
                return -ENOMEM;
        wait_for(p, job);
        struct fair_queue_item *left = fair_queue_push(v->queue, &p->item);
        if (!left) {
                gauge(v, 1);
        } else {
                *ret_left = container_of(left, struct pending, item);
                HASH_DEL(v->pending, *ret_left);
                if (*ret_left == p)
                        return VERIFIER_BUSY;
        }
        pthread_cond_signal(&v->queued);
        return VERIFIER_PENDING;
}

static struct pending *pending_new(const struct visit *visit)
{
        struct pending *p = malloc(sizeof(*p) + visit->len);
        if (!p)
                return NULL;
        memset(p, 0, sizeof(*p));
        memcpy(p->mac, visit->mac, sizeof(p->mac));
        p->item.from = visit->from;
        p->len = visit->len;
        memcpy(p->presented, visit->presented, visit->len);
        return p;
}

/* The token could be an entry's: it is queued, unless another thread came between with the same token. Under the lock;
 * takes p when the result is PENDING. */
static int submit(struct verifier *v, const struct visit *visit, struct pending *p, struct verification *job,
                  struct principal *ret, struct pending **ret_left)
{
        int r = answer_known(v, visit, job, ret, &p->tried);
        if (r != NOT_KNOWN)
                return r;
        struct token_candidates c = token_form_candidates(v->tokens, visit->presented, visit->len);
        if (!token_known_any_open(v->known, &c, &p->tried))
                return VERIFIER_UNKNOWN;
        p->item.names = c.named ? (uint64_t)(c.first - v->tokens->list) + 1 : 0;
        return enqueue(v, p, job, ret_left);
}

static int look_closer(struct verifier *v, const struct visit *visit, struct verification *job, struct principal *ret)
{
        struct pending *p = pending_new(visit), *left = NULL;
        if (!p)
                return -ENOMEM;
        pthread_mutex_lock(&v->lock);
        int r = submit(v, visit, p, job, ret, &left);
        bool queued = r == VERIFIER_PENDING && p->waiting;
        pthread_mutex_unlock(&v->lock);
        if (!queued)
                pending_free(p);
        if (left && left != p)
                answer_all(left, VERIFICATION_UNAVAILABLE, NULL);
        return r;
}

int verifier_check(struct verifier *v, const char *presented, size_t len, uint64_t from, struct verification *job,
                   struct principal *ret)
{
        struct visit visit = { .presented = presented, .len = len, .from = from };
        struct token_tried tried;
        assert(computing_for != v); /* done() must not come back for more */
        int r = token_mac_make(token_seen_mac(v->seen), presented, len, visit.mac);
        if (r < 0)
                return r;
        pthread_mutex_lock(&v->lock);
        r = answer_known(v, &visit, job, ret, &tried);
        struct tokens *set = r == NOT_KNOWN ? tokens_ref(v->tokens) : NULL;
        pthread_mutex_unlock(&v->lock);
        if (r != NOT_KNOWN)
                return r;
        bool hopeless = token_form_candidates(set, presented, len).n == 0;
        tokens_unref(set);
        return hopeless ? VERIFIER_UNKNOWN : look_closer(v, &visit, job, ret);
}

int verifier_set_tokens(struct verifier *v, struct tokens *tokens)
{
        struct token_known *known = NULL;
        struct tokens *old = NULL;
        pthread_mutex_lock(&v->lock);
        int r = token_known_new(tokens, v->known, &known);
        if (r == 0) {
                old = v->tokens;
                v->tokens = tokens_ref(tokens);
                token_known_free(v->known);
                v->known = known;
        }
        pthread_mutex_unlock(&v->lock);
        tokens_unref(old);
        return r;
}

bool verifier_knows(const struct verifier *v, const struct principal *p)
{
        return p->tokens && p->tokens == atomic_load_explicit(&v->tokens, memory_order_relaxed);
}

/* ---- life ---- */

static int start_threads(struct verifier *v, size_t n)
{
        for (; v->n_threads < n; v->n_threads++) {
                int r = pthread_create(&v->threads[v->n_threads], NULL, verifier_thread, v);
                if (r != 0)
                        return -r;
        }
        return 0;
}

static int make_memory(struct verifier *v, const struct verifier_config *config)
{
        v->queue = fair_queue_new(config->queue);
        v->bad = token_cache_new(config->cache_entries);
        if (!v->queue || !v->bad)
                return -ENOMEM;
        int r = token_known_new(v->tokens, NULL, &v->known);
        if (r == 0)
                r = token_seen_open(config->memory_dirfd, &v->seen);
        return r == 0 ? token_seen_teach(v->seen, v->tokens, v->known) : r;
}

int verifier_new(const struct verifier_config *config, struct tokens *tokens, struct verifier **ret)
{
        size_t n = config->threads > 0 ? config->threads : 1;
        _cleanup_(verifier_freep) struct verifier *v = calloc(1, sizeof(*v) + n * sizeof(v->threads[0]));
        if (!v)
                return -ENOMEM;
        pthread_mutex_init(&v->lock, NULL);
        pthread_cond_init(&v->queued, NULL);
        v->tokens = tokens_ref(tokens);
        v->metrics = config->metrics;
        v->bad_ns = config->bad_secs * NS_PER_SEC;
        int r = make_memory(v, config);
        if (r == 0)
                r = start_threads(v, n);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(v);
        return 0;
}

static void end_threads(struct verifier *v)
{
        pthread_mutex_lock(&v->lock);
        atomic_store(&v->closing, true);
        if (v->queue)
                fair_queue_close(v->queue);
        pthread_cond_broadcast(&v->queued);
        pthread_mutex_unlock(&v->lock);
        for (size_t i = 0; i < v->n_threads; i++)
                pthread_join(v->threads[i], NULL);
}

struct verifier *verifier_free(struct verifier *v)
{
        if (!v)
                return NULL;
        assert(computing_for != v); /* it would wait for itself */
        end_threads(v);
        assert(!v->pending); /* all were answered */
        fair_queue_free(v->queue);
        token_cache_free(v->bad);
        token_known_free(v->known);
        token_seen_free(v->seen);
        tokens_unref(v->tokens);
        pthread_cond_destroy(&v->queued);
        pthread_mutex_destroy(&v->lock);
        free(v);
        return NULL;
}
