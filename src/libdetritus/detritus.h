#pragma once
/* libdetritus: the receiver as a library, for tests and tools that want a real one inside their own process. detritusd
 * is a thin main around it.
 *
 *     struct detritus_config *config;
 *     struct detritus *server;
 *     struct detritus_error err;
 *     detritus_config_new(&config);
 *     detritus_config_set(config, "bind", "127.0.0.1:0", &err);
 *     detritus_config_set(config, "data-dir", "/tmp/crashes", &err);
 *     detritus_config_set(config, "tokens-config", "tokens.toml", &err);
 *     if (detritus_start(config, -1, &server, &err) < 0)
 *             fprintf(stderr, "%s\n", err.text);
 *     …
 *     detritus_stop(server);
 *
 * Functions that fail return a value other than 0 and say why in err (which may be NULL). They may block, except
 * detritus_address() and detritus_version(). A server may be stopped by any thread, once; the other calls are safe
 * beside each other. Threads that the server starts block all signals. It writes its own log to standard error.
 */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct detritus;
struct detritus_config;

struct detritus_error {
        char text[512]; /* NUL-terminated, one line */
};

/* Defaults as docs/configuration.md lists them. 0 or -ENOMEM. */
int detritus_config_new(struct detritus_config **ret);
void detritus_config_free(struct detritus_config *config); /* NULL-safe */

/* A configuration file (YAML or TOML) over what is there. After a failure the config is unusable. */
int detritus_config_read(struct detritus_config *config, const char *path, struct detritus_error *err);

/* One setting, named like a flag of detritusd without its dashes: "bind", "data-dir", "tokens-config", "log-format",
 * "max-dump-bytes", "logs-ttl-days", "crashes-ttl-days", "janitor-interval-secs". */
int detritus_config_set(struct detritus_config *config, const char *name, const char *value,
                        struct detritus_error *err);

/* Opens the data directory, listens and starts the threads. Takes config, also on failure. listen_fd: a bound,
 * listening stream socket to serve instead of the configured addresses, taken as well; -1: none. Sets how the
 * process logs. */
int detritus_start(struct detritus_config *config, int listen_fd, struct detritus **ret, struct detritus_error *err);

/* Where it listens: "127.0.0.1:40123", the i-th listener. NULL past the last. Valid until detritus_stop(). */
const char *detritus_address(const struct detritus *server, size_t i);

/* Reads the token file again. On failure the old tokens stay. */
int detritus_reload(struct detritus *server, struct detritus_error *err);

/* Takes no new requests, finishes those under way (limits.drain_timeout_secs at most), stores what was accepted, closes
 * the data directory, frees the server. NULL-safe. */
void detritus_stop(struct detritus *server);

/* The Argon2id PHC string of a token, for a token file; size at least 128. */
int detritus_hash_token(const char *token, char *ret, size_t size, struct detritus_error *err);

const char *detritus_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif
