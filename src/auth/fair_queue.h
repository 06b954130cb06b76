#pragma once
/* The line of tokens that wait for an Argon2, in a fair order: clients take turns by address, and within an address by
 * the entry that the token names, so that neither one address nor one key id can keep the others waiting. Addresses
 * that showed a good token before go first most of the time, and of two tokens from one address, every other time the
 * one that more requests wait for.
 *
 * When the line is full, the address that has most in it gives way: its newest token leaves. An address that showed a
 * good token before may have PREFERENCE times as many.
 *
 * Not thread-safe: the verifier's lock guards it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define FAIR_QUEUE_PREFERENCE 4

struct fair_queue_item {
        uint64_t from;    /* the address */
        uint64_t names;   /* the entry that the token names; 0: none */
        unsigned waiting; /* requests; the owner counts them */
        /* the queue's */
        struct fair_queue_item *prev, *next;
};

struct fair_queue;

struct fair_queue *fair_queue_new(size_t max_items);      /* NULL on ENOMEM */
struct fair_queue *fair_queue_free(struct fair_queue *q); /* must be empty; NULL-safe */
DEFINE_FREEP(fair_queue_free, struct fair_queue)

/* Takes item. Returns the item that had to leave for it, which may be item itself; NULL: there was room. */
struct fair_queue_item *fair_queue_push(struct fair_queue *q, struct fair_queue_item *item);
struct fair_queue_item *fair_queue_take(struct fair_queue *q); /* NULL: it is empty */

/* Nothing is taken in from now on: push returns its item. */
void fair_queue_close(struct fair_queue *q);

/* A good token came from there. The last few thousand addresses are remembered. */
void fair_queue_note_good(struct fair_queue *q, uint64_t from);
