/* The epoll loop. A pass waits for events, lets each owner handle its own, runs what other threads posted, and then
 * what the pass itself deferred. Posted tasks are on a stack without a lock, because many threads post while the
 * loop takes. Only the first task of an empty stack writes to the eventfd, so a burst of completions costs one
 * wake-up. */

#include "net/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "util/clock.h"
#include "util/thread_owner.h"

#define EVENTS_PER_PASS 128
#define TICK_NS 1000000000u

struct task_list {
        struct loop_task *first, **last;
};

struct loop {
        struct thread_owner owner; /* while it runs */
        int epoll_fd;
        struct loop_io wakeup;
        uint64_t now_ns;
        atomic_bool stopping;

        struct epoll_event events[EVENTS_PER_PASS];
        int n_events, next_event;

        _Atomic(struct loop_task *) posted; /* the newest first */
        struct task_list deferred;

        void (*tick)(void *userdata);
        void *tick_userdata;
        uint64_t next_tick_ns;
};

static void list_init(struct task_list *list)
{
        list->first = NULL;
        list->last = &list->first;
}

static void list_append(struct task_list *list, struct loop_task *task)
{
        task->next = NULL;
        *list->last = task;
        list->last = &task->next;
}

static void drain_wakeup(struct loop_io *io, uint32_t events _unused_)
{
        uint64_t count;
        ssize_t n = read(io->fd, &count, sizeof(count));
        (void)n; /* EAGAIN: it was read already */
}

int loop_new(struct loop **ret)
{
        struct loop *l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        list_init(&l->deferred);
        l->wakeup.fd = -1;
        l->now_ns = clock_monotonic_ns();
        l->next_tick_ns = l->now_ns + TICK_NS;
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        int r = l->epoll_fd < 0 ? -errno : 0;
        if (r == 0) {
                l->wakeup = (struct loop_io){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = drain_wakeup };
                r = l->wakeup.fd < 0 ? -errno : loop_add(l, &l->wakeup, EPOLLIN | EPOLLET);
        }
        if (r < 0) {
                loop_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

static bool run_posted(struct loop *l)
{
        struct loop_task *newest = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire), *oldest = NULL;
        while (newest) {
                struct loop_task *next = newest->next;
                newest->next = oldest;
                oldest = newest;
                newest = next;
        }
        bool any = oldest != NULL;
        while (oldest) {
                struct loop_task *next = oldest->next;
                oldest->run(oldest);
                oldest = next;
        }
        return any;
}

static bool run_deferred(struct loop *l)
{
        bool any = false;
        while (l->deferred.first) { /* a task may defer another */
                struct loop_task *task = l->deferred.first;
                l->deferred.first = task->next;
                if (!l->deferred.first)
                        l->deferred.last = &l->deferred.first;
                task->run(task);
                any = true;
        }
        return any;
}

struct loop *loop_free(struct loop *l)
{
        if (!l)
                return NULL;
        assert_on_thread(&l->owner);
        while (run_posted(l) || run_deferred(l))
                ;
        if (l->wakeup.fd >= 0)
                close(l->wakeup.fd);
        if (l->epoll_fd >= 0)
                close(l->epoll_fd);
        free(l);
        return NULL;
}

void loop_set_tick(struct loop *l, void (*tick)(void *userdata), void *userdata)
{
        assert_on_thread(&l->owner);
        l->tick = tick;
        l->tick_userdata = userdata;
}

int loop_add(struct loop *l, struct loop_io *io, uint32_t events)
{
        assert_on_thread(&l->owner);
        assert(io->fd >= 0 && io->ready);
        struct epoll_event e = { .events = events, .data.ptr = io };
        return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, io->fd, &e) < 0 ? -errno : 0;
}

int loop_modify(struct loop *l, struct loop_io *io, uint32_t events)
{
        assert_on_thread(&l->owner);
        struct epoll_event e = { .events = events, .data.ptr = io };
        return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, io->fd, &e) < 0 ? -errno : 0;
}

void loop_remove(struct loop *l, struct loop_io *io)
{
        assert_on_thread(&l->owner);
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
        for (int i = l->next_event; i < l->n_events; i++) {
                if (l->events[i].data.ptr == io)
                        l->events[i].data.ptr = NULL;
        }
}

static void wake(struct loop *l)
{
        uint64_t one = 1;
        ssize_t n = write(l->wakeup.fd, &one, sizeof(one));
        (void)n; /* only a full counter refuses, and that is awake already */
}

void loop_post_list(struct loop *l, struct loop_task *last, struct loop_task *first)
{
        struct loop_task *before = atomic_load_explicit(&l->posted, memory_order_relaxed);
        do
                first->next = before;
        while (!atomic_compare_exchange_weak_explicit(&l->posted, &before, last, memory_order_release,
                                                      memory_order_relaxed));
        if (!before) /* from here on the tasks may be gone */
                wake(l);
}

void loop_post(struct loop *l, struct loop_task *task)
{
        assert(task->run);
        loop_post_list(l, task, task);
}

void loop_defer(struct loop *l, struct loop_task *task)
{
        assert_on_thread(&l->owner);
        assert(task->run);
        list_append(&l->deferred, task);
}

void loop_undefer(struct loop *l, struct loop_task *task)
{
        struct loop_task **p = &l->deferred.first;
        assert_on_thread(&l->owner);
        while (*p && *p != task)
                p = &(*p)->next;
        assert(*p); /* it is deferred */
        *p = task->next;
        if (l->deferred.last == &task->next)
                l->deferred.last = p;
}

bool loop_is_mine(const struct loop *l)
{
        return thread_owner_allows(&l->owner);
}

uint64_t loop_now_ns(const struct loop *l)
{
        return l->now_ns;
}

static void tick_if_due(struct loop *l)
{
        if (l->now_ns < l->next_tick_ns)
                return;
        l->next_tick_ns = l->now_ns + TICK_NS;
        if (l->tick)
                l->tick(l->tick_userdata);
}

static int wait_ms(const struct loop *l)
{
        uint64_t now = clock_monotonic_ns();
        return now >= l->next_tick_ns ? 0 : (int)((l->next_tick_ns - now) / 1000000 + 1);
}

static void handle_events(struct loop *l)
{
        while (l->next_event < l->n_events) {
                struct epoll_event *e = &l->events[l->next_event++];
                struct loop_io *io = e->data.ptr;
                if (io) /* else it was removed in this very pass */
                        io->ready(io, e->events);
        }
        l->n_events = l->next_event = 0;
}

static int pass(struct loop *l)
{
        int n = epoll_wait(l->epoll_fd, l->events, EVENTS_PER_PASS, wait_ms(l));
        if (n < 0 && errno != EINTR)
                return -errno;
        l->now_ns = clock_monotonic_ns();
        l->n_events = n < 0 ? 0 : n;
        handle_events(l);
        run_posted(l);
        tick_if_due(l);
        run_deferred(l);
        return 0;
}

int loop_run(struct loop *l)
{
        int r = 0;
        thread_owner_take(&l->owner);
        while (r == 0 && !atomic_load(&l->stopping))
                r = pass(l);
        thread_owner_release(&l->owner);
        return r;
}

void loop_stop(struct loop *l)
{
        atomic_store(&l->stopping, true);
        wake(l);
}
