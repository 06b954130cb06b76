/* A hash table whose keys are MACs, so an outsider can aim neither at a chain nor at a comparison. HMAC is spelled out
 * as its two SHA-256 contexts with the padded key already absorbed: a look-up copies them, which costs less than half
 * of EVP_MAC_CTX_dup() and can be done by many threads at once. */

#include "auth/token_cache.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1                                                   /* a failed add leaves hh.tbl NULL */
#define HASH_KEYCMP(a, b, n) CRYPTO_memcmp((a), (b), (n))                     /* constant time */
#define HASH_FUNCTION(key, len, hashv) memcpy(&(hashv), (key), sizeof(hashv)) /* a MAC is its own best hash */
#include <uthash.h>
#include <utlist.h>

#define SHA256_BLOCK_BYTES 64

struct entry {
        UT_hash_handle hh;
        struct entry *prev, *next; /* least recently used first */
        uint8_t mac[TOKEN_CACHE_MAC_BYTES];
        const struct token *token;
        uint64_t expires_ns;
};

struct token_cache {
        struct entry *table, *by_use;
        size_t max_entries;
        EVP_MD_CTX *inner, *outer; /* never changed after token_cache_new() */
};

static EVP_MD_CTX *prepare(const uint8_t key[SHA256_BLOCK_BYTES], uint8_t pad)
{
        uint8_t block[SHA256_BLOCK_BYTES];
        for (size_t i = 0; i < sizeof(block); i++)
                block[i] = key[i] ^ pad;
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        if (md && (!EVP_DigestInit_ex(md, EVP_sha256(), NULL) || !EVP_DigestUpdate(md, block, sizeof(block)))) {
                EVP_MD_CTX_free(md);
                md = NULL;
        }
        OPENSSL_cleanse(block, sizeof(block));
        return md;
}

int token_cache_new(size_t max_entries, struct token_cache **ret)
{
        uint8_t key[SHA256_BLOCK_BYTES];
        _cleanup_(token_cache_freep) struct token_cache *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        if (RAND_bytes(key, sizeof(key)) != 1)
                return -EIO;
        c->max_entries = max_entries > 0 ? max_entries : 1;
        c->inner = prepare(key, 0x36); /* RFC 2104 §2 */
        c->outer = prepare(key, 0x5c);
        OPENSSL_cleanse(key, sizeof(key));
        if (!c->inner || !c->outer)
                return -ENOMEM;
        *ret = TAKE_PTR(c);
        return 0;
}

static void entry_drop(struct token_cache *c, struct entry *e)
{
        HASH_DEL(c->table, e);
        DL_DELETE(c->by_use, e);
        free(e);
}

void token_cache_clear(struct token_cache *c)
{
        while (c->by_use)
                entry_drop(c, c->by_use);
}

struct token_cache *token_cache_free(struct token_cache *c)
{
        if (!c)
                return NULL;
        token_cache_clear(c);
        EVP_MD_CTX_free(c->inner);
        EVP_MD_CTX_free(c->outer);
        free(c);
        return NULL;
}

static int digest(EVP_MD_CTX *md, const EVP_MD_CTX *prepared, const void *data, size_t len,
                  uint8_t ret[TOKEN_CACHE_MAC_BYTES])
{
        return EVP_MD_CTX_copy_ex(md, prepared) && EVP_DigestUpdate(md, data, len) && EVP_DigestFinal_ex(md, ret, NULL)
                       ? 0
                       : -ENOMEM;
}

int token_cache_mac(const struct token_cache *c, const char *presented, size_t len, uint8_t ret[TOKEN_CACHE_MAC_BYTES])
{
        uint8_t inner[TOKEN_CACHE_MAC_BYTES];
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        int r = md ? digest(md, c->inner, presented, len, inner) : -ENOMEM;
        if (r == 0)
                r = digest(md, c->outer, inner, sizeof(inner), ret);
        EVP_MD_CTX_free(md);
        return r;
}

static struct entry *entry_find(struct token_cache *c, const uint8_t mac[TOKEN_CACHE_MAC_BYTES])
{
        struct entry *e = NULL;
        HASH_FIND(hh, c->table, mac, TOKEN_CACHE_MAC_BYTES, e);
        return e;
}

int token_cache_find(struct token_cache *c, const uint8_t mac[TOKEN_CACHE_MAC_BYTES], uint64_t now_ns,
                     const struct token **ret, uint64_t *ret_expires_ns)
{
        struct entry *e = entry_find(c, mac);
        if (!e)
                return TOKEN_CACHE_MISS;
        if (now_ns >= e->expires_ns) {
                entry_drop(c, e);
                return TOKEN_CACHE_MISS;
        }
        DL_DELETE(c->by_use, e);
        DL_APPEND(c->by_use, e);
        *ret = e->token;
        *ret_expires_ns = e->expires_ns;
        return 0;
}

void token_cache_put(struct token_cache *c, const uint8_t mac[TOKEN_CACHE_MAC_BYTES], const struct token *token,
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
        e->token = token;
        e->expires_ns = expires_ns;
        HASH_ADD(hh, c->table, mac, sizeof(e->mac), e);
        if (!e->hh.tbl) {
                free(e);
                return;
        }
        DL_APPEND(c->by_use, e);
}
