/* The line is short, and an Argon2 takes longer than a walk along all of it: so it is a plain list, and whoever is
 * next, or has to leave, is found by comparing. Turns and counts are kept in tables of fixed size. Two addresses
 * that meet in a slot share their turns, which a key drawn at start makes a matter of chance. */

#include "auth/fair_queue.h"

#include <assert.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <utlist.h>

#define SLOTS 4096

struct slot {
        uint64_t since; /* the turn in which something was last taken from here, or the first item came */
        unsigned items; /* in the line now */
};

struct fair_queue {
        struct fair_queue_item *items; /* oldest first */
        size_t n, max;
        bool closed;
        uint64_t turn, key;
        struct slot addresses[SLOTS], flows[SLOTS]; /* a flow: the tokens of an address that name one entry */
        uint64_t good[SLOTS];                       /* addresses, scrambled; 0: none */
};

struct fair_queue *fair_queue_new(size_t max_items)
{
        struct fair_queue *q = calloc(1, sizeof(*q));
        if (!q)
                return NULL;
        q->max = max_items > 0 ? max_items : 1;
        if (RAND_bytes((unsigned char *)&q->key, sizeof(q->key)) != 1)
                q->key = 0; /* turns may be shared on purpose then, no more */
        return q;
}

struct fair_queue *fair_queue_free(struct fair_queue *q)
{
        assert(!q || !q->items);
        free(q);
        return NULL;
}

void fair_queue_close(struct fair_queue *q)
{
        q->closed = true;
}

/* The finalizer of MurmurHash3, keyed. */
static uint64_t scramble(const struct fair_queue *q, uint64_t x)
{
        x ^= q->key;
        x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
        x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
        return x ^ (x >> 33);
}

static struct slot *address_of(struct fair_queue *q, const struct fair_queue_item *i)
{
        return &q->addresses[scramble(q, i->from) % SLOTS];
}

static struct slot *flow_of(struct fair_queue *q, const struct fair_queue_item *i)
{
        return &q->flows[scramble(q, scramble(q, i->from) + i->names) % SLOTS];
}

static bool was_good(const struct fair_queue *q, const struct fair_queue_item *i)
{
        uint64_t s = scramble(q, i->from);
        return q->good[s % SLOTS] == (s | 1);
}

void fair_queue_note_good(struct fair_queue *q, uint64_t from)
{
        uint64_t s = scramble(q, from);
        q->good[s % SLOTS] = s | 1;
}

/* Who was not in the line gains nothing by that: otherwise ever new addresses would go before all others. */
static void enter(const struct fair_queue *q, struct slot *s)
{
        if (s->items++ == 0)
                s->since = q->turn;
}

static void insert(struct fair_queue *q, struct fair_queue_item *i)
{
        DL_APPEND(q->items, i);
        q->n++;
        enter(q, address_of(q, i));
        enter(q, flow_of(q, i));
}

static void drop(struct fair_queue *q, struct fair_queue_item *i)
{
        DL_DELETE(q->items, i);
        q->n--;
        address_of(q, i)->items--;
        flow_of(q, i)->items--;
}

/* Does a, the newer one, leave rather than b? */
static bool leaves_rather(struct fair_queue *q, const struct fair_queue_item *a, const struct fair_queue_item *b)
{
        unsigned of_a = address_of(q, a)->items * (was_good(q, a) ? 1 : FAIR_QUEUE_PREFERENCE);
        unsigned of_b = address_of(q, b)->items * (was_good(q, b) ? 1 : FAIR_QUEUE_PREFERENCE);
        if (of_a != of_b)
                return of_a > of_b;
        if (flow_of(q, a)->items != flow_of(q, b)->items)
                return flow_of(q, a)->items > flow_of(q, b)->items;
        return a->waiting <= b->waiting;
}

struct fair_queue_item *fair_queue_push(struct fair_queue *q, struct fair_queue_item *item)
{
        if (q->closed)
                return item;
        insert(q, item);
        if (q->n <= q->max)
                return NULL;
        struct fair_queue_item *leaves = q->items, *i;
        DL_FOREACH(q->items, i)
        {
                if (leaves_rather(q, i, leaves))
                        leaves = i;
        }
        drop(q, leaves);
        return leaves;
}

/* Is a, the newer one, served before b in this turn? */
static bool goes_before(struct fair_queue *q, const struct fair_queue_item *a, const struct fair_queue_item *b)
{
        bool prefer_good = q->turn % FAIR_QUEUE_PREFERENCE != 0, prefer_popular = q->turn % 2 != 0;
        if (prefer_good && was_good(q, a) != was_good(q, b))
                return was_good(q, a);
        if (address_of(q, a)->since != address_of(q, b)->since)
                return address_of(q, a)->since < address_of(q, b)->since;
        if (prefer_popular && a->waiting != b->waiting)
                return a->waiting > b->waiting;
        if (flow_of(q, a)->since != flow_of(q, b)->since)
                return flow_of(q, a)->since < flow_of(q, b)->since;
        return a->waiting > b->waiting;
}

struct fair_queue_item *fair_queue_take(struct fair_queue *q)
{
        struct fair_queue_item *next = q->items, *i;
        if (!next)
                return NULL;
        q->turn++;
        DL_FOREACH(q->items, i)
        {
                if (goes_before(q, i, next))
                        next = i;
        }
        drop(q, next);
        address_of(q, next)->since = flow_of(q, next)->since = q->turn;
        return next;
}
