/* A loop gathers batches in a list and submits the list when the pass ends or the list is long enough. The committer
 * returns the batches of each group that it made durable as one list, which is posted to the loop at once.
 *
 * A batch that the committer does not take (its queue is full, it stops, it failed) is refused at once. When a client
 * leaves while its lines are being committed, the lines stay. */

#include "ingest/log_handover.h"

#include <assert.h>
#include <errno.h>

/* A list with that many batches or bytes does not wait for the end of the pass. The committer's queue bounds what is
 * in memory beyond that. */
#define SUBMIT_AT 16
#define SUBMIT_AT_BYTES ((size_t)4 * 1024 * 1024)

struct log_handover_loop {
        struct ingest_loop *in;
        struct log_batch *first, **last; /* not yet submitted, in order */
        unsigned n;
        size_t bytes;            /* of their lines */
        struct loop_task submit; /* deferred while there are any */
};

static struct log_export *export_of(struct log_batch *b)
{
        return container_of(b, struct log_export, batch);
}

/* ---- from the committer ---- */

static void spend(struct log_export *e, uint64_t *spent)
{
        *spent += e->promised_bytes;
        e->promised_bytes = 0;
}

/* On the committer's thread. list: one loop's batches of one group, durable or failed. */
static void on_committed(struct log_batch *list)
{
        struct ingest_loop *in = list->owner;
        struct space *space = store_space(in->ingest->store);
        struct loop_task *first = &export_of(list)->call.wake, *last = NULL;
        uint64_t spent = 0;
        for (struct log_batch *b = list; b; b = b->next) {
                struct log_export *e = export_of(b);
                assert(e->state == LOG_EXPORT_HANDED_OVER);
                if (b->result == 0)
                        spend(e, &spent);
                else if (b->result == -ENOSPC || b->result == -EDQUOT)
                        space_saw_full(space);
                e->call.wake.next = last;
                last = &e->call.wake;
        }
        space_spend(space, spent, &spent);
        loop_post_list(in->loop, last, first);
}

/* On the loop again. A result above 0: the committer did not take the batch. */
static void answer(struct call *c)
{
        struct log_export *e = container_of(c, struct log_export, call);
        struct refusal refusal = { .retry_after_ms = 1000 };
        int result = e->batch.result;
        if (result == 0) {
                metrics_bytes(c->in->ingest->metrics, METRICS_LOGS, e->message_bytes);
                e->stored(c);
        } else if (result < 0) {
                call_fail(c, result, "log store");
        } else {
                refuse(&refusal, ANSWER_UNAVAILABLE,
                       result == WORK_QUEUE_FULL ? "too many log batches are waiting for the disk" : "shutting down");
                call_refuse(c, &refusal);
        }
}

/* ---- to the committer ---- */

static void submit(struct loop_task *task)
{
        struct log_handover_loop *l = container_of(task, struct log_handover_loop, submit);
        struct log_batch *list = TAKE_PTR(l->first), *rest;
        assert_on_thread(&l->in->thread);
        assert(list && l->n <= SUBMIT_AT);
        l->last = &l->first;
        l->n = 0;
        l->bytes = 0;
        while (list) { /* a batch that does not fit may be followed by one that does */
                int r = log_committer_submit_list(store_logs(l->in->ingest->store), list, &rest);
                list = rest ? rest->next : NULL;
                if (rest) {
                        rest->result = r;
                        call_resume(&export_of(rest)->call);
                }
        }
}

void log_handover_submit(struct log_export *e, void (*stored)(struct call *c))
{
        struct log_handover_loop *l = e->call.in->log_handover;
        assert_on_thread(&l->in->thread);
        assert(e->state == LOG_EXPORT_READY && e->batch.n_appends > 0);
        e->state = LOG_EXPORT_HANDED_OVER;
        e->stored = stored;
        e->batch.done = on_committed;
        e->batch.owner = l->in;
        call_park(&e->call, answer);
        if (l->n++ == 0)
                loop_defer(l->in->loop, &l->submit);
        *l->last = &e->batch;
        l->last = &e->batch.next;
        l->bytes += e->buffers.lines.len;
        if (l->n == SUBMIT_AT || l->bytes >= SUBMIT_AT_BYTES) {
                loop_undefer(l->in->loop, &l->submit);
                submit(&l->submit);
        }
}

struct log_handover_loop *log_handover_loop_new(struct ingest_loop *in)
{
        struct log_handover_loop *l = calloc(1, sizeof(*l));
        if (!l)
                return NULL;
        l->in = in;
        l->last = &l->first;
        l->submit.run = submit;
        return l;
}

struct log_handover_loop *log_handover_loop_free(struct log_handover_loop *l)
{
        assert(!l || l->n == 0);
        free(l);
        return NULL;
}
