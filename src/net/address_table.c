#include "net/address_table.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

/* clang-format off: uthash wants its allocation hooks first */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
/* clang-format on */

struct address_key {
        uint8_t bytes[8]; /* IPv4 in the first four, IPv6 /64 in all; 0 for local peers */
        uint8_t family;
};

struct address_entry {
        struct address_key key;
        unsigned count;
        UT_hash_handle hh;
};

struct address_table {
        pthread_mutex_t lock;
        struct address_entry *entries;
        unsigned total, max_total, max_per_address;
};

struct address_table *address_table_new(unsigned max_total, unsigned max_per_address)
{
        struct address_table *t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        pthread_mutex_init(&t->lock, NULL);
        t->max_total = max_total;
        t->max_per_address = max_per_address;
        return t;
}

struct address_table *address_table_free(struct address_table *t)
{
        struct address_entry *e, *next;
        if (!t)
                return NULL;
        HASH_ITER(hh, t->entries, e, next)
        {
                HASH_DEL(t->entries, e);
                free(e);
        }
        pthread_mutex_destroy(&t->lock);
        free(t);
        return NULL;
}

static struct address_key key_of(const struct sockaddr_storage *peer)
{
        struct address_key key;
        memset(&key, 0, sizeof(key));
        if (peer->ss_family == AF_INET)
                memcpy(key.bytes, &((const struct sockaddr_in *)peer)->sin_addr, 4);
        else if (peer->ss_family == AF_INET6)
                memcpy(key.bytes, &((const struct sockaddr_in6 *)peer)->sin6_addr, 8);
        key.family = (uint8_t)peer->ss_family;
        return key;
}

static bool enter_locked(struct address_table *t, const struct address_key *key)
{
        struct address_entry *e;
        if (t->total >= t->max_total)
                return false;
        HASH_FIND(hh, t->entries, key, sizeof(*key), e);
        if (!e) {
                e = calloc(1, sizeof(*e));
                if (!e)
                        return false;
                e->key = *key;
                HASH_ADD(hh, t->entries, key, sizeof(*key), e);
                if (!e->hh.tbl) { /* out of memory */
                        free(e);
                        return false;
                }
        }
        if (e->count >= t->max_per_address)
                return false;
        e->count++;
        t->total++;
        return true;
}

bool address_table_enter(struct address_table *t, const struct sockaddr_storage *peer)
{
        struct address_key key = key_of(peer);
        pthread_mutex_lock(&t->lock);
        bool ok = enter_locked(t, &key);
        pthread_mutex_unlock(&t->lock);
        return ok;
}

void address_table_leave(struct address_table *t, const struct sockaddr_storage *peer)
{
        struct address_key key = key_of(peer);
        struct address_entry *e;
        pthread_mutex_lock(&t->lock);
        HASH_FIND(hh, t->entries, &key, sizeof(key), e);
        if (e) {
                t->total--;
                if (--e->count == 0) {
                        HASH_DEL(t->entries, e);
                        free(e);
                }
        }
        pthread_mutex_unlock(&t->lock);
}
