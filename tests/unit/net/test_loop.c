#include "net/loop.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

static char order[16];

struct step {
        struct loop_task task;
        struct loop *loop;
        char name;
};

static void run_step(struct loop_task *task)
{
        struct step *s = container_of(task, struct step, task);
        size_t n = strlen(order);
        order[n] = s->name;
        order[n + 1] = '\0';
        if (s->name == '!')
                loop_stop(s->loop);
}

static struct step step(struct loop *l, char name)
{
        return (struct step){ .task.run = run_step, .loop = l, .name = name };
}

/* Posted tasks run in their order, deferred ones after them; a deferred one may be taken back. */
static void tasks_run_in_order(void **state _unused_)
{
        _cleanup_(loop_freep) struct loop *l = NULL;
        assert_int_equal(loop_new(&l), 0);
        struct step a = step(l, 'a'), b = step(l, 'b'), c = step(l, 'c'), gone = step(l, 'x'), end = step(l, '!');
        order[0] = '\0';
        loop_defer(l, &gone.task);
        loop_defer(l, &c.task);
        loop_defer(l, &end.task);
        loop_undefer(l, &gone.task);
        loop_post(l, &a.task);
        loop_post(l, &b.task);
        assert_int_equal(loop_run(l), 0);
        assert_string_equal(order, "abc!");
}

static void what_is_still_posted_runs_when_it_is_freed(void **state _unused_)
{
        struct loop *l = NULL;
        assert_int_equal(loop_new(&l), 0);
        struct step a = step(l, 'a'), b = step(l, 'b');
        order[0] = '\0';
        loop_post(l, &a.task);
        loop_defer(l, &b.task);
        loop_free(l);
        assert_string_equal(order, "ab");
}

static sem_t running;
static bool mine_inside;

static void look_inside(struct loop_task *task)
{
        mine_inside = loop_is_mine(container_of(task, struct step, task)->loop);
        sem_post(&running);
}

static void *run_loop(void *l)
{
        return loop_run(l) == 0 ? l : NULL;
}

/* While it runs the loop belongs to its thread alone. */
static void the_loop_has_an_owner(void **state _unused_)
{
        _cleanup_(loop_freep) struct loop *l = NULL;
        pthread_t thread;
        void *result;
        assert_int_equal(loop_new(&l), 0);
        assert_true(loop_is_mine(l));
        struct step look = { .task.run = look_inside, .loop = l };
        sem_init(&running, 0, 0);
        loop_post(l, &look.task);
        assert_int_equal(pthread_create(&thread, NULL, run_loop, l), 0);
        sem_wait(&running);
        assert_true(mine_inside);
        assert_false(loop_is_mine(l));
        loop_stop(l);
        pthread_join(thread, &result);
        assert_ptr_equal(result, l);
        assert_true(loop_is_mine(l));
        sem_destroy(&running);
}

struct pair {
        struct loop_io io;
        struct loop *loop;
        struct pair *other;
        unsigned *calls;
};

static void remove_the_other(struct loop_io *io, uint32_t events _unused_)
{
        struct pair *p = container_of(io, struct pair, io);
        (*p->calls)++;
        loop_remove(p->loop, &p->other->io);
        loop_remove(p->loop, &p->io);
        loop_stop(p->loop);
}

/* Both are ready in the same pass; whichever comes first removes the other. */
static void what_was_removed_is_not_called(void **state _unused_)
{
        _cleanup_(loop_freep) struct loop *l = NULL;
        int ends[2];
        unsigned calls = 0;
        assert_int_equal(loop_new(&l), 0);
        assert_int_equal(pipe(ends), 0);
        int again = dup(ends[1]);
        struct pair a = { .io = { ends[1], remove_the_other }, .loop = l, .calls = &calls };
        struct pair b = { .io = { again, remove_the_other }, .loop = l, .calls = &calls };
        a.other = &b;
        b.other = &a;
        assert_int_equal(loop_add(l, &a.io, EPOLLOUT), 0);
        assert_int_equal(loop_add(l, &b.io, EPOLLOUT), 0);
        assert_int_equal(loop_run(l), 0);
        assert_int_equal(calls, 1);
        close(ends[0]);
        close(ends[1]);
        close(again);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tasks_run_in_order),
                cmocka_unit_test(what_is_still_posted_runs_when_it_is_freed),
                cmocka_unit_test(the_loop_has_an_owner),
                cmocka_unit_test(what_was_removed_is_not_called),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
