/* Token buckets, refilled by the clock when they are looked at. One pass takes a unit from each source's bucket, going
 * below zero where there is none: the deficits say how long to wait. If any bucket went below zero, a second pass gives
 * everything back. A pass marks the buckets that it has seen, so that a source named many times costs one unit.
 *
 * The table is bounded; the bucket looked at longest ago leaves first (a bucket that leaves early comes back full,
 * which is the price of the bound). Sources are chosen by clients, so a key drawn at start goes into the hash. */

#include "auth/rate_limit.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* a failed add leaves hh.tbl NULL */
#include <uthash.h>
#include <utlist.h>

#define SEED_BYTES 16
#define TOKEN_ID_MAX 64
#define KEY_MAX (SEED_BYTES + 1 + TOKEN_ID_MAX + 1 + SOURCE_CANONICAL_SIZE)
#define ROUNDING 1e-6                  /* of a unit: a client that waited as long as it was asked to must get one */
#define RETRY_MAX_MS (60U * 60 * 1000) /* the answer where a bucket never fills */

struct bucket {
        UT_hash_handle hh;
        struct bucket *prev, *next; /* least recently used first */
        double units;
        uint64_t filled_ns;
        uint64_t pass; /* the last one that took from it or gave back */
        char key[];
};

struct rate_limit {
        pthread_mutex_t lock;
        struct bucket *table, *by_use;
        size_t max_buckets;
        uint64_t passes; /* so far, over the sources of a charge */
        uint8_t seed[SEED_BYTES];
};

/* What one call charges with. */
struct rate {
        double burst;
        double per_ns;
};

struct rate_limit *rate_limit_new(size_t max_buckets)
{
        struct rate_limit *r = calloc(1, sizeof(*r));
        if (!r)
                return NULL;
        if (RAND_bytes(r->seed, sizeof(r->seed)) != 1) {
                free(r);
                return NULL;
        }
        r->max_buckets = max_buckets > 0 ? max_buckets : 1;
        pthread_mutex_init(&r->lock, NULL);
        return r;
}

static void bucket_drop(struct rate_limit *r, struct bucket *b)
{
        HASH_DEL(r->table, b);
        DL_DELETE(r->by_use, b);
        free(b);
}

struct rate_limit *rate_limit_free(struct rate_limit *r)
{
        if (!r)
                return NULL;
        while (r->by_use)
                bucket_drop(r, r->by_use);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

/* <seed> <kind> <token id> NUL <project>/<install_id>: no part can run into the next. */
static size_t make_key(const struct rate_limit *r, const struct rate_limit_charge *charge, size_t source,
                       char ret[KEY_MAX])
{
        size_t id_len = strnlen(charge->token_id, TOKEN_ID_MAX);
        char *p = ret;
        memcpy(p, r->seed, SEED_BYTES);
        p += SEED_BYTES;
        *p++ = (char)charge->kind;
        memcpy(p, charge->token_id, id_len);
        p += id_len;
        *p++ = '\0';
        p += source_canonical(charge->sources[source], p);
        assert(p <= ret + KEY_MAX);
        return (size_t)(p - ret);
}

static struct bucket *bucket_add(struct rate_limit *r, const char *key, size_t key_len, double units, uint64_t now_ns)
{
        struct bucket *b = malloc(sizeof(*b) + key_len);
        if (!b)
                return NULL;
        b->units = units;
        b->filled_ns = now_ns;
        b->pass = 0;
        memcpy(b->key, key, key_len);
        HASH_ADD_KEYPTR(hh, r->table, b->key, key_len, b);
        if (!b->hh.tbl) {
                free(b);
                return NULL;
        }
        DL_APPEND(r->by_use, b);
        return b;
}

static void refill(struct bucket *b, const struct rate *rate, uint64_t now_ns)
{
        if (now_ns > b->filled_ns) { /* threads may come with times slightly out of order */
                b->units += (double)(now_ns - b->filled_ns) * rate->per_ns;
                b->filled_ns = now_ns;
        }
        if (b->units > rate->burst)
                b->units = rate->burst;
}

/* The bucket of that key, made full when there is none. NULL on ENOMEM. */
static struct bucket *bucket_of(struct rate_limit *r, const char *key, size_t key_len, const struct rate *rate,
                                uint64_t now_ns)
{
        struct bucket *b = NULL;
        HASH_FIND(hh, r->table, key, key_len, b);
        if (b) {
                DL_DELETE(r->by_use, b);
                DL_APPEND(r->by_use, b);
                refill(b, rate, now_ns);
                return b;
        }
        if (HASH_COUNT(r->table) >= r->max_buckets)
                bucket_drop(r, r->by_use);
        return bucket_add(r, key, key_len, rate->burst, now_ns);
}

/* False when this pass has been here before. */
static bool first_visit(const struct rate_limit *r, struct bucket *b)
{
        bool first = b->pass != r->passes;
        b->pass = r->passes;
        return first;
}

/* To the first n sources. */
static void give_back(struct rate_limit *r, const struct rate_limit_charge *charge, size_t n)
{
        char key[KEY_MAX];
        r->passes++;
        for (size_t i = 0; i < n; i++) {
                struct bucket *b = NULL;
                size_t len = make_key(r, charge, i, key);
                HASH_FIND(hh, r->table, key, len, b);
                if (b && first_visit(r, b)) /* without b, it left to make room for another */
                        b->units += 1;
        }
}

static unsigned wait_ms(const struct rate *rate, double deficit)
{
        double ms = rate->burst >= 1 && rate->per_ns > 0 ? ceil(deficit / rate->per_ns / 1e6) : RETRY_MAX_MS;
        return ms < 1 ? 1 : ms > RETRY_MAX_MS ? RETRY_MAX_MS : (unsigned)ms;
}

static int take_all(struct rate_limit *r, const struct rate_limit_charge *charge, const struct rate *rate,
                    uint64_t now_ns, double *ret_lowest)
{
        char key[KEY_MAX];
        double lowest = 0;
        int result = 0;
        size_t charged = 0;
        r->passes++;
        for (; charged < charge->n_sources && result == 0; charged++) {
                struct bucket *b = bucket_of(r, key, make_key(r, charge, charged, key), rate, now_ns);
                if (!b) {
                        result = -ENOMEM;
                        break;
                }
                if (first_visit(r, b))
                        b->units -= 1;
                if (b->units < lowest)
                        lowest = b->units;
        }
        if (result == 0 && lowest < -ROUNDING)
                result = RATE_LIMIT_EMPTY;
        if (result != 0)
                give_back(r, charge, charged);
        *ret_lowest = lowest;
        return result;
}

int rate_limit_take(struct rate_limit *r, const struct rate_limit_charge *charge, uint64_t now_ns,
                    unsigned *ret_retry_after_ms)
{
        const struct tokens_rate_limit *l = charge->limits;
        bool logs = charge->kind == RATE_LIMIT_LOGS;
        const struct rate rate = {
                .burst = logs ? l->logs_burst : l->crashes_burst,
                .per_ns = (logs ? l->logs_per_minute : l->crashes_per_minute) / 60e9,
        };
        double lowest = 0;
        pthread_mutex_lock(&r->lock);
        int result = take_all(r, charge, &rate, now_ns, &lowest);
        pthread_mutex_unlock(&r->lock);
        if (result == RATE_LIMIT_EMPTY)
                *ret_retry_after_ms = wait_ms(&rate, -lowest);
        return result;
}

void rate_limit_give_back(struct rate_limit *r, const struct rate_limit_charge *charge)
{
        pthread_mutex_lock(&r->lock);
        give_back(r, charge, charge->n_sources);
        pthread_mutex_unlock(&r->lock);
}
