#include "util/work_queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "util/cond.h"

struct work_queue {
        pthread_mutex_t lock;
        pthread_cond_t filled; /* cond.h */
        struct work *first, **last;
        size_t items, weight;
        size_t max_items, max_weight;
        bool closed;
};

struct work_queue *work_queue_new(size_t max_items, size_t max_weight)
{
        struct work_queue *q = calloc(1, sizeof(*q));
        if (!q)
                return NULL;
        pthread_mutex_init(&q->lock, NULL);
        cond_init(&q->filled);
        q->last = &q->first;
        q->max_items = max_items;
        q->max_weight = max_weight;
        return q;
}

struct work_queue *work_queue_free(struct work_queue *q)
{
        if (!q)
                return NULL;
        assert(!q->first);
        pthread_cond_destroy(&q->filled);
        pthread_mutex_destroy(&q->lock);
        free(q);
        return NULL;
}

static int push_locked(struct work_queue *q, struct work *w)
{
        if (q->closed)
                return WORK_QUEUE_CLOSED;
        if (q->items >= q->max_items)
                return WORK_QUEUE_FULL;
        if (q->items > 0 && (w->weight > q->max_weight || q->weight > q->max_weight - w->weight))
                return WORK_QUEUE_FULL;
        w->next = NULL;
        *q->last = w;
        q->last = &w->next;
        q->items++;
        q->weight += w->weight;
        if (q->items == 1)
                pthread_cond_signal(&q->filled);
        return 0;
}

int work_queue_push(struct work_queue *q, struct work *w)
{
        pthread_mutex_lock(&q->lock);
        int r = push_locked(q, w);
        pthread_mutex_unlock(&q->lock);
        return r;
}

int work_queue_push_list(struct work_queue *q, struct work *list, struct work **ret_rest)
{
        int r = 0;
        pthread_mutex_lock(&q->lock);
        while (list && r == 0) {
                struct work *next = list->next;
                r = push_locked(q, list);
                if (r == 0)
                        list = next;
        }
        pthread_mutex_unlock(&q->lock);
        *ret_rest = list;
        return r;
}

static struct work *take_locked(struct work_queue *q, size_t max)
{
        struct work *list = q->first, *w = list;
        if (!list)
                return NULL;
        if (max == 0 || q->items <= max) {
                q->first = NULL;
                q->last = &q->first;
                q->items = q->weight = 0;
                return list;
        }
        for (size_t i = 1;; i++) {
                q->weight -= w->weight;
                q->items--;
                if (i == max)
                        break;
                w = w->next;
        }
        assert(w->next); /* it had more than max */
        q->first = w->next;
        w->next = NULL;
        pthread_cond_signal(&q->filled); /* another consumer may take the rest */
        return list;
}

struct work *work_queue_take(struct work_queue *q, size_t max, int timeout_ms, bool *ret_timeout)
{
        struct timespec deadline = { 0 };
        bool timed_out = false;
        assert(timeout_ms < 0 || ret_timeout);
        if (timeout_ms >= 0)
                deadline = cond_deadline((unsigned)timeout_ms);

        pthread_mutex_lock(&q->lock);
        while (!q->first && !q->closed && !timed_out) {
                if (timeout_ms < 0)
                        pthread_cond_wait(&q->filled, &q->lock);
                else
                        timed_out = pthread_cond_timedwait(&q->filled, &q->lock, &deadline) == ETIMEDOUT;
        }
        struct work *list = take_locked(q, max);
        bool closed = q->closed;
        pthread_mutex_unlock(&q->lock);
        if (ret_timeout)
                *ret_timeout = !list && !closed;
        return list;
}

void work_queue_close(struct work_queue *q)
{
        pthread_mutex_lock(&q->lock);
        q->closed = true;
        pthread_cond_broadcast(&q->filled);
        pthread_mutex_unlock(&q->lock);
}

size_t work_queue_depth(struct work_queue *q)
{
        pthread_mutex_lock(&q->lock);
        size_t n = q->items;
        pthread_mutex_unlock(&q->lock);
        return n;
}
