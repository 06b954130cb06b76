#pragma once
/* A bounded queue of intrusive items between threads: many producers, one or more consumers. Full is an answer, not a
 * wait, so that a network thread never blocks here. */

#include <stdbool.h>
#include <stddef.h>

struct work {
        struct work *next; /* the queue's while queued */
        size_t weight;     /* counted against max_weight; bytes, usually */
};

struct work_queue;

/* max_items and max_weight bound what is queued; an item heavier than max_weight is still taken by an empty queue. */
struct work_queue *work_queue_new(size_t max_items, size_t max_weight);
struct work_queue *work_queue_free(struct work_queue *q); /* must be empty and without waiters; NULL-safe */

/* Takes w. 0; WORK_QUEUE_FULL; WORK_QUEUE_CLOSED: w stays the caller's. Any thread. */
enum { WORK_QUEUE_FULL = 1, WORK_QUEUE_CLOSED };
int work_queue_push(struct work_queue *q, struct work *w);

/* Takes as many as fit of a list linked by next, in its order, under one lock. The result says why *ret_rest, the items
 * behind, were not taken: 0 and NULL when all were. */
int work_queue_push_list(struct work_queue *q, struct work *list, struct work **ret_rest);

/* Waits until there is something or the queue is closed, then takes all that is queued (max 0) or at most max items,
 * oldest first, as a list. NULL: closed and empty. timeout_ms < 0 waits for ever; on a timeout *ret_timeout is set
 * and NULL returned (ret_timeout may be NULL when timeout_ms < 0). */
struct work *work_queue_take(struct work_queue *q, size_t max, int timeout_ms, bool *ret_timeout);

/* No more pushes; consumers drain what is there, then get NULL. */
void work_queue_close(struct work_queue *q);

size_t work_queue_depth(struct work_queue *q); /* items queued now */
