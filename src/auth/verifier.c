/* verifier_check(): MAC the token, then under the lock look into the cache and among the verifications under way; only
 * when both miss is a pending verification made and queued. A verifier thread takes it, tries the token against the
 * candidates of the present set without the lock, and under the lock caches the outcome and collects all who wait.
 *
 * Failure modes: a full queue is VERIFIER_BUSY; Argon2 without memory, and shutdown, are UNAVAILABLE and cached
 * nowhere. A set replaced meanwhile makes the outcome void: the thread starts again with the new set, so that nobody is
 * answered, and nothing cached, from a set that is no longer the present one.
 *
 * v->lock guards tokens, the cache's entries, the pending table, every list of waiters. Lock order: v->lock, then
 * the queue's own. closing is atomic so that a thread sees it between two Argon2s. */

#include "auth/verifier.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "auth/phc.h"
#include "auth/token_cache.h"
#include "util/clock.h"
#include "util/work_queue.h"

#define HASH_NONFATAL_OOM 1 /* a failed add leaves hh.tbl NULL */
#define HASH_FUNCTION(key, len, hashv) memcpy(&(hashv), (key), sizeof(hashv))
#include <uthash.h>

#define GENERATED_SECRET_CHARS 43 /* 256 bits of base64url */
#define NS_PER_SEC UINT64_C(1000000000)

/* One token being verified, for all who presented it. */
struct pending {
        struct work work;
        UT_hash_handle hh;
        uint8_t mac[TOKEN_CACHE_MAC_BYTES];
        struct verification *waiting;
        size_t len;
        char presented[];
};

struct verifier {
        pthread_mutex_t lock;
        struct tokens *_Atomic tokens; /* changed under the lock */
        struct token_cache *cache;
        struct pending *pending;
        struct work_queue *queue;
        struct metrics *metrics;
        uint64_t good_ns, bad_ns;
        atomic_bool closing;
        size_t n_threads;
        pthread_t threads[];
};

/* The verifier that the calling thread computes for; NULL: another kind of thread, which must not wait for an
 * Argon2. */
static _Thread_local const struct verifier *computing_for;

/* ---- which entries a token may be ---- */

static bool is_base64url(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                bool alnum =
                        (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
                if (!alnum && s[i] != '-' && s[i] != '_')
                        return false;
        }
        return true;
}

/* dt_<id>_<43 characters>: the length of the secret tells where the id ends, whatever underscores either holds.
 * 0 when the token has another form. */
static size_t generated_id_len(const char *presented, size_t len)
{
        const size_t around = 3 + 1 + GENERATED_SECRET_CHARS;
        if (len <= around || memcmp(presented, "dt_", 3) != 0)
                return 0;
        size_t id_len = len - around;
        if (presented[3 + id_len] != '_' || !is_base64url(presented + 4 + id_len, GENERATED_SECRET_CHARS))
                return 0;
        return id_len;
}

/* The entry that a token beginning with "dt_" names: by the generated form, else the longest id that fits. */
static const struct token *named_entry(const struct tokens *set, const char *presented, size_t len, size_t generated)
{
        const struct token *longest = NULL;
        size_t longest_len = 0;
        for (size_t i = 0; i < set->n; i++) {
                size_t id_len = strlen(set->list[i].id);
                if (id_len + 4 > len || presented[3 + id_len] != '_' ||
                    memcmp(presented + 3, set->list[i].id, id_len) != 0)
                        continue;
                if (id_len == generated)
                        return &set->list[i];
                if (id_len > longest_len) {
                        longest = &set->list[i];
                        longest_len = id_len;
                }
        }
        return longest;
}

/* The entries to try, a run of the set's list; none for a generated token whose id nobody has. */
static size_t candidates(const struct tokens *set, const char *presented, size_t len, const struct token **ret_first)
{
        *ret_first = set->list;
        if (len < 3 || memcmp(presented, "dt_", 3) != 0)
                return set->n;
        size_t generated = generated_id_len(presented, len);
        const struct token *named = named_entry(set, presented, len, generated);
        if (named) {
                *ret_first = named;
                return 1;
        }
        return generated > 0 ? 0 : set->n;
}

/* ---- on the verifier's threads ---- */

static enum verification_outcome try_all(struct verifier *v, const struct tokens *set, const struct pending *p,
                                         const struct token **ret)
{
        const struct token *t = NULL;
        enum verification_outcome outcome = VERIFICATION_UNKNOWN;
        assert(computing_for == v);
        for (size_t n = candidates(set, p->presented, p->len, &t); n > 0; n--, t++) {
                bool match = false;
                if (atomic_load_explicit(&v->closing, memory_order_relaxed))
                        return VERIFICATION_UNAVAILABLE;
                if (v->metrics)
                        metrics_count(v->metrics, METRICS_VERIFICATIONS, 1);
                if (phc_verify(t->secret, p->presented, p->len, &match) < 0)
                        outcome = VERIFICATION_UNAVAILABLE; /* unless a later one matches */
                if (match) {
                        *ret = t;
                        return VERIFICATION_OK;
                }
        }
        return outcome;
}

static void remember(struct verifier *v, const struct pending *p, enum verification_outcome outcome,
                     struct principal *who)
{
        uint64_t now = clock_monotonic_ns();
        assert((outcome == VERIFICATION_OK) == (who->token != NULL));
        who->until_ns = now + v->good_ns;
        if (outcome == VERIFICATION_OK)
                token_cache_put(v->cache, p->mac, who->token, who->until_ns);
        else if (outcome == VERIFICATION_UNKNOWN)
                token_cache_put(v->cache, p->mac, NULL, now + v->bad_ns);
}

/* Ends a pending verification unless the set has changed since; false then. */
static bool settle(struct verifier *v, struct pending *p, enum verification_outcome outcome, struct principal *who)
{
        pthread_mutex_lock(&v->lock);
        bool present = v->tokens == who->tokens || outcome == VERIFICATION_UNAVAILABLE;
        if (present) {
                remember(v, p, outcome, who);
                HASH_DEL(v->pending, p); /* nobody joins from here on: the list of waiters is ours */
        }
        pthread_mutex_unlock(&v->lock);
        return present;
}

static void pending_free(struct pending *p)
{
        if (!p)
                return;
        OPENSSL_cleanse(p->presented, p->len);
        free(p);
}

static void answer_all(struct verification *waiting, enum verification_outcome outcome, const struct principal *who)
{
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
        _cleanup_(principal_done) struct principal who = { 0 };
        do {
                principal_done(&who);
                who.tokens = verifier_tokens(v);
                outcome = try_all(v, who.tokens, p, &who.token);
        } while (!settle(v, p, outcome, &who));
        struct verification *waiting = p->waiting;
        pending_free(p);
        answer_all(waiting, outcome, &who);
}

static void *verifier_thread(void *arg)
{
        struct verifier *v = arg;
        struct work *w;
        computing_for = v;
        pthread_setname_np(pthread_self(), "verifier");
        while ((w = work_queue_take(v->queue, 1, -1, NULL))) {
                if (v->metrics)
                        metrics_gauge_add(v->metrics, METRICS_VERIFIER_QUEUE, -1);
                verify(v, container_of(w, struct pending, work));
        }
        return NULL;
}

/* ---- on the callers' threads ---- */

static void wait_for(struct pending *p, struct verification *job)
{
        assert(job->done);
        job->next = p->waiting;
        p->waiting = job;
}

enum { NOT_KNOWN = VERIFIER_BUSY + 1 };

/* From the cache, or by joining a verification under way; else NOT_KNOWN. */
static int answer_known(struct verifier *v, const uint8_t mac[TOKEN_CACHE_MAC_BYTES], struct verification *job,
                        struct principal *ret)
{
        const struct token *token = NULL;
        struct pending *p = NULL;
        uint64_t until_ns;
        if (token_cache_find(v->cache, mac, clock_monotonic_ns(), &token, &until_ns) == 0) {
                if (!token)
                        return VERIFIER_UNKNOWN;
                *ret = (struct principal){ .tokens = tokens_ref(v->tokens), .token = token, .until_ns = until_ns };
                return 0;
        }
        HASH_FIND(hh, v->pending, mac, TOKEN_CACHE_MAC_BYTES, p);
        if (!p)
                return NOT_KNOWN;
        wait_for(p, job);
        return VERIFIER_PENDING;
}

/* Takes p when the result is PENDING. The gauge goes up first: a thread may take p before push returns. */
static int enqueue(struct verifier *v, struct pending *p, struct verification *job)
{
        HASH_ADD(hh, v->pending, mac, sizeof(p->mac), p);
        if (!p->hh.tbl)
                return -ENOMEM;
        wait_for(p, job);
        if (v->metrics)
                metrics_gauge_add(v->metrics, METRICS_VERIFIER_QUEUE, 1);
        if (work_queue_push(v->queue, &p->work) == 0)
                return VERIFIER_PENDING;
        if (v->metrics)
                metrics_gauge_add(v->metrics, METRICS_VERIFIER_QUEUE, -1);
        HASH_DEL(v->pending, p);
        return VERIFIER_BUSY;
}

static struct pending *pending_new(const uint8_t mac[TOKEN_CACHE_MAC_BYTES], const char *presented, size_t len)
{
        struct pending *p = malloc(sizeof(*p) + len);
        if (!p)
                return NULL;
        memset(p, 0, sizeof(*p));
        memcpy(p->mac, mac, sizeof(p->mac));
        p->len = len;
        memcpy(p->presented, presented, len);
        return p;
}

/* The second look is for another thread that came between with the same token. */
static int submit(struct verifier *v, const uint8_t mac[TOKEN_CACHE_MAC_BYTES], const char *presented, size_t len,
                  struct verification *job, struct principal *ret)
{
        struct pending *p = pending_new(mac, presented, len);
        if (!p)
                return -ENOMEM;
        pthread_mutex_lock(&v->lock);
        int r = answer_known(v, mac, job, ret);
        bool ours = r == NOT_KNOWN;
        if (ours)
                r = enqueue(v, p, job);
        pthread_mutex_unlock(&v->lock);
        if (!ours || r != VERIFIER_PENDING)
                pending_free(p);
        return r;
}

int verifier_check(struct verifier *v, const char *presented, size_t len, struct verification *job,
                   struct principal *ret)
{
        uint8_t mac[TOKEN_CACHE_MAC_BYTES];
        assert(computing_for != v); /* done() must not come back for more */
        int r = token_cache_mac(v->cache, presented, len, mac);
        if (r < 0)
                return r;
        pthread_mutex_lock(&v->lock);
        r = answer_known(v, mac, job, ret);
        struct tokens *set = r == NOT_KNOWN ? tokens_ref(v->tokens) : NULL;
        pthread_mutex_unlock(&v->lock);
        if (r != NOT_KNOWN)
                return r;

        const struct token *first;
        bool hopeless = candidates(set, presented, len, &first) == 0;
        tokens_unref(set);
        return hopeless ? VERIFIER_UNKNOWN : submit(v, mac, presented, len, job, ret);
}

struct tokens *verifier_tokens(struct verifier *v)
{
        pthread_mutex_lock(&v->lock);
        struct tokens *t = tokens_ref(v->tokens);
        pthread_mutex_unlock(&v->lock);
        return t;
}

void verifier_set_tokens(struct verifier *v, struct tokens *tokens)
{
        pthread_mutex_lock(&v->lock);
        struct tokens *old = v->tokens;
        v->tokens = tokens_ref(tokens);
        token_cache_clear(v->cache);
        pthread_mutex_unlock(&v->lock);
        tokens_unref(old);
}

bool verifier_knows(const struct verifier *v, const struct principal *p, uint64_t now_ns)
{
        return p->tokens && p->tokens == atomic_load_explicit(&v->tokens, memory_order_relaxed) && now_ns < p->until_ns;
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

int verifier_new(const struct verifier_config *config, struct tokens *tokens, struct verifier **ret)
{
        size_t n = config->threads > 0 ? config->threads : 1;
        _cleanup_(verifier_freep) struct verifier *v = calloc(1, sizeof(*v) + n * sizeof(v->threads[0]));
        if (!v)
                return -ENOMEM;
        pthread_mutex_init(&v->lock, NULL);
        v->tokens = tokens_ref(tokens);
        v->metrics = config->metrics;
        v->good_ns = config->good_secs * NS_PER_SEC;
        v->bad_ns = config->bad_secs * NS_PER_SEC;
        v->queue = work_queue_new(config->queue, SIZE_MAX);
        if (!v->queue)
                return -ENOMEM;
        int r = token_cache_new(config->cache_entries, &v->cache);
        if (r == 0)
                r = start_threads(v, n);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(v);
        return 0;
}

struct verifier *verifier_free(struct verifier *v)
{
        if (!v)
                return NULL;
        assert(computing_for != v); /* it would wait for itself */
        atomic_store(&v->closing, true);
        if (v->queue)
                work_queue_close(v->queue);
        for (size_t i = 0; i < v->n_threads; i++)
                pthread_join(v->threads[i], NULL);
        work_queue_free(v->queue);
        token_cache_free(v->cache);
        assert(!v->pending); /* all were answered */
        tokens_unref(v->tokens);
        pthread_mutex_destroy(&v->lock);
        free(v);
        return NULL;
}
