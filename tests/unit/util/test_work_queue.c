/* The work queue: bounds, order, closing, and threads on both ends. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/work_queue.h"

static void bounds_items(void **state)
{
        (void)state;
        struct work_queue *q = work_queue_new(3, 1000);
        struct work w[4] = { 0 };
        for (int i = 0; i < 3; i++)
                assert_int_equal(work_queue_push(q, &w[i]), 0);
        assert_int_equal(work_queue_push(q, &w[3]), WORK_QUEUE_FULL);
        assert_int_equal(work_queue_depth(q), 3);
        assert_ptr_equal(work_queue_take(q, 1, -1, NULL), &w[0]);
        assert_int_equal(work_queue_push(q, &w[3]), 0);
        assert_int_equal(work_queue_push(q, &w[0]), WORK_QUEUE_FULL);
        assert_ptr_equal(work_queue_take(q, 0, -1, NULL), &w[1]);
        assert_ptr_equal(w[1].next, &w[2]);
        assert_ptr_equal(w[2].next, &w[3]);
        assert_null(w[3].next);
        assert_int_equal(work_queue_depth(q), 0);
        work_queue_free(q);
        assert_null(work_queue_free(NULL));
}

static void bounds_weight(void **state)
{
        (void)state;
        struct work_queue *q = work_queue_new(100, 10);
        struct work six = { .weight = 6 }, four = { .weight = 4 }, one = { .weight = 1 }, none = { 0 };
        struct work huge = { .weight = SIZE_MAX };
        assert_int_equal(work_queue_push(q, &six), 0);
        assert_int_equal(work_queue_push(q, &huge), WORK_QUEUE_FULL);
        assert_int_equal(work_queue_push(q, &four), 0);
        assert_int_equal(work_queue_push(q, &one), WORK_QUEUE_FULL);
        assert_int_equal(work_queue_push(q, &none), 0);
        assert_ptr_equal(work_queue_take(q, 1, -1, NULL), &six);
        assert_int_equal(work_queue_push(q, &one), 0); /* weight is given back piece by piece */
        work_queue_take(q, 0, -1, NULL);
        assert_int_equal(work_queue_push(q, &huge), 0); /* the empty queue takes anything */
        assert_int_equal(work_queue_push(q, &none), WORK_QUEUE_FULL);
        work_queue_take(q, 0, -1, NULL);
        assert_int_equal(work_queue_push(q, &four), 0);
        work_queue_take(q, 0, -1, NULL);
        work_queue_free(q);
}

static void takes_at_most(void **state)
{
        (void)state;
        struct work_queue *q = work_queue_new(10, 10);
        struct work w[5] = { 0 };
        for (int i = 0; i < 5; i++)
                work_queue_push(q, &w[i]);
        struct work *list = work_queue_take(q, 2, -1, NULL);
        assert_ptr_equal(list, &w[0]);
        assert_ptr_equal(list->next, &w[1]);
        assert_null(w[1].next);
        assert_int_equal(work_queue_depth(q), 3);
        list = work_queue_take(q, 3, -1, NULL);
        assert_ptr_equal(list, &w[2]);
        assert_null(w[4].next);
        assert_int_equal(work_queue_push(q, &w[0]), 0); /* behind an emptied list */
        assert_ptr_equal(work_queue_take(q, 5, -1, NULL), &w[0]);
        work_queue_free(q);
}

static void takes_of_a_list_what_fits(void **state)
{
        (void)state;
        struct work_queue *q = work_queue_new(3, 10);
        struct work w[4] = { { .weight = 4 }, { .weight = 4 }, { .weight = 4 }, { .weight = 1 } }, *rest = w;
        assert_int_equal(work_queue_push_list(q, NULL, &rest), 0);
        assert_null(rest);
        for (int i = 0; i < 3; i++)
                w[i].next = &w[i + 1];
        assert_int_equal(work_queue_push_list(q, w, &rest), WORK_QUEUE_FULL);
        assert_ptr_equal(rest, &w[2]); /* too heavy; what is behind it is not tried */
        assert_ptr_equal(rest->next, &w[3]);
        assert_ptr_equal(work_queue_take(q, 0, -1, NULL), &w[0]);
        assert_ptr_equal(w[0].next, &w[1]);
        assert_null(w[1].next);
        assert_int_equal(work_queue_push_list(q, rest, &rest), 0);
        assert_null(rest);
        assert_int_equal(work_queue_depth(q), 2);
        work_queue_close(q);
        w[0].next = NULL;
        assert_int_equal(work_queue_push_list(q, &w[0], &rest), WORK_QUEUE_CLOSED);
        assert_ptr_equal(rest, &w[0]);
        assert_ptr_equal(work_queue_take(q, 0, -1, NULL), &w[2]);
        work_queue_free(q);
}

static void times_out(void **state)
{
        (void)state;
        struct work_queue *q = work_queue_new(1, 1);
        struct work w = { 0 };
        bool timeout = false;
        assert_null(work_queue_take(q, 0, 0, &timeout));
        assert_true(timeout);
        assert_null(work_queue_take(q, 0, 1, &timeout));
        assert_true(timeout);
        work_queue_push(q, &w);
        assert_ptr_equal(work_queue_take(q, 0, 0, &timeout), &w);
        assert_false(timeout);
        work_queue_close(q);
        timeout = true;
        assert_null(work_queue_take(q, 0, 0, &timeout));
        assert_false(timeout); /* closed, not late */
        work_queue_free(q);
}

static void closing_drains(void **state)
{
        (void)state;
        struct work_queue *q = work_queue_new(10, 10);
        struct work w[3] = { 0 };
        work_queue_push(q, &w[0]);
        work_queue_push(q, &w[1]);
        work_queue_close(q);
        assert_int_equal(work_queue_push(q, &w[2]), WORK_QUEUE_CLOSED);
        assert_ptr_equal(work_queue_take(q, 1, -1, NULL), &w[0]);
        assert_ptr_equal(work_queue_take(q, 1, -1, NULL), &w[1]);
        assert_null(work_queue_take(q, 1, -1, NULL));
        work_queue_free(q);
}

enum { PRODUCERS = 3, CONSUMERS = 3, ITEMS = 2000 };

struct item {
        struct work work;
        unsigned producer, number;
};

struct shared {
        struct work_queue *q;
        struct item items[PRODUCERS][ITEMS];
        atomic_uint taken, sum;
        atomic_bool out_of_order;
};

struct producer {
        struct shared *s;
        unsigned index;
};

static void *produce(void *userdata)
{
        const struct producer *p = userdata;
        for (unsigned i = 0; i < ITEMS; i++) {
                struct item *item = &p->s->items[p->index][i];
                *item = (struct item){ .work.weight = 1, .producer = p->index, .number = i };
                while (work_queue_push(p->s->q, &item->work) == WORK_QUEUE_FULL)
                        sched_yield();
        }
        return NULL;
}

/* Takes one at a time and all at once by turns. What one consumer sees of one producer comes in order. */
static void *consume(void *userdata)
{
        struct shared *s = userdata;
        int last[PRODUCERS] = { -1, -1, -1 };
        struct work *w;
        for (size_t max = 0; (w = work_queue_take(s->q, max, -1, NULL)) != NULL; max = (max + 1) % 4) {
                while (w) {
                        struct item *item = (struct item *)w;
                        w = w->next;
                        if ((int)item->number <= last[item->producer])
                                atomic_store(&s->out_of_order, true);
                        last[item->producer] = (int)item->number;
                        atomic_fetch_add(&s->taken, 1);
                        atomic_fetch_add(&s->sum, item->number);
                }
        }
        return NULL;
}

static void threads_on_both_ends(void **state)
{
        (void)state;
        struct shared *s = calloc(1, sizeof(*s));
        pthread_t producers[PRODUCERS], consumers[CONSUMERS];
        struct producer arguments[PRODUCERS];
        s->q = work_queue_new(16, 16);
        for (int i = 0; i < CONSUMERS; i++)
                assert_int_equal(pthread_create(&consumers[i], NULL, consume, s), 0);
        for (unsigned i = 0; i < PRODUCERS; i++) {
                arguments[i] = (struct producer){ s, i };
                assert_int_equal(pthread_create(&producers[i], NULL, produce, &arguments[i]), 0);
        }
        for (int i = 0; i < PRODUCERS; i++)
                pthread_join(producers[i], NULL);
        work_queue_close(s->q);
        for (int i = 0; i < CONSUMERS; i++)
                pthread_join(consumers[i], NULL);
        assert_int_equal(s->taken, PRODUCERS * ITEMS);
        assert_int_equal(s->sum, PRODUCERS * (ITEMS * (ITEMS - 1) / 2));
        assert_false(s->out_of_order);
        assert_int_equal(work_queue_depth(s->q), 0);
        work_queue_free(s->q);
        free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bounds_items),
                cmocka_unit_test(bounds_weight),
                cmocka_unit_test(takes_at_most),
                cmocka_unit_test(takes_of_a_list_what_fits),
                cmocka_unit_test(times_out),
                cmocka_unit_test(closing_drains),
                cmocka_unit_test(threads_on_both_ends),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
