#include "ingest/upload_slots.h"

#include <pthread.h>

/* clang-format off: uthash reads this */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
/* clang-format on */

struct source_slots {
        char canonical[SOURCE_CANONICAL_SIZE];
        unsigned count;
        UT_hash_handle hh;
};

struct upload_slots {
        pthread_mutex_t lock;
        struct source_slots *sources;
        unsigned total, max_total, max_per_source;
};

struct upload_slots *upload_slots_new(unsigned max_total, unsigned max_per_source)
{
        struct upload_slots *u = calloc(1, sizeof(*u));
        if (!u)
                return NULL;
        pthread_mutex_init(&u->lock, NULL);
        u->max_total = max_total;
        u->max_per_source = max_per_source;
        return u;
}

struct upload_slots *upload_slots_free(struct upload_slots *u)
{
        struct source_slots *s, *next;
        if (!u)
                return NULL;
        HASH_ITER(hh, u->sources, s, next)
        {
                HASH_DEL(u->sources, s);
                free(s);
        }
        pthread_mutex_destroy(&u->lock);
        free(u);
        return NULL;
}

bool upload_slots_take(struct upload_slots *u)
{
        pthread_mutex_lock(&u->lock);
        bool ok = u->total < u->max_total;
        u->total += ok;
        pthread_mutex_unlock(&u->lock);
        return ok;
}

void upload_slots_give(struct upload_slots *u)
{
        pthread_mutex_lock(&u->lock);
        u->total--;
        pthread_mutex_unlock(&u->lock);
}

static bool take_locked(struct upload_slots *u, const char *canonical, size_t len)
{
        struct source_slots *s;
        HASH_FIND(hh, u->sources, canonical, len, s);
        if (!s) {
                s = calloc(1, sizeof(*s));
                if (!s)
                        return false;
                memcpy(s->canonical, canonical, len + 1);
                HASH_ADD_KEYPTR(hh, u->sources, s->canonical, len, s);
                if (!s->hh.tbl) { /* out of memory */
                        free(s);
                        return false;
                }
        }
        if (s->count >= u->max_per_source)
                return false;
        s->count++;
        return true;
}

bool upload_slots_take_source(struct upload_slots *u, const struct source *source)
{
        char canonical[SOURCE_CANONICAL_SIZE];
        size_t len = source_canonical(source, canonical);
        pthread_mutex_lock(&u->lock);
        bool ok = take_locked(u, canonical, len);
        pthread_mutex_unlock(&u->lock);
        return ok;
}

void upload_slots_give_source(struct upload_slots *u, const struct source *source)
{
        char canonical[SOURCE_CANONICAL_SIZE];
        size_t len = source_canonical(source, canonical);
        struct source_slots *s;
        pthread_mutex_lock(&u->lock);
        HASH_FIND(hh, u->sources, canonical, len, s);
        if (s && --s->count == 0) {
                HASH_DEL(u->sources, s);
                free(s);
        }
        pthread_mutex_unlock(&u->lock);
}
