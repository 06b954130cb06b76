/* A hash table whose keys are MACs, so an outsider can aim neither at a chain nor at a comparison. */

#include "auth/token_cache.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1                                                   /* a failed add leaves hh.tbl NULL */
#define HASH_KEYCMP(a, b, n) CRYPTO_memcmp((a), (b), (n))                     /* constant time */
#define HASH_FUNCTION(key, len, hashv) memcpy(&(hashv), (key), sizeof(hashv)) /* a MAC is its own best hash */
#include <uthash.h>
#include <utlist.h>

struct entry {
        UT_hash_handle hh;
        struct entry *prev, *next; /* least recently used first */
        uint8_t mac[TOKEN_MAC_BYTES];
        struct token_tried tried;
        uint64_t expires_ns;
};

struct token_cache {
        struct entry *table, *by_use;
        size_t max_entries;
};

struct token_cache *token_cache_new(size_t max_entries)
{
        struct token_cache *c = calloc(1, sizeof(*c));
        if (c)
                c->max_entries = max_entries > 0 ? max_entries : 1;
        return c;
}

static void entry_drop(struct token_cache *c, struct entry *e)
{
        HASH_DEL(c->table, e);
        DL_DELETE(c->by_use, e);
        free(e);
}

struct token_cache *token_cache_free(struct token_cache *c)
{
        while (c && c->by_use)
                entry_drop(c, c->by_use);
        free(c);
        return NULL;
}

static struct entry *entry_find(struct token_cache *c, const uint8_t mac[TOKEN_MAC_BYTES])
{
        struct entry *e = NULL;
        HASH_FIND(hh, c->table, mac, TOKEN_MAC_BYTES, e);
        return e;
}

struct token_tried *token_cache_find(struct token_cache *c, const uint8_t mac[TOKEN_MAC_BYTES], uint64_t now_ns)
{
        struct entry *e = entry_find(c, mac);
        if (!e)
                return NULL;
        if (now_ns >= e->expires_ns) {
                entry_drop(c, e);
                return NULL;
        }
        DL_DELETE(c->by_use, e);
        DL_APPEND(c->by_use, e);
        return &e->tried;
}

void token_cache_put(struct token_cache *c, const uint8_t mac[TOKEN_MAC_BYTES], struct token_tried tried,
                     uint64_t expires_ns)
{
        struct entry *e = entry_find(c, mac);
        assert(HASH_COUNT(c->table) <= c->max_entries);
        if (e)
                entry_drop(c, e);
        else if (HASH_COUNT(c->table) >= c->max_entries)
                entry_drop(c, c->by_use);
        e = calloc(1, sizeof(*e));
        if (!e)
                return;
        memcpy(e->mac, mac, sizeof(e->mac));
        e->tried = tried;
        e->expires_ns = expires_ns;
        HASH_ADD(hh, c->table, mac, sizeof(e->mac), e);
        if (!e->hh.tbl) {
                free(e);
                return;
        }
        DL_APPEND(c->by_use, e);
}
