/* Starts the parts in the order they need each other, and stops them in the reverse: tokens, store, sockets, loops,
 * threads. A start that fails halfway undoes what it did.
 *
 * Stopping: every loop closes its listeners and drains its connections; a loop ends when its last connection is gone or
 * time is up. Then nothing new can arrive, so the verifier and the store answer what they still have, those answers are
 * run (to free their requests, which hold blobs of the store), and the rest is freed. */

#include "libdetritus/detritus.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "auth/phc.h"
#include "http/connection.h"
#include "ingest/ingest.h"
#include "libdetritus/control.h"
#include "net/address_table.h"
#include "net/listener.h"
#include "util/log.h"

struct detritus_config {
        struct config *config;
};

struct network_thread {
        struct detritus *server;
        pthread_t thread;
        bool started;
        struct loop *loop;
        struct connection_set *connections;
        struct ingest_loop ingest;
        struct listener *listeners[CONFIG_LISTENERS_MAX];
        size_t n_listeners;
        struct loop_task drain;
};

struct detritus {
        struct rates *rates;
        struct operations *operations;
        struct control *control; /* NULL: none could be had */
        struct config *config;
        struct metrics *metrics;
        struct store *store;
        struct address_table *addresses;
        struct ingest ingest;
        char listening[CONFIG_LISTENERS_MAX][LISTENER_ADDRESS_SIZE];
        size_t n_listening;
        size_t n_threads;
        struct network_thread *threads;
};

static int fail(struct detritus_error *err, const struct error *why, int r)
{
        if (err)
                snprintf(err->text, sizeof(err->text), "%s", why->text);
        return r;
}

/* ---- configuration ---- */

int detritus_config_new(struct detritus_config **ret)
{
        struct detritus_config *c = calloc(1, sizeof(*c));
        int r = c ? config_new(&c->config) : -ENOMEM;
        if (r < 0) {
                free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void detritus_config_free(struct detritus_config *c)
{
        if (!c)
                return;
        config_free(c->config);
        free(c);
}

int detritus_config_read(struct detritus_config *c, const char *path, struct detritus_error *err)
{
        struct error why = { "" };
        int r = config_read(c->config, path, &why);
        return r == 0 ? 0 : fail(err, &why, r);
}

int detritus_config_set(struct detritus_config *c, const char *name, const char *value, struct detritus_error *err)
{
        struct error why = { "" };
        int r = config_set(c->config, name, value, &why);
        return r == 0 ? 0 : fail(err, &why, r);
}

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
        close_listeners(t);
        connection_set_drain(t->connections, on_drained, t);
}

static void *run(void *thread)
{
        struct network_thread *t = thread;
        int r = loop_run(t->loop);
        if (r < 0)
                log_error("network thread stopped", LOG_STR("error", strerror(-r)));
        return NULL;
}

static int prepare_thread(struct detritus *d, struct network_thread *t)
{
        t->server = d;
        t->drain.run = drain;
        int r = loop_new(&t->loop);
        if (r == 0)
                r = ingest_loop_init(&t->ingest, &d->ingest, t->loop);
        if (r < 0)
                return r;
        const struct connection_set_config config = {
                .limits = &d->config->limits,
                .metrics = d->metrics,
                .handler = { .begin = route_begin, .userdata = &t->ingest },
                .addresses = d->addresses,
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

static int prepare_threads(struct detritus *d)
{
        size_t n = d->config->network_threads ? d->config->network_threads : count_cores();
        d->threads = calloc(n, sizeof(*d->threads));
        if (!d->threads)
                return -ENOMEM;
        d->n_threads = n;
        for (size_t i = 0; i < n; i++) {
                int r = prepare_thread(d, &d->threads[i]);
                if (r < 0)
                        return r;
        }
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

/* A socket of its own for every thread, so that the kernel spreads connections without a shared queue. */
static int listen_on(struct detritus *d, const char *address, struct error *err)
{
        char *bound = d->listening[d->n_listening];
        for (size_t i = 0; i < d->n_threads; i++) {
                int fd;
                int r = listener_bind(i == 0 ? address : bound, i > 0, &fd, err);
                if (r < 0)
                        return r;
                if (i == 0)
                        listener_address(fd, bound); /* port 0 has become a real one */
                r = add_listener(&d->threads[i], fd);
                if (r < 0)
                        return r;
        }
        d->n_listening++;
        return 0;
}

/* One socket given from outside is shared by all threads; the kernel wakes one of them for each connection. */
static int listen_given(struct detritus *d, int listen_fd, struct error *err)
{
        int r = listener_address(listen_fd, d->listening[0]);
        if (r == 0 && fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK) < 0)
                r = -errno;
        if (r < 0) {
                error_set(err, "the given listener is not a socket");
                close(listen_fd);
                return r;
        }
        for (size_t i = 0; i < d->n_threads && r == 0; i++) {
                int fd = i + 1 == d->n_threads ? TAKE_FD(listen_fd) : fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
                r = fd < 0 ? -errno : add_listener(&d->threads[i], fd);
        }
        if (listen_fd >= 0)
                close(listen_fd);
        d->n_listening = 1;
        return r;
}

static int listen_all(struct detritus *d, int listen_fd, struct error *err)
{
        if (listen_fd >= 0)
                return listen_given(d, listen_fd, err);
        for (size_t i = 0; i < d->config->n_listeners; i++) {
                int r = listen_on(d, d->config->listeners[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- start and stop ---- */

static int make_auth(struct detritus *d, struct error *err)
{
        const struct config_limits *l = &d->config->limits;
        const struct verifier_config config = {
                .threads = l->verifier_threads,
                .queue = l->verifier_queue,
                .cache_entries = l->token_cache_entries,
                .good_secs = l->token_cache_secs,
                .bad_secs = l->token_cache_bad_secs,
                .metrics = d->metrics,
        };
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        if (!d->config->tokens_config) {
                error_set(err, "no token file: --tokens-config FILE is required");
                return -EINVAL;
        }
        log_info("loading tokens", LOG_STR("path", d->config->tokens_config));
        int r = tokens_read(d->config->tokens_config, &tokens, err);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        return verifier_new(&config, tokens, &d->ingest.verifier);
}

static int make_shared(struct detritus *d, struct error *err)
{
        const struct config_limits *l = &d->config->limits;
        d->metrics = metrics_new();
        d->addresses = address_table_new(l->connections, l->connections_per_address);
        d->ingest = (struct ingest){
                .config = d->config,
                .metrics = d->metrics,
                .rate_limit = rate_limit_new(l->rate_limit_sources),
                .uploads = upload_slots_new(l->uploads, l->uploads_per_source),
        };
        if (!d->metrics || !d->addresses || !d->ingest.rate_limit || !d->ingest.uploads)
                return -ENOMEM;
        int r = make_auth(d, err);
        if (r == 0)
                r = store_open(d->config, d->metrics, &d->store, err);
        d->ingest.store = d->store;
        if (r == 0)
                r = token_use_new(store_index(d->store), &d->ingest.token_use);
        return r;
}

static void join_threads(struct detritus *d)
{
        for (size_t i = 0; i < d->n_threads; i++) {
                if (d->threads[i].started)
                        pthread_join(d->threads[i].thread, NULL);
        }
}

static void free_control(struct detritus *d)
{
        d->control = control_free(d->control);
        d->operations = operations_free(d->operations);
        d->rates = rates_free(d->rates);
}

static void free_all(struct detritus *d)
{
        free_control(d);
        for (size_t i = 0; i < d->n_threads; i++) {
                close_listeners(&d->threads[i]);
                connection_set_free(d->threads[i].connections);
        }
        verifier_free(d->ingest.verifier);
        token_use_free(d->ingest.token_use);
        if (d->store)
                store_stop(d->store);
        for (size_t i = 0; i < d->n_threads; i++) {
                loop_free(d->threads[i].loop); /* runs the answers that came last */
                ingest_loop_done(&d->threads[i].ingest);
        }
        store_free(d->store);
        free(d->threads);
        upload_slots_free(d->ingest.uploads);
        rate_limit_free(d->ingest.rate_limit);
        address_table_free(d->addresses);
        metrics_free(d->metrics);
        config_free(d->config);
        free(d);
}

static const char *address_of(void *server, size_t i)
{
        return detritus_address(server, i);
}

static int reload_tokens(void *server, struct error *err, size_t *ret_tokens)
{
        struct detritus *d = server;
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        int r = tokens_read(d->config->tokens_config, &tokens, err);
        if (r != 0) {
                log_error("tokens not reloaded, the old ones stay", LOG_STR("reason", err->text));
                return r;
        }
        *ret_tokens = tokens->n;
        verifier_set_tokens(d->ingest.verifier, tokens);
        log_info("tokens reloaded", LOG_STR("path", d->config->tokens_config), LOG_INT("tokens", tokens->n));
        return 0;
}

/* Last: whoever asks finds a daemon that works. Without it the daemon does all the same. */
static int start_control(struct detritus *d)
{
        const struct operations_config config = {
                .config = d->config,
                .metrics = d->metrics,
                .store = d->store,
                .rates = d->rates = rates_new(d->metrics),
                .address = address_of,
                .reload = reload_tokens,
                .userdata = d,
        };
        struct error why = { "" };
        int r = d->rates ? operations_new(&config, &d->operations) : -ENOMEM;
        if (r < 0)
                return r;
        r = control_new(store_datadir_fd(d->store), d->operations, d->rates, &d->control, &why);
        if (r < 0)
                log_warn("no control socket: detritusctl can only look on", LOG_STR("reason", why.text));
        return 0;
}

static int start(struct detritus *d, int listen_fd, struct error *err)
{
        int r = make_shared(d, err);
        if (r == 0)
                r = prepare_threads(d);
        if (r < 0) {
                if (listen_fd >= 0)
                        close(listen_fd);
                return r;
        }
        r = listen_all(d, listen_fd, err);
        for (size_t i = 0; i < d->n_threads && r == 0; i++)
                r = start_thread(&d->threads[i]);
        return r == 0 ? start_control(d) : r;
}

int detritus_start(struct detritus_config *config, int listen_fd, struct detritus **ret, struct detritus_error *err)
{
        struct error why = { "" };
        struct detritus *d = calloc(1, sizeof(*d));
        if (!d) {
                detritus_config_free(config);
                if (listen_fd >= 0)
                        close(listen_fd);
                error_set(&why, "cannot start: %s", strerror(ENOMEM));
                return fail(err, &why, -ENOMEM);
        }
        d->config = TAKE_PTR(config->config);
        detritus_config_free(config);
        log_setup(d->config->log_format, LOG_LEVEL_INFO);
        int r = start(d, listen_fd, &why);
        if (r < 0) {
                if (!why.text[0])
                        error_set(&why, "cannot start: %s", strerror(-r));
                for (size_t i = 0; i < d->n_threads; i++) {
                        if (d->threads[i].started)
                                loop_stop(d->threads[i].loop);
                }
                join_threads(d);
                free_all(d);
                return fail(err, &why, r);
        }
        for (size_t i = 0; i < d->n_listening; i++)
                log_info("listening", LOG_STR("addr", d->listening[i]));
        *ret = d;
        return 0;
}

const char *detritus_address(const struct detritus *d, size_t i)
{
        return i < d->n_listening ? d->listening[i] : NULL;
}

int detritus_reload(struct detritus *d, struct detritus_error *err)
{
        struct error why = { "" };
        size_t tokens;
        int r = reload_tokens(d, &why, &tokens);
        return r == 0 ? 0 : fail(err, &why, r);
}

void detritus_stop(struct detritus *d)
{
        if (!d)
                return;
        log_info("draining");
        free_control(d);
        for (size_t i = 0; i < d->n_threads; i++)
                loop_post(d->threads[i].loop, &d->threads[i].drain);
        join_threads(d);
        free_all(d);
        log_info("stopped");
}

int detritus_hash_token(const char *token, char *ret, size_t size, struct detritus_error *err)
{
        char phc[PHC_MAX_BYTES];
        struct error why = { "" };
        int r = *token ? phc_hash(token, strlen(token), phc) : -EINVAL;
        if (r == 0 && strlen(phc) >= size)
                r = -ENOSPC;
        if (r < 0) {
                error_set(&why, "%s", !*token ? "the token is empty" : strerror(-r));
                return fail(err, &why, r);
        }
        memcpy(ret, phc, strlen(phc) + 1);
        return 0;
}

const char *detritus_version(void)
{
        return DETRITUS_VERSION;
}
