/* One record for each entry, beside the set's list. Those that are learned are in a hash table by MAC; the ids are in
 * another, for reloads. */

#include "auth/token_known.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1                               /* a failed add leaves hh.tbl NULL */
#define HASH_KEYCMP(a, b, n) CRYPTO_memcmp((a), (b), (n)) /* constant time, for MACs */
#include <uthash.h>

struct record {
        UT_hash_handle by_mac, by_id;
        const struct token *token;
        uint64_t serial;
        bool learned;
        uint8_t mac[TOKEN_MAC_BYTES];
};

struct token_known {
        const struct tokens *set;
        uint64_t number, last_serial;
        size_t n_learned;
        struct record *by_mac, *by_id;
        struct record records[];
};

static struct record *record_of(const struct token_known *k, const struct token *t)
{
        assert(t >= k->set->list && t < k->set->list + k->set->n);
        return (struct record *)&k->records[t - k->set->list];
}

static const struct record *same(const struct token_known *k, const struct token *t)
{
        struct record *r = NULL;
        HASH_FIND(by_id, k->by_id, t->id, strlen(t->id), r);
        return r && strcmp(r->token->secret, t->secret) == 0 ? r : NULL;
}

const struct token *token_known_same(const struct token_known *k, const struct token *t)
{
        const struct record *r = t >= k->set->list && t < k->set->list + k->set->n ? record_of(k, t) : same(k, t);
        return r ? r->token : NULL;
}

void token_known_learn(struct token_known *k, const struct token *t, const uint8_t mac[TOKEN_MAC_BYTES])
{
        struct record *r = record_of(k, t);
        if (r->learned || token_known_find(k, mac))
                return;
        memcpy(r->mac, mac, sizeof(r->mac));
        HASH_ADD(by_mac, k->by_mac, mac, sizeof(r->mac), r);
        if (!r->by_mac.tbl)
                return; /* without memory it is learned another time */
        r->learned = true;
        k->n_learned++;
}

int token_known_new(const struct tokens *set, const struct token_known *before, struct token_known **ret)
{
        _cleanup_(token_known_freep) struct token_known *k = calloc(1, sizeof(*k) + set->n * sizeof(k->records[0]));
        if (!k)
                return -ENOMEM;
        k->set = set;
        k->number = before ? before->number + 1 : 1;
        k->last_serial = before ? before->last_serial : 0;
        for (size_t i = 0; i < set->n; i++) {
                struct record *r = &k->records[i];
                const struct record *old = before ? same(before, &set->list[i]) : NULL;
                r->token = &set->list[i];
                r->serial = old ? old->serial : ++k->last_serial;
                HASH_ADD_KEYPTR(by_id, k->by_id, r->token->id, strlen(r->token->id), r);
                if (!r->by_id.tbl)
                        return -ENOMEM;
                if (old && old->learned)
                        token_known_learn(k, r->token, old->mac);
        }
        *ret = TAKE_PTR(k);
        return 0;
}

struct token_known *token_known_free(struct token_known *k)
{
        if (!k)
                return NULL;
        HASH_CLEAR(by_mac, k->by_mac);
        HASH_CLEAR(by_id, k->by_id);
        free(k);
        return NULL;
}

const struct token *token_known_find(const struct token_known *k, const uint8_t mac[TOKEN_MAC_BYTES])
{
        struct record *r = NULL;
        HASH_FIND(by_mac, k->by_mac, mac, TOKEN_MAC_BYTES, r);
        return r ? r->token : NULL;
}

bool token_known_is_open(const struct token_known *k, const struct token *t, const struct token_tried *tried)
{
        const struct record *r = record_of(k, t);
        return !r->learned && r->serial > tried->upto && r->serial != tried->named;
}

bool token_known_any_open(const struct token_known *k, const struct token_candidates *c,
                          const struct token_tried *tried)
{
        if (k->n_learned == k->set->n)
                return false;
        for (size_t i = 0; i < c->n; i++) {
                if (token_known_is_open(k, c->first + i, tried))
                        return true;
        }
        return false;
}

void token_known_tried(const struct token_known *k, const struct token_candidates *c, struct token_tried *tried)
{
        tried->set = k->number;
        if (c->named)
                tried->named = record_of(k, c->first)->serial;
        else if (c->n > 0)
                tried->upto = k->last_serial;
}

bool token_known_tried_all(const struct token_known *k, const struct token_tried *tried)
{
        return tried->set == k->number;
}
