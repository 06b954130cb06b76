/* Group commit: take what is queued, have it written and made durable by one sync (log_writer.c), answer each owner in
 * the order of the queue.
 *
 * Failure modes: a failed sync fails its group with -EIO and the store for good: what is queued then, and comes later,
 * is answered -EROFS. */
#include "storage/logs/log_committer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "storage/logs/log_work.h"
#include "storage/logs/log_writer.h"
#include "util/thread_owner.h"

#define GROUP_MAX 4096 /* batches under one sync, so that the first does not wait for ever */
#define ANSWERS_MAX 32 /* owners answered together; with more, some are called twice for a group */
#define TICK_MS 1000   /* how often an idle committer looks for what is due */

struct log_committer {
        struct log_committer_config config;
        struct work_queue *queue;
        struct log_writer *writer;
        pthread_t thread;
        struct thread_owner owner;
        struct log_barrier *barriers; /* the thread's: of the group just answered */
};

static int64_t count_list(const struct log_work *list)
{
        int64_t n = 0;
        for (const struct log_work *w = list; w; w = log_work_next(w))
                n++;
        return n;
}

/* ---- answers ---- */

static void fail_all(struct log_work *list, int error)
{
        for (struct log_work *w = list; w; w = log_work_next(w))
                log_work_set_result(w, error);
}

static void count_durable(const struct log_committer *c, struct log_work *list)
{
        uint64_t lines = 0;
        for (struct log_work *w = list; w; w = log_work_next(w)) {
                const struct log_batch *b = w->kind == LOG_WORK_BATCH ? log_work_batch(w) : NULL;
                for (size_t i = 0; b && b->result == 0 && i < b->n_appends; i++)
                        lines += b->appends[i].lines;
        }
        metrics_count(c->config.metrics, METRICS_LOG_COMMITS, 1);
        metrics_count(c->config.metrics, METRICS_LOG_RECORDS, lines);
}

/* Batches that are answered by one call. */
struct answer {
        const void *owner;
        struct log_batch *first, **last;
};

struct answers {
        size_t n;
        struct answer list[ANSWERS_MAX];
};

static void give(struct answers *all)
{
        for (const struct answer *a = all->list; a < all->list + all->n; a++) {
                *a->last = NULL;
                a->first->done(a->first);
        }
        all->n = 0;
}

static void add_answer(struct answers *all, struct log_batch *b)
{
        struct answer *a = all->list, *end = a + all->n;
        assert(b->work.state == LOG_WORK_QUEUED); /* called exactly once */
        b->work.state = LOG_WORK_ANSWERED;
        while (a < end && (!b->owner || a->owner != b->owner))
                a++;
        if (a == all->list + ANSWERS_MAX) {
                give(all);
                a = end = all->list;
        }
        assert(a == end || a->first->done == b->done); /* of one owner */
        if (a == end) {
                *a = (struct answer){ .owner = b->owner, .last = &a->first };
                all->n++;
        }
        *a->last = b;
        a->last = &b->next;
}

static void answer_unlink(struct log_unlink *u)
{
        assert(u->work.state == LOG_WORK_QUEUED);
        u->work.state = LOG_WORK_ANSWERED;
        u->done(u, u->result);
}

static void keep_barrier(struct log_committer *c, struct log_barrier *b)
{
        b->next = c->barriers;
        c->barriers = b;
}

/* done() may free the work. */
static void answer_all(struct log_committer *c, struct log_work *list)
{
        struct answers answers;
        answers.n = 0;
        for (struct log_work *w = list, *next; w; w = next) {
                next = log_work_next(w);
                switch (w->kind) {
                case LOG_WORK_BATCH: add_answer(&answers, log_work_batch(w)); break;
                case LOG_WORK_UNLINK: answer_unlink(log_work_unlink(w)); break;
                case LOG_WORK_BARRIER: keep_barrier(c, log_work_barrier(w)); break;
                }
        }
        give(&answers);
}

static void open_barriers(struct log_committer *c)
{
        while (c->barriers) {
                struct log_barrier *b = c->barriers;
                c->barriers = b->next;
                sem_post(&b->passed); /* the last touch: it is gone now */
        }
}

/* ---- the thread ---- */

static void commit(struct log_committer *c, struct log_work *list)
{
        metrics_gauge_add(c->config.metrics, METRICS_LOG_QUEUE, -count_list(list));
        int r = log_committer_failed(c) ? -EROFS : log_writer_store(c->writer, list);
        if (r < 0)
                fail_all(list, r);
        else
                count_durable(c, list);
        metrics_gauge_set(c->config.metrics, METRICS_LOG_FILES_OPEN, (int64_t)log_writer_open_files(c->writer));
        answer_all(c, list);
}

static void *run(void *userdata)
{
        struct log_committer *c = userdata;
        thread_owner_take(&c->owner);
        log_writer_begin(c->writer);
        for (;;) {
                bool timeout = false;
                int wait_ms = log_writer_needs_ticks(c->writer) ? TICK_MS : -1;
                struct work *list = work_queue_take(c->queue, GROUP_MAX, wait_ms, &timeout);
                if (list)
                        commit(c, log_work_of(list));
                else if (!timeout)
                        break;
                log_writer_tick(c->writer);
                open_barriers(c);
        }
        log_writer_end(c->writer);
        metrics_gauge_set(c->config.metrics, METRICS_LOG_FILES_OPEN, 0);
        thread_owner_release(&c->owner);
        return NULL;
}

/* ---- life ---- */

static void destroy(struct log_committer *c)
{
        log_writer_free(c->writer);
        work_queue_free(c->queue);
        free(c);
}

int log_committer_new(const struct log_committer_config *config, struct log_committer **ret)
{
        struct log_committer *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->config = *config;
        c->queue = work_queue_new(config->queue_batches, config->queue_bytes);
        int r = c->queue ? log_writer_new(&c->config, &c->writer) : -ENOMEM;
        if (r == 0)
                r = -pthread_create(&c->thread, NULL, run, c);
        if (r < 0) {
                destroy(c);
                return r;
        }
        pthread_setname_np(c->thread, "log-committer");
        *ret = c;
        return 0;
}

struct log_committer *log_committer_free(struct log_committer *c)
{
        if (!c)
                return NULL;
        assert_not_on_thread(&c->owner);
        work_queue_close(c->queue);
        pthread_join(c->thread, NULL);
        destroy(c);
        return NULL;
}

/* ---- what callers submit ---- */

static int push(struct log_committer *c, struct log_work *list, struct log_work **ret_rest)
{
        struct work *rest;
        *ret_rest = list;
        if (!list)
                return 0;
        if (log_committer_failed(c))
                return -EROFS;
        /* Counted before the thread can take them, so that the gauge never falls below zero. */
        metrics_gauge_add(c->config.metrics, METRICS_LOG_QUEUE, count_list(list));
        int r = work_queue_push_list(c->queue, &list->item, &rest);
        *ret_rest = log_work_of(rest);
        metrics_gauge_add(c->config.metrics, METRICS_LOG_QUEUE, -count_list(*ret_rest));
        return r;
}

int log_committer_submit_list(struct log_committer *c, struct log_batch *list, struct log_batch **ret_rest)
{
        struct log_work *rest;
        for (struct log_batch *b = list; b; b = b->next) {
                assert(b->done);
                b->work = (struct log_work){ .item.next = b->next ? &b->next->work.item : NULL,
                                             .kind = LOG_WORK_BATCH,
                                             .state = LOG_WORK_QUEUED };
                for (size_t i = 0; i < b->n_appends; i++)
                        b->work.item.weight += b->appends[i].len;
        }
        int r = push(c, list ? &list->work : NULL, &rest);
        *ret_rest = rest ? log_work_batch(rest) : NULL;
        return r;
}

int log_committer_submit(struct log_committer *c, struct log_batch *batch)
{
        struct log_batch *rest;
        batch->next = NULL;
        return log_committer_submit_list(c, batch, &rest);
}

int log_committer_unlink(struct log_committer *c, struct log_unlink *u)
{
        struct log_work *rest;
        u->work = (struct log_work){ .kind = LOG_WORK_UNLINK, .state = LOG_WORK_QUEUED };
        return push(c, &u->work, &rest);
}

int log_committer_barrier(struct log_committer *c)
{
        struct log_barrier b = { .work = { .kind = LOG_WORK_BARRIER, .state = LOG_WORK_QUEUED } };
        struct log_work *rest;
        assert_not_on_thread(&c->owner);
        sem_init(&b.passed, 0, 0);
        int r = push(c, &b.work, &rest);
        if (r == 0) {
                while (sem_wait(&b.passed) < 0)
                        assert(errno == EINTR);
                r = b.result;
        }
        sem_destroy(&b.passed);
        return r > 0 ? -EAGAIN : r;
}

bool log_committer_failed(const struct log_committer *c)
{
        return log_writer_failed(c->writer);
}

size_t log_committer_depth(const struct log_committer *c)
{
        return work_queue_depth(c->queue);
}
