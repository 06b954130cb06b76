/* Closed loop: each place for a request is filled as soon as there is one. Open loop: requests are due at fixed times,
 * whether or not there is a place; one that has to wait keeps its time, and its latency counts from there, so that a
 * server that stands still shows in every request it held up and not in one alone (coordinated omission).
 *
 * A pass: wait for sockets or the next due time, read, begin requests, write. The thread ends when no request may begin
 * any more and none is under way, when LOAD_DRAIN_SECS are over, or when all its connections have failed. */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "client.h"
#include "util/clock.h"

#define EVENTS 256
#define SECOND_NS 1000000000ULL
#define PAUSE_NS (SECOND_NS / 10) /* the longest wait: the end of the run is seen so late at most */

struct pool {
        struct worker *worker;
        struct client_owner owner;
        size_t n;
        struct client **clients;
        size_t cursor;        /* open loop: whose turn it is */
        uint64_t interval_ns; /* open loop: from one request of this thread to the next; 0: closed loop */
        uint64_t due_ns;
        bool over; /* no request begins any more */
};

static struct load_run *run_of(const struct pool *p)
{
        return p->worker->run;
}

/* The number of the next request. False: there are no more. */
static bool claim(struct pool *p, uint64_t *ret_request)
{
        const struct load_options *o = run_of(p)->options;
        if (p->over)
                return false;
        uint64_t n = atomic_fetch_add_explicit(&run_of(p)->next_request, 1, memory_order_relaxed);
        p->over = o->requests > 0 && n >= o->requests;
        *ret_request = o->first + n;
        return !p->over;
}

static void fill(struct pool *p, struct client *c)
{
        uint64_t request;
        while (client_has_room(c) && claim(p, &request))
                client_request(c, request, 0);
        client_write(c);
}

/* Begins what is due, one request for each connection in turn. */
static void fill_due(struct pool *p, uint64_t now)
{
        uint64_t request;
        size_t passed = 0;
        while (p->due_ns <= now && p->due_ns < run_of(p)->end_ns && passed < p->n) {
                struct client *c = p->clients[p->cursor];
                p->cursor = (p->cursor + 1) % p->n;
                if (!client_has_room(c)) {
                        passed++;
                        continue;
                }
                if (!claim(p, &request))
                        return;
                client_request(c, request, p->due_ns);
                p->due_ns += p->interval_ns;
                passed = 0;
        }
}

/* ---- the loop ---- */

static bool anything_left(const struct pool *p)
{
        bool idle_run = run_of(p)->options->kind == LOAD_IDLE;
        for (size_t i = 0; i < p->n; i++) {
                if (client_is_open(p->clients[i]) && (!p->over || (!idle_run && !client_is_idle(p->clients[i]))))
                        return true;
        }
        return false;
}

static int wait_for_events(struct pool *p, struct epoll_event *events)
{
        uint64_t now = clock_monotonic_ns(), wait_ns = PAUSE_NS;
        if (p->interval_ns > 0 && p->due_ns > now && p->due_ns - now < PAUSE_NS)
                wait_ns = p->due_ns - now; /* what is due already has no place: an answer will wake us */
        struct timespec pause = { .tv_sec = 0, .tv_nsec = (long)wait_ns };
        int n = epoll_pwait2(p->owner.epoll_fd, events, EVENTS, &pause, NULL);
        return n < 0 && errno == EINTR ? 0 : n;
}

static void pass(struct pool *p, const struct epoll_event *events, int n)
{
        bool idle_run = run_of(p)->options->kind == LOAD_IDLE, open_loop = p->interval_ns > 0;
        for (int i = 0; i < n; i++) {
                struct client *c = events[i].data.ptr;
                if (events[i].events & ~(uint32_t)EPOLLOUT)
                        client_read(c);
                if (idle_run || open_loop)
                        client_write(c);
                else
                        fill(p, c);
        }
}

static void loop(struct pool *p)
{
        struct epoll_event events[EVENTS];
        const struct load_run *run = run_of(p);

        while (anything_left(p)) {
                int n = wait_for_events(p, events);
                uint64_t now = clock_monotonic_ns();
                if (n < 0 || now >= run->end_ns + (run->end_ns < UINT64_MAX ? LOAD_DRAIN_SECS * SECOND_NS : 0))
                        break;
                p->over |= (p->interval_ns > 0 ? p->due_ns : now) >= run->end_ns;
                pass(p, events, n);
                if (p->interval_ns > 0 && !p->over) {
                        fill_due(p, clock_monotonic_ns());
                        for (size_t i = 0; i < p->n; i++)
                                client_write(p->clients[i]);
                }
        }
}

/* ---- beginning and end ---- */

static void close_all(struct pool *p)
{
        for (size_t i = 0; i < p->n; i++)
                client_free(p->clients[i]);
        free(p->clients);
        free(p->owner.read_buffer);
        if (p->owner.epoll_fd >= 0)
                close(p->owner.epoll_fd);
}

static const char *open_all(struct pool *p)
{
        const struct load_options *o = run_of(p)->options;
        size_t n = o->connections / o->threads + (p->worker->index < o->connections % o->threads);
        p->owner.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (p->owner.epoll_fd < 0)
                return strerror(errno);
        p->clients = calloc(n, sizeof(*p->clients));
        p->owner.read_buffer = malloc(CLIENT_READ_BYTES);
        if (!p->clients || !p->owner.read_buffer)
                return "out of memory";
        for (; p->n < n; p->n++) {
                p->clients[p->n] = client_new(&p->owner);
                if (!p->clients[p->n])
                        return "out of memory";
        }
        return NULL;
}

void *worker_main(void *worker)
{
        struct worker *w = worker;
        const struct load_options *o = w->run->options;
        struct pool p = { .worker = w, .owner = { .run = w->run, .counts = &w->counts, .filler = w->filler } };

        if (o->rate > 0) {
                p.interval_ns = SECOND_NS * o->threads / o->rate;
                p.due_ns = w->run->start_ns + p.interval_ns * w->index / o->threads;
        }
        w->error = open_all(&p);
        if (!w->error)
                loop(&p);
        close_all(&p);
        return NULL;
}
