/* Starts the parts in the order in which they need each other (tokens, store, network, control socket) and stops them
 * in the reverse order. A start that fails halfway undoes what it did.
 *
 * Stopping: once the network is drained nothing new can arrive, so the verifier and the store answer what they still
 * have. Those answers then run, to free their requests, which hold blobs of the store, and the rest is freed. */

#include "libdetritus/detritus.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/phc.h"
#include "config/descriptors.h"
#include "control/control.h"
#include "ingest/ingest.h"
#include "libdetritus/network.h"
#include "net/address_table.h"
#include "util/log.h"

struct detritus_config {
        struct config *config;
};

struct detritus {
        struct config *config;
        struct metrics *metrics;
        struct store *store;
        struct address_table *addresses;
        struct ingest ingest;
        struct network *network;
        atomic_uint reloads;         /* begun */
        pthread_mutex_t tokens_lock; /* for tokens_in_force */
        unsigned tokens_in_force;    /* the number of the reload that they are of */
        struct rates *rates;
        struct operations *operations;
        struct control *control; /* NULL: none could be had */
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

/* ---- start and stop ---- */

static int read_tokens(struct detritus *d, struct tokens **ret, struct error *err)
{
        if (!d->config->tokens_config) {
                error_set(err, "no token file; use --tokens-config FILE");
                return -EINVAL;
        }
        log_info("loading tokens", LOG_STR("path", d->config->tokens_config));
        int r = tokens_read(d->config->tokens_config, ret, err);
        return r > 0 ? -EINVAL : r;
}

static int make_verifier(struct detritus *d, struct tokens *tokens)
{
        const struct config_limits *l = &d->config->limits;
        const struct verifier_config config = {
                .threads = l->verifier_threads,
                .queue = l->verifier_queue,
                .cache_entries = l->token_cache_entries,
                .bad_secs = l->token_cache_bad_secs,
                .memory_dirfd = store_datadir_fd(d->store),
                .metrics = d->metrics,
        };
        return verifier_new(&config, tokens, &d->ingest.verifier);
}

static int share_descriptors(const struct config *config, struct descriptors *ret, struct error *err)
{
        int r = descriptors_share_ours(&config->limits, ret, err);
        if (r < 0)
                return r;
        bool fewer = ret->connections < config->limits.connections;
        log_at(fewer ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
               fewer ? "fewer connections than limits.connections are accepted: there are not enough descriptors"
                     : "descriptors are shared out",
               LOG_INT("descriptors", ret->limit), LOG_INT("connections", ret->connections),
               LOG_INT("log_files_open", ret->log_files), LOG_INT("uploads", ret->uploads));
        return 0;
}

static int make_shared(struct detritus *d, struct error *err)
{
        const struct config_limits *l = &d->config->limits;
        struct descriptors share;
        int r = share_descriptors(d->config, &share, err);
        if (r < 0)
                return r;
        d->metrics = metrics_new();
        d->addresses = address_table_new(share.connections, l->connections_per_address);
        d->ingest = (struct ingest){
                .config = d->config,
                .metrics = d->metrics,
                .rate_limit = rate_limit_new(l->rate_limit_sources),
                .uploads = slots_new(l->uploads, l->uploads_per_source),
        };
        if (!d->metrics || !d->addresses || !d->ingest.rate_limit || !d->ingest.uploads)
                return -ENOMEM;
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        r = read_tokens(d, &tokens, err);
        if (r == 0)
                r = store_open(d->config, d->metrics, &d->store, err);
        d->ingest.store = d->store;
        d->ingest.troubles = d->store ? store_troubles(d->store) : NULL;
        if (r == 0)
                r = make_verifier(d, tokens);
        if (r == 0)
                r = token_use_new(store_index(d->store), &d->ingest.token_use);
        return r;
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
        network_close(d->network);
        verifier_free(d->ingest.verifier);
        token_use_free(d->ingest.token_use);
        if (d->store)
                store_stop(d->store);
        network_free(d->network);
        store_free(d->store);
        slots_free(d->ingest.uploads);
        rate_limit_free(d->ingest.rate_limit);
        address_table_free(d->addresses);
        metrics_free(d->metrics);
        pthread_mutex_destroy(&d->tokens_lock);
        config_free(d->config);
        free(d);
}

static const char *address_of(void *server, size_t i)
{
        return detritus_address(server, i);
}

/* Reloads may overlap, by SIGHUP and by the control socket. The one that began last has read the newest file, so one
 * that began earlier and takes longer must not replace it with an older file. */
static int put_in_force(struct detritus *d, unsigned reload, struct tokens *tokens)
{
        int r = 0;
        pthread_mutex_lock(&d->tokens_lock);
        if ((int)(reload - d->tokens_in_force) > 0) {
                r = verifier_set_tokens(d->ingest.verifier, tokens);
                if (r == 0)
                        d->tokens_in_force = reload;
        }
        pthread_mutex_unlock(&d->tokens_lock);
        return r;
}

static int reload_tokens(void *server, struct error *err, size_t *ret_tokens)
{
        struct detritus *d = server;
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        unsigned reload = atomic_fetch_add(&d->reloads, 1) + 1;
        int r = tokens_read(d->config->tokens_config, &tokens, err);
        if (r == 0 && (r = put_in_force(d, reload, tokens)) < 0)
                error_set(err, "%s: out of memory", d->config->tokens_config);
        if (r != 0) {
                log_error("tokens not reloaded, the old ones are still used", LOG_STR("reason", err->text));
                return r;
        }
        *ret_tokens = tokens->n;
        log_info("tokens reloaded", LOG_STR("path", d->config->tokens_config), LOG_INT("tokens", tokens->n));
        return 0;
}

/* Comes last, so that a client of the socket finds a working daemon. The daemon works without it too. */
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
        r = control_new(store_datadir_fd(d->store), &d->config->limits, d->operations, d->rates, &d->control, &why);
        if (r < 0)
                log_warn("no control socket: detritusctl can only read", LOG_STR("reason", why.text));
        return 0;
}

/* Takes listen_fd. */
static int start(struct detritus *d, int listen_fd, struct error *err)
{
        int r = make_shared(d, err);
        if (r == 0)
                r = network_new(&d->ingest, d->addresses, &d->network);
        if (r < 0) {
                if (listen_fd >= 0)
                        close(listen_fd);
                return r;
        }
        r = network_listen(d->network, listen_fd, err);
        if (r == 0)
                r = network_start(d->network);
        if (r == 0)
                r = start_control(d);
        return r == 0 ? store_start_retention(d->store) : r;
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
        pthread_mutex_init(&d->tokens_lock, NULL);
        d->config = TAKE_PTR(config->config);
        detritus_config_free(config);
        log_setup(d->config->log_format, LOG_LEVEL_INFO);
        int r = start(d, listen_fd, &why);
        if (r < 0) {
                if (!why.text[0])
                        error_set(&why, "cannot start: %s", strerror(-r));
                if (d->network)
                        network_abort(d->network);
                free_all(d);
                return fail(err, &why, r);
        }
        const char *address;
        for (size_t i = 0; (address = network_address(d->network, i)); i++)
                log_info("listening", LOG_STR("addr", address));
        *ret = d;
        return 0;
}

const char *detritus_address(const struct detritus *d, size_t i)
{
        return network_address(d->network, i);
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
        network_drain(d->network);
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
