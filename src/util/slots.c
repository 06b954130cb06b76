#include "util/slots.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* clang-format off: uthash wants its allocation hooks first */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
/* clang-format on */

struct counted_key {
        UT_hash_handle hh;
        unsigned count; /* at least 1 */
        uint8_t key[];
};

struct slots {
        pthread_mutex_t lock;
        struct counted_key *keys;
        unsigned total, max_total, max_per_key;
};

struct slots *slots_new(unsigned max_total, unsigned max_per_key)
{
        struct slots *s = calloc(1, sizeof(*s));
        if (!s)
                return NULL;
        pthread_mutex_init(&s->lock, NULL);
        s->max_total = max_total;
        s->max_per_key = max_per_key;
        return s;
}

struct slots *slots_free(struct slots *s)
{
        struct counted_key *k, *next;
        if (!s)
                return NULL;
        HASH_ITER(hh, s->keys, k, next)
        {
                HASH_DEL(s->keys, k);
                free(k);
        }
        pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
}

bool slots_take(struct slots *s)
{
        pthread_mutex_lock(&s->lock);
        bool ok = s->total < s->max_total;
        s->total += ok;
        pthread_mutex_unlock(&s->lock);
        return ok;
}

void slots_give(struct slots *s)
{
        pthread_mutex_lock(&s->lock);
        assert(s->total > 0);
        s->total--;
        pthread_mutex_unlock(&s->lock);
}

static struct counted_key *add(struct slots *s, const void *key, size_t len)
{
        struct counted_key *k = malloc(sizeof(*k) + len);
        if (!k)
                return NULL;
        k->count = 0;
        memcpy(k->key, key, len);
        HASH_ADD_KEYPTR(hh, s->keys, k->key, len, k);
        if (!k->hh.tbl) { /* out of memory */
                free(k);
                return NULL;
        }
        return k;
}

static bool take_locked(struct slots *s, const void *key, size_t len)
{
        struct counted_key *k;
        if (s->max_per_key == 0)
                return false;
        HASH_FIND(hh, s->keys, key, len, k);
        if (!k)
                k = add(s, key, len);
        if (!k || k->count >= s->max_per_key)
                return false;
        k->count++;
        return true;
}

bool slots_take_key(struct slots *s, const void *key, size_t len)
{
        pthread_mutex_lock(&s->lock);
        bool ok = take_locked(s, key, len);
        pthread_mutex_unlock(&s->lock);
        return ok;
}

void slots_give_key(struct slots *s, const void *key, size_t len)
{
        struct counted_key *k;
        pthread_mutex_lock(&s->lock);
        HASH_FIND(hh, s->keys, key, len, k);
        assert(k);
        if (--k->count == 0) {
                HASH_DEL(s->keys, k);
                free(k);
        }
        pthread_mutex_unlock(&s->lock);
}
