/* Every thread has a socket of its own for each address, so that the kernel spreads connections without a shared queue.
 *
 * Draining: a loop closes its listeners and drains its connections, and ends when the last one is gone or time is up.
 * Failure modes: an address or a thread that is not to be had fails the start, which the caller undoes. */
#include "libdetritus/network.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "http/connection.h"
#include "ingest/route.h"
#include "net/listener.h"
#include "util/log.h"

struct network_thread {
        pthread_t thread;
        bool started;
        struct loop *loop;
        struct connection_set *connections;
        struct ingest_loop ingest;
        struct listener *listeners[CONFIG_LISTENERS_MAX];
        size_t n_listeners;
        struct loop_task drain;
};

struct network {
        struct ingest *ingest;
        struct address_table *addresses;
        char listening[CONFIG_LISTENERS_MAX][LISTENER_ADDRESS_SIZE];
        size_t n_listening;
        size_t n_threads;
        struct network_thread *threads;
};

/* ---- threads ---- */

static void on_drained(void *thread)
{
        loop_stop(((struct network_thread *)thread)->loop);
}

static void close_listeners(struct network_thread *t)
{
        while (t->n_listeners > 0)
                listener_free(t->listeners[--t->n_listeners]);
}

static void drain(struct loop_task *task)
{
        struct network_thread *t = container_of(task, struct network_thread, drain);
        assert(loop_is_mine(t->loop));
        close_listeners(t);
        connection_set_drain(t->connections, on_drained, t);
}

static void *run(void *thread)
{
        struct network_thread *t = thread;
        metrics_thread_counts_much();
        thread_owner_take(&t->ingest.thread);
        int r = loop_run(t->loop);
        thread_owner_release(&t->ingest.thread);
        if (r < 0)
                log_error("network thread stopped", LOG_STR("error", strerror(-r)));
        return NULL;
}

static int prepare_thread(struct network *n, struct network_thread *t)
{
        t->drain.run = drain;
        int r = loop_new(&t->loop);
        if (r == 0)
                r = ingest_loop_init(&t->ingest, n->ingest, t->loop);
        if (r < 0)
                return r;
        const struct connection_set_config config = {
                .limits = &n->ingest->config->limits,
                .metrics = n->ingest->metrics,
                .handler = { .begin = route_begin, .userdata = &t->ingest },
                .addresses = n->addresses,
        };
        return connection_set_new(t->loop, &config, &t->connections);
}

/* The threads inherit a mask that blocks every signal: those are the embedding program's. */
static int start_thread(struct network_thread *t)
{
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        int r = -pthread_create(&t->thread, NULL, run, t);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        t->started = r == 0;
        return r;
}

static size_t count_cores(void)
{
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return 1;
        int n = CPU_COUNT(&set);
        return n < 1 ? 1 : (size_t)n;
}

int network_new(struct ingest *ingest, struct address_table *addresses, struct network **ret)
{
        struct network *n = calloc(1, sizeof(*n));
        size_t count = ingest->config->network_threads ? ingest->config->network_threads : count_cores();
        if (!n)
                return -ENOMEM;
        *n = (struct network){ .ingest = ingest,
                               .addresses = addresses,
                               .threads = calloc(count, sizeof(*n->threads)) };
        int r = n->threads ? 0 : -ENOMEM;
        for (; r == 0 && n->n_threads < count; n->n_threads++)
                r = prepare_thread(n, &n->threads[n->n_threads]);
        if (r < 0) {
                network_close(n);
                network_free(n);
                return r;
        }
        *ret = n;
        return 0;
}

/* ---- listening ---- */

/* Takes fd. */
static int add_listener(struct network_thread *t, int fd)
{
        int r = listener_new(t->loop, fd, connection_set_accept, t->connections, &t->listeners[t->n_listeners]);
        if (r == 0)
                t->n_listeners++;
        return r;
}

static int listen_on(struct network *n, const char *address, struct error *err)
{
        char *bound = n->listening[n->n_listening];
        for (size_t i = 0; i < n->n_threads; i++) {
                int fd;
                int r = listener_bind(i == 0 ? address : bound, i > 0, &fd, err);
                if (r < 0)
                        return r;
                if (i == 0)
                        listener_address(fd, bound); /* port 0 has become a real one */
                r = add_listener(&n->threads[i], fd);
                if (r < 0)
                        return r;
        }
        n->n_listening++;
        return 0;
}

/* One socket given from outside is shared by all threads; the kernel wakes one of them for each connection. */
static int listen_given(struct network *n, int listen_fd, struct error *err)
{
        int r = listener_address(listen_fd, n->listening[0]);
        if (r == 0 && fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK) < 0)
                r = -errno;
        if (r < 0) {
                error_set(err, "the given listener is not a socket");
                close(listen_fd);
                return r;
        }
        for (size_t i = 0; i < n->n_threads && r == 0; i++) {
                int fd = i + 1 == n->n_threads ? TAKE_FD(listen_fd) : fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
                r = fd < 0 ? -errno : add_listener(&n->threads[i], fd);
        }
        if (listen_fd >= 0)
                close(listen_fd);
        n->n_listening = 1;
        return r;
}

int network_listen(struct network *n, int listen_fd, struct error *err)
{
        if (listen_fd >= 0)
                return listen_given(n, listen_fd, err);
        for (size_t i = 0; i < n->ingest->config->n_listeners; i++) {
                int r = listen_on(n, n->ingest->config->listeners[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

const char *network_address(const struct network *n, size_t i)
{
        return i < n->n_listening ? n->listening[i] : NULL;
}

/* ---- life ---- */

int network_start(struct network *n)
{
        int r = 0;
        assert(n->n_listening > 0);
        for (size_t i = 0; i < n->n_threads && r == 0; i++)
                r = start_thread(&n->threads[i]);
        return r;
}

static void join(struct network *n)
{
        for (size_t i = 0; i < n->n_threads; i++) {
                if (n->threads[i].started)
                        pthread_join(n->threads[i].thread, NULL);
                n->threads[i].started = false;
        }
}

void network_drain(struct network *n)
{
        for (size_t i = 0; i < n->n_threads; i++) {
                assert(n->threads[i].started);
                loop_post(n->threads[i].loop, &n->threads[i].drain);
        }
        join(n);
}

void network_abort(struct network *n)
{
        for (size_t i = 0; i < n->n_threads; i++) {
                if (n->threads[i].started)
                        loop_stop(n->threads[i].loop);
        }
        join(n);
}

void network_close(struct network *n)
{
        for (size_t i = 0; n && i < n->n_threads; i++) {
                assert(!n->threads[i].started); /* no thread runs */
                close_listeners(&n->threads[i]);
                connection_set_free(n->threads[i].connections);
        }
}

struct network *network_free(struct network *n)
{
        if (!n)
                return NULL;
        for (size_t i = 0; i < n->n_threads; i++) {
                assert(n->threads[i].n_listeners == 0); /* network_close() came first */
                loop_free(n->threads[i].loop);
                ingest_loop_done(&n->threads[i].ingest);
        }
        free(n->threads);
        free(n);
        return NULL;
}
