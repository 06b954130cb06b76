#pragma once
/* A bounded queue of intrusive items between threads: many producers, one or more consumers. A full queue refuses and
 * does not wait, so a network thread never blocks here. */

#include <stdbool.h>
#include <stddef.h>

struct work {
        struct work *next; /* the queue's while queued */
        size_t weight;     /* counted against max_weight; bytes, usually */
};

struct work_queue;

/* max_items and max_weight bound what is queued. An empty queue accepts an item that is heavier than max_weight. */
struct work_queue *work_queue_new(size_t max_items, size_t max_weight);
struct work_queue *work_queue_free(struct work_queue *q); /* must be empty, and nobody waits; NULL-safe */

/* Takes w. 0; or WORK_QUEUE_FULL or WORK_QUEUE_CLOSED, and w stays the caller's. Any thread. */
enum { WORK_QUEUE_FULL = 1, WORK_QUEUE_CLOSED };
int work_queue_push(struct work_queue *q, struct work *w);

/* Takes as many items of a list (linked by next) as fit, in order, under one lock. *ret_rest are the others, and the
 * result says why they were not taken: 0 and NULL if all were. */
int work_queue_push_list(struct work_queue *q, struct work *list, struct work **ret_rest);

/* Waits until something is queued or the queue is closed. Then takes everything (max 0), or at most max items, oldest
 * first, as a list. NULL: it is closed and empty, or the wait timed out (*ret_timeout). timeout_ms < 0 waits for ever;
 * then ret_timeout may be NULL. */
struct work *work_queue_take(struct work_queue *q, size_t max, int timeout_ms, bool *ret_timeout);

/* Refuses further items. Consumers take what is queued, then get NULL. */
void work_queue_close(struct work_queue *q);

size_t work_queue_depth(struct work_queue *q); /* items queued now */
