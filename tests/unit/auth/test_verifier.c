/* The verifier and its cache. The PHC functions and the metrics are replaced here, by symbols of this file, so that a
 * test can hold a verification, let it fail, and count: phc_verify() compares with libargon2 itself, behind a gate. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <argon2.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/fair_queue.h"
#include "auth/phc.h"
#include "auth/token_cache.h"
#include "auth/verifier.h"

/* ---- the doubles ---- */

struct metrics {
        atomic_int verifications, queue;
};

void metrics_count(struct metrics *m, enum metrics_counter c, uint64_t n)
{
        assert_int_equal(c, METRICS_VERIFICATIONS);
        atomic_fetch_add(&m->verifications, (int)n);
}

void metrics_gauge_add(struct metrics *m, enum metrics_gauge g, int64_t n)
{
        assert_int_equal(g, METRICS_VERIFIER_QUEUE);
        atomic_fetch_add(&m->queue, (int)n);
}

static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool shut;
        int inside, calls; /* verifications waiting at the gate; ever begun */
        bool no_memory;
        bool closing; /* the queue has been closed */
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void gate_set(bool shut)
{
        pthread_mutex_lock(&gate.lock);
        gate.shut = shut;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

/* Until so many verifications stand at the gate. */
static void gate_await(int inside)
{
        pthread_mutex_lock(&gate.lock);
        while (gate.inside < inside)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

void __real_fair_queue_close(struct fair_queue *q);
void __wrap_fair_queue_close(struct fair_queue *q);
void __wrap_fair_queue_close(struct fair_queue *q)
{
        __real_fair_queue_close(q);
        pthread_mutex_lock(&gate.lock);
        gate.closing = true;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

/* Until verifier_free() has begun in another thread. */
static void gate_await_closing(void)
{
        pthread_mutex_lock(&gate.lock);
        while (!gate.closing)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

int phc_check(const char *phc, struct error *err)
{
        (void)phc, (void)err;
        return 0;
}

int phc_verify(const char *phc, const char *secret, size_t secret_len, bool *ret_match)
{
        pthread_mutex_lock(&gate.lock);
        gate.inside++;
        gate.calls++;
        pthread_cond_broadcast(&gate.changed);
        while (gate.shut)
                pthread_cond_wait(&gate.changed, &gate.lock);
        gate.inside--;
        bool fail = gate.no_memory;
        pthread_mutex_unlock(&gate.lock);
        if (fail)
                return -ENOMEM;
        *ret_match = argon2_verify(phc, secret, secret_len, Argon2_id) == ARGON2_OK;
        return 0;
}

static int calls(void)
{
        pthread_mutex_lock(&gate.lock);
        int n = gate.calls;
        pthread_mutex_unlock(&gate.lock);
        return n;
}

/* ---- token sets and waiting callers ---- */

#define SECRET43 "abcdefghijklmnopqrstuvwxyz-_0123456789ABCDE"

/* n pairs of id and secret. */
static struct tokens *tokens_of(size_t n, const char *const pairs[][2])
{
        struct tokens *set = calloc(1, sizeof(*set));
        assert_non_null(set);
        set->list = calloc(n, sizeof(*set->list));
        assert_non_null(set->list);
        set->n = n;
        atomic_init(&set->refs, 1);
        for (size_t i = 0; i < n; i++) {
                char encoded[256];
                const char *secret = pairs[i][1];
                assert_int_equal(argon2id_hash_encoded(1, 8, 1, secret, strlen(secret), "somesalt", 8, 16, encoded,
                                                       sizeof(encoded)),
                                 ARGON2_OK);
                set->list[i] = (struct token){ .id = strdup(pairs[i][0]),
                                               .secret = strdup(encoded),
                                               .project = strdup("acme"),
                                               .source_prefix = strdup("acme/") };
        }
        return set;
}

struct caller {
        struct verification job;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        int answers;
};

static void answered(struct verification *v)
{
        struct caller *c = container_of(v, struct caller, job);
        pthread_mutex_lock(&c->lock);
        c->answers++;
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

static void caller_init(struct caller *c)
{
        *c = (struct caller){ .job.done = answered };
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->changed, NULL);
}

static enum verification_outcome caller_await(struct caller *c)
{
        pthread_mutex_lock(&c->lock);
        while (c->answers == 0)
                pthread_cond_wait(&c->changed, &c->lock);
        pthread_mutex_unlock(&c->lock);
        assert_int_equal(c->answers, 1);
        return c->job.outcome;
}

static int begin(struct verifier *v, const char *presented, struct caller *c)
{
        struct principal p = { 0 };
        caller_init(c);
        int r = verifier_check(v, presented, strlen(presented), 0, &c->job, &p);
        principal_done(&p);
        return r;
}

/* The id of whom the token is, "-" for nobody, "?" when nobody could look; waits as needed. */
static const char *identify(struct verifier *v, const char *presented)
{
        static char id[80];
        struct caller c;
        struct principal p = { 0 };
        caller_init(&c);
        int r = verifier_check(v, presented, strlen(presented), 0, &c.job, &p);
        enum verification_outcome outcome = VERIFICATION_OK;
        if (r == VERIFIER_PENDING) {
                outcome = caller_await(&c);
                p = c.job.principal;
        } else if (r == VERIFIER_UNKNOWN) {
                outcome = VERIFICATION_UNKNOWN;
        } else {
                assert_int_equal(r, 0);
        }
        if (outcome != VERIFICATION_OK)
                assert_null(p.tokens);
        snprintf(id, sizeof(id), "%s",
                 outcome == VERIFICATION_OK        ? p.token->id
                 : outcome == VERIFICATION_UNKNOWN ? "-"
                                                   : "?");
        principal_done(&p);
        return id;
}

static struct metrics metrics;
static const struct verifier_config usual = {
        .threads = 1, .queue = 2, .cache_entries = 100, .bad_secs = 600, .memory_dirfd = -1, .metrics = &metrics
};

static struct verifier *verifier_of(const struct verifier_config *config, size_t n, const char *const pairs[][2])
{
        struct verifier *v = NULL;
        _cleanup_(tokens_unrefp) struct tokens *set = tokens_of(n, pairs);
        assert_int_equal(verifier_new(config, set, &v), 0);
        return v;
}

static int reset(void **state)
{
        (void)state;
        atomic_store(&metrics.verifications, 0);
        atomic_store(&metrics.queue, 0);
        gate.shut = gate.no_memory = gate.closing = false;
        gate.inside = gate.calls = 0;
        return 0;
}

static int quiet(void **state)
{
        (void)state;
        return atomic_load(&metrics.queue) == 0 && gate.inside == 0 ? 0 : -1;
}

/* ---- tests ---- */

static void cached_after_one(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" }, { "two", "second" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 2, pairs);
        assert_string_equal(identify(v, "second"), "two");
        assert_int_equal(calls(), 2);
        assert_string_equal(identify(v, "nobody's"), "-");
        assert_int_equal(calls(), 3); /* the second entry's token is known: it is not this one */
        for (int i = 0; i < 3; i++) {
                assert_string_equal(identify(v, "second"), "two");
                assert_string_equal(identify(v, "nobody's"), "-");
        }
        assert_string_equal(identify(v, "first"), "one");
        assert_int_equal(calls(), 4); /* all but this were remembered */
        assert_string_equal(identify(v, ""), "-");
        assert_string_equal(identify(v, "another"), "-");
        assert_int_equal(calls(), 4); /* all entries' tokens are known: no other token needs an Argon2 */
        assert_int_equal(atomic_load(&metrics.verifications), 4);
}

/* Which entries a token is compared with, by the number of Argon2s. */
static void named_entries(void **state)
{
        (void)state;
        const char *const pairs[][2] = {
                { "a", "dt_a_" SECRET43 },
                { "a_b", "dt_a_b_" SECRET43 },
                { "c_d", "dt_c_d_short" },
                { "plain", "no such prefix" },
                { "x", "dt_x_b_cdefghijklmnopqrstuvwxyz-_0123456789ABCDE" },
                { "x_b", "never" },
                { "odd", "dt_odd-one" },
        };
        const struct {
                const char *presented, *who;
                int cost;
        } cases[] = {
                { "dt_a_" SECRET43, "a", 1 },
                { "dt_a_b_" SECRET43, "a_b", 1 },
                { "dt_c_d_short", "c_d", 1 },
                { "no such prefix", "plain", 4 },
                { "dt_x_b_cdefghijklmnopqrstuvwxyz-_0123456789ABCDE", "x", 1 }, /* not x_b: see its length */
                { "dt_odd-one", "odd", 7 },                                     /* of no generated form */
                { "dt_a_wrong", "-", 1 },
                { "dt_a_b_wrong", "-", 1 }, /* a_b only, the longest */
                { "dt_z_" SECRET43, "-", 0 },
                { "dt_z_z_" SECRET43, "-", 0 },
                { "dt__" SECRET43, "-", 7 }, /* an id has at least a character */
                { "dt_z_" SECRET43 "=", "-", 7 },
                { "dt_", "-", 7 },
                { "dt", "-", 7 },
                { "dt_a", "-", 7 },
                { "dt_a_", "-", 1 },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, ARRAY_LEN(pairs), pairs);
                int before = calls();
                const char *who = identify(v, cases[i].presented);
                if (strcmp(who, cases[i].who) != 0 || calls() - before != cases[i].cost)
                        fail_msg("%s: %s at %d, not %s at %d", cases[i].presented, who, calls() - before, cases[i].who,
                                 cases[i].cost);
        }
}

static void same_token_joins(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 1, pairs);
        struct caller callers[20], other;
        gate_set(true);
        for (size_t i = 0; i < ARRAY_LEN(callers); i++) { /* far more than the queue holds */
                assert_int_equal(begin(v, "first", &callers[i]), VERIFIER_PENDING);
                if (i == 0)
                        gate_await(1); /* some join a running one */
        }
        assert_int_equal(begin(v, "other", &other), VERIFIER_PENDING);
        gate_set(false);
        for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
                assert_int_equal(caller_await(&callers[i]), VERIFICATION_OK);
                assert_string_equal(callers[i].job.principal.token->id, "one");
                principal_done(&callers[i].job.principal);
        }
        assert_int_equal(caller_await(&other), VERIFICATION_UNKNOWN);
        assert_int_equal(calls(),
                         1); /* once the entry's token is known, another one costs nothing, even in the queue */
}

static void full_queue_is_busy(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" }, { "two", "second" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 2, pairs);
        struct caller a, b, c, d;
        assert_string_equal(identify(v, "first"), "one");
        gate_set(true);
        assert_int_equal(begin(v, "a", &a), VERIFIER_PENDING);
        gate_await(1); /* the thread is busy; two more may wait */
        assert_int_equal(begin(v, "b", &b), VERIFIER_PENDING);
        assert_int_equal(begin(v, "c", &c), VERIFIER_PENDING);
        assert_int_equal(atomic_load(&metrics.queue), 2);
        assert_int_equal(begin(v, "d", &d), VERIFIER_BUSY);
        assert_int_equal(begin(v, "d", &d), VERIFIER_BUSY); /* and it left nothing to join */
        assert_int_equal(atomic_load(&metrics.queue), 2);
        assert_string_equal(identify(v, "first"), "one"); /* known tokens are unaffected */
        gate_set(false);
        assert_int_equal(caller_await(&a), VERIFICATION_UNKNOWN);
        assert_int_equal(caller_await(&b), VERIFICATION_UNKNOWN);
        assert_int_equal(caller_await(&c), VERIFICATION_UNKNOWN);
        assert_string_equal(identify(v, "d"), "-"); /* busy was not remembered */
}

/* A guessing address fills the queue: its newest guess makes room for somebody else. */
static void newcomer_takes_the_place_of_a_guess(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" }, { "two", "second" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 2, pairs);
        struct caller a, b, c, good;
        struct principal p = { 0 };
        gate_set(true);
        assert_int_equal(begin(v, "a", &a), VERIFIER_PENDING);
        gate_await(1);
        assert_int_equal(begin(v, "b", &b), VERIFIER_PENDING);
        assert_int_equal(begin(v, "c", &c), VERIFIER_PENDING);
        caller_init(&good);
        assert_int_equal(verifier_check(v, "second", 6, 7, &good.job, &p), VERIFIER_PENDING);
        assert_int_equal(caller_await(&c), VERIFICATION_UNAVAILABLE); /* while the thread still stands at the gate */
        assert_int_equal(atomic_load(&metrics.queue), 2);
        gate_set(false);
        assert_int_equal(caller_await(&good), VERIFICATION_OK);
        principal_done(&good.job.principal);
        assert_int_equal(caller_await(&a), VERIFICATION_UNKNOWN);
        assert_int_equal(caller_await(&b), VERIFICATION_UNKNOWN);
        assert_string_equal(identify(v, "c"), "-");
}

static void new_set_counts_at_once(void **state)
{
        (void)state;
        const char *const old_pairs[][2] = { { "one", "first" } }, *const new_pairs[][2] = { { "two", "second" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 1, old_pairs);
        _cleanup_(tokens_unrefp) struct tokens *set = tokens_of(1, new_pairs);
        struct principal kept = { 0 };
        struct caller c;
        assert_string_equal(identify(v, "first"), "one");
        assert_string_equal(identify(v, "second"), "-");
        assert_int_equal(verifier_check(v, "first", 5, 0, &c.job, &kept), 0);

        assert_int_equal(verifier_set_tokens(v, set), 0);
        assert_string_equal(identify(v, "first"), "-");
        assert_string_equal(identify(v, "second"), "two");
        assert_string_equal(kept.token->id, "one"); /* a principal keeps its set alive */
        struct principal copy = { 0 };
        principal_copy(&copy, &kept);
        principal_done(&kept);
        assert_null(kept.tokens);
        assert_string_equal(copy.token->id, "one");
        principal_done(&copy);
}

/* A set replaced while a token is being verified, and while another waits. */
static void new_set_voids_a_running_verification(void **state)
{
        (void)state;
        const char *const old_pairs[][2] = { { "one", "first" } }, *const new_pairs[][2] = { { "two", "second" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 1, old_pairs);
        _cleanup_(tokens_unrefp) struct tokens *set = tokens_of(1, new_pairs);
        struct caller removed, added, late;
        gate_set(true);
        assert_int_equal(begin(v, "first", &removed), VERIFIER_PENDING);
        gate_await(1);
        assert_int_equal(begin(v, "second", &added), VERIFIER_PENDING);
        assert_int_equal(verifier_set_tokens(v, set), 0);
        assert_int_equal(begin(v, "first", &late), VERIFIER_PENDING); /* joins what was begun with the old set */
        gate_set(false);
        assert_int_equal(caller_await(&removed), VERIFICATION_UNKNOWN);
        assert_int_equal(caller_await(&late), VERIFICATION_UNKNOWN);
        assert_int_equal(caller_await(&added), VERIFICATION_OK);
        assert_string_equal(added.job.principal.token->id, "two");
        principal_done(&added.job.principal);
        int before = calls();
        assert_string_equal(identify(v, "first"), "-");
        assert_string_equal(identify(v, "second"), "two");
        assert_int_equal(calls(), before); /* and both outcomes were kept, for the new set */
}

/* The same, but the entry is still there: nothing is computed twice. */
static void new_set_leaves_a_running_verification(void **state)
{
        (void)state;
        const char *const old_pairs[][2] = { { "one", "first" }, { "two", "second" } };
        const char *const new_pairs[][2] = { { "new", "third" }, { "two", "second" }, { "one", "first" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 2, old_pairs);
        _cleanup_(tokens_unrefp) struct tokens *set = tokens_of(3, new_pairs);
        struct caller good, bad;
        gate_set(true);
        assert_int_equal(begin(v, "second", &good), VERIFIER_PENDING);
        gate_await(1);
        assert_int_equal(verifier_set_tokens(v, set), 0);
        gate_set(false);
        assert_int_equal(caller_await(&good), VERIFICATION_OK);
        assert_ptr_equal(good.job.principal.tokens, set); /* the new set's entry */
        assert_ptr_equal(good.job.principal.token, &set->list[1]);
        principal_done(&good.job.principal);
        assert_int_equal(calls(), 2);

        _cleanup_(tokens_unrefp) struct tokens *more =
                tokens_of(2, (const char *const[][2]){ { "one", "first" }, { "late", "fourth" } });
        gate_set(true);
        assert_int_equal(begin(v, "neither", &bad), VERIFIER_PENDING); /* new and one are open */
        gate_await(1);
        assert_int_equal(verifier_set_tokens(v, more), 0);
        gate_set(false);
        assert_int_equal(caller_await(&bad), VERIFICATION_UNKNOWN);
        assert_int_equal(calls(), 5); /* new, one, then only late */
}

/* A reload forgets what changed, and nothing else. */
static void reload_keeps_outcomes(void **state)
{
        (void)state;
        const char *const old_pairs[][2] = {
                { "kept", "dt_kept_" SECRET43 }, { "changed", "old" }, { "removed", "gone" }, { "open", "unused" }
        };
        const char *const new_pairs[][2] = { { "added", "dt_added_" SECRET43 },
                                             { "changed", "new" },
                                             { "kept", "dt_kept_" SECRET43 },
                                             { "open", "unused" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 4, old_pairs);
        _cleanup_(tokens_unrefp) struct tokens *set = tokens_of(4, new_pairs);
        struct principal p = { 0 };
        struct caller c;
        assert_string_equal(identify(v, "dt_kept_" SECRET43), "kept");
        assert_string_equal(identify(v, "old"), "changed");
        assert_string_equal(identify(v, "gone"), "removed");
        assert_string_equal(identify(v, "new"), "-");
        assert_string_equal(identify(v, "bad"), "-");
        assert_string_equal(identify(v, "dt_open_bad"), "-");
        assert_string_equal(identify(v, "dt_added_" SECRET43), "-");

        free(set->list[2].project);
        set->list[2].project = strdup("other");
        assert_int_equal(verifier_set_tokens(v, set), 0);
        int before = calls();
        assert_int_equal(verifier_check(v, "dt_kept_" SECRET43, strlen("dt_kept_" SECRET43), 0, &c.job, &p), 0);
        assert_string_equal(p.token->project, "other"); /* at once */
        principal_done(&p);
        assert_string_equal(identify(v, "dt_open_bad"), "-");
        assert_int_equal(calls(), before);
        assert_string_equal(identify(v, "bad"), "-");
        assert_int_equal(calls(), before + 2); /* only added and changed are new to it */
        assert_string_equal(identify(v, "bad"), "-");
        assert_int_equal(calls(), before + 2);
        assert_string_equal(identify(v, "dt_added_" SECRET43), "added"); /* bad before, good now */
        assert_string_equal(identify(v, "new"), "changed");
        assert_string_equal(identify(v, "old"), "-");
        assert_string_equal(identify(v, "gone"), "-");
}

/* However many bad tokens come, a good one costs nothing. */
static void good_tokens_stay(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" }, { "two", "second" } };
        struct verifier_config config = usual;
        config.cache_entries = 1;
        config.bad_secs = 0;
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&config, 2, pairs);
        assert_string_equal(identify(v, "first"), "one");
        for (int i = 0; i < 3; i++) {
                char bad[] = "bad 0";
                bad[4] = (char)('0' + i);
                assert_string_equal(identify(v, bad), "-");
                assert_string_equal(identify(v, "first"), "one");
        }
        assert_int_equal(calls(), 4); /* one for each bad token, with the entry that nobody used yet */
        assert_string_equal(identify(v, "second"), "two");
        assert_string_equal(identify(v, "bad 4"), "-");
        assert_int_equal(calls(), 5);
}

static void no_memory_is_no_verdict(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" } };
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&usual, 1, pairs);
        gate.no_memory = true;
        assert_string_equal(identify(v, "first"), "?");
        pthread_mutex_lock(&gate.lock);
        gate.no_memory = false;
        pthread_mutex_unlock(&gate.lock);
        assert_string_equal(identify(v, "first"), "one"); /* nor remembered */
}

/* What is queued at the end is answered, and not with a verdict. */
static void end_answers_all(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" }, { "two", "second" } };
        struct verifier_config config = usual;
        config.queue = 16; /* so that the last one is refused for the end alone */
        struct verifier *v = verifier_of(&config, 2, pairs);
        struct caller running, queued, joined, late;
        pthread_t freeing;
        gate_set(true);
        assert_int_equal(begin(v, "second", &running), VERIFIER_PENDING);
        gate_await(1);
        assert_int_equal(begin(v, "first", &queued), VERIFIER_PENDING);
        assert_int_equal(begin(v, "first", &joined), VERIFIER_PENDING);
        assert_int_equal(pthread_create(&freeing, NULL, (void *(*)(void *))verifier_free, v), 0);
        gate_await_closing();
        int r = begin(v, "neither", &late);
        gate_set(false);
        assert_int_equal(pthread_join(freeing, NULL), 0);
        assert_int_equal(r, VERIFIER_BUSY);
        assert_int_equal(queued.answers, 1);
        assert_int_equal(queued.job.outcome, VERIFICATION_UNAVAILABLE);
        assert_int_equal(joined.answers, 1);
        assert_int_equal(joined.job.outcome, VERIFICATION_UNAVAILABLE);
        assert_int_equal(running.answers, 1); /* it had one of two entries behind it: no verdict either */
        assert_int_equal(running.job.outcome, VERIFICATION_UNAVAILABLE);
        assert_int_equal(calls(), 1);
}

static void end_when_idle(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" } };
        struct verifier *v = verifier_of(&usual, 1, pairs);
        assert_null(verifier_free(v));
        assert_null(verifier_free(NULL));
}

struct hammer {
        struct verifier *v;
        int wrong;
};

static void *hammer(void *arg)
{
        struct hammer *h = arg;
        const char *const presented[] = { "first", "second", "neither", "dt_z_" SECRET43 };
        for (int i = 0; i < 200; i++) {
                const char *token = presented[i % 4];
                struct caller c;
                struct principal p = { 0 };
                caller_init(&c);
                int r = verifier_check(h->v, token, strlen(token), 0, &c.job, &p);
                if (r == VERIFIER_BUSY)
                        continue;
                if (r == VERIFIER_PENDING && caller_await(&c) == VERIFICATION_OK)
                        p = c.job.principal;
                const char *who = p.token ? p.token->id : "-";
                const char *right = i % 4 == 0 ? "one" : i % 4 == 1 ? "two" : "-";
                h->wrong += strcmp(who, right) != 0;
                principal_done(&p);
        }
        return NULL;
}

/* Many threads and reloads of an equal set: no answer is ever wrong (the thread sanitizer watches the rest). */
static void many_threads(void **state)
{
        (void)state;
        const char *const pairs[][2] = { { "one", "first" }, { "two", "second" } };
        struct verifier_config config = usual;
        config.threads = 2;
        config.queue = 16;
        config.cache_entries = 2;
        _cleanup_(verifier_freep) struct verifier *v = verifier_of(&config, 2, pairs);
        pthread_t threads[4];
        struct hammer hammers[4];
        for (size_t i = 0; i < 4; i++) {
                hammers[i] = (struct hammer){ .v = v };
                assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
        }
        for (int i = 0; i < 20; i++) {
                _cleanup_(tokens_unrefp) struct tokens *set = tokens_of(2, pairs);
                assert_int_equal(verifier_set_tokens(v, set), 0);
        }
        for (size_t i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(hammers[i].wrong, 0);
        }
}

/* How long a caller may rely on an answer: until the next reload. */
static void principals_hold_for_a_set(void **state)
{
        (void)state;
        struct principal p = { 0 };
        struct caller c;
        const char *const pairs[][2] = { { "one", "first" } };
        struct verifier *v = verifier_of(&usual, 1, pairs);
        assert_false(verifier_knows(v, &p)); /* nobody */
        assert_int_equal(begin(v, "first", &c), VERIFIER_PENDING);
        assert_int_equal(caller_await(&c), VERIFICATION_OK);
        p = c.job.principal;
        assert_true(verifier_knows(v, &p));
        _cleanup_(tokens_unrefp) struct tokens *same = tokens_of(1, pairs);
        assert_int_equal(verifier_set_tokens(v, same), 0);
        assert_false(verifier_knows(v, &p));
        principal_done(&p);
        verifier_free(v);
}

static void cache_ages_and_bounds(void **state)
{
        (void)state;
        _cleanup_(token_cache_freep) struct token_cache *c = token_cache_new(2);
        const struct token_tried one = { .set = 1 }, two = { .set = 2 };
        uint8_t a[TOKEN_MAC_BYTES] = "a", b[TOKEN_MAC_BYTES] = "b", d[TOKEN_MAC_BYTES] = "b";
        d[TOKEN_MAC_BYTES - 1] = 1; /* the same hash as b */
        assert_non_null(c);
        assert_null(token_cache_find(c, a, 0));
        token_cache_put(c, a, one, 100);
        assert_int_equal(token_cache_find(c, a, 99)->set, 1);
        assert_null(token_cache_find(c, a, 100));
        assert_null(token_cache_find(c, a, 99)); /* gone, not hidden */

        token_cache_put(c, a, one, 100);
        token_cache_put(c, b, two, 100);
        token_cache_put(c, a, two, 100); /* replaces */
        assert_int_equal(token_cache_find(c, b, 0)->set, 2);
        assert_int_equal(token_cache_find(c, a, 0)->set, 2);
        assert_null(token_cache_find(c, d, 0));
        token_cache_put(c, d, one, 100); /* b was looked at longest ago */
        assert_null(token_cache_find(c, b, 0));
        assert_non_null(token_cache_find(c, a, 0));
        assert_non_null(token_cache_find(c, d, 0));
}

static void macs(void **state)
{
        (void)state;
        _cleanup_(token_mac_freep) struct token_mac *m = NULL, *other = NULL;
        uint8_t a[TOKEN_MAC_BYTES], b[TOKEN_MAC_BYTES], key[TOKEN_MAC_KEY_BYTES] = { 0x0b, 0x0b, 0x0b, 0x0b };
        /* RFC 4231 §4.3, test case 2 */
        const uint8_t jefe[TOKEN_MAC_KEY_BYTES] = "Jefe", right[4] = { 0x5b, 0xdc, 0xc1, 0x46 };
        assert_int_equal(token_mac_new(key, &m), 0);
        assert_int_equal(token_mac_new(jefe, &other), 0);
        assert_int_equal(token_mac_make(m, "token", 5, a), 0);
        assert_int_equal(token_mac_make(m, "token", 5, b), 0);
        assert_memory_equal(a, b, sizeof(a));
        assert_int_equal(token_mac_make(m, "token", 4, b), 0);
        assert_memory_not_equal(a, b, sizeof(a));
        assert_int_equal(token_mac_make(other, "token", 5, b), 0);
        assert_memory_not_equal(a, b, sizeof(a));
        assert_int_equal(token_mac_make(other, "what do ya want for nothing?", 28, b), 0);
        assert_memory_equal(b, right, sizeof(right));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, reset, quiet)
        const struct CMUnitTest tests[] = {
                TEST(cached_after_one),
                TEST(named_entries),
                TEST(same_token_joins),
                TEST(full_queue_is_busy),
                TEST(new_set_counts_at_once),
                TEST(new_set_voids_a_running_verification),
                TEST(no_memory_is_no_verdict),
                TEST(end_answers_all),
                TEST(end_when_idle),
                TEST(newcomer_takes_the_place_of_a_guess),
                TEST(new_set_leaves_a_running_verification),
                TEST(reload_keeps_outcomes),
                TEST(good_tokens_stay),
                TEST(many_threads),
                cmocka_unit_test(cache_ages_and_bounds),
                TEST(principals_hold_for_a_set),
                cmocka_unit_test(macs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
