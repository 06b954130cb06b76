/* The typed configuration: defaults, a file (config_file.c), flags, all through the one table of config_keys.c, so
 * that a key has its place, type and bounds once. A refusal here is only the reason; the caller, who knows where the
 * value came from, puts file, line and key, or the flag, in front. */

#include "config/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config/config_internal.h"

#define REQUEST_OVER_PART (UINT64_C(50) * 1024 * 1024) /* what the defaults leave beside the largest part */

/* ---- storing a value where its key says ---- */

static void *field_of(struct config *c, const struct config_key *k)
{
        return (char *)c + k->offset;
}

/* The bounds of the table keep value within the field. */
void config_store_number(struct config *c, const struct config_key *k, uint64_t value)
{
        assert(k->type != CONFIG_TEXT);
        assert(k->size == sizeof(value) || value <= UINT_MAX);
        unsigned narrow = (unsigned)value;
        bool truth = value != 0;
        if (k->type == CONFIG_BOOL)
                memcpy(field_of(c, k), &truth, sizeof(truth));
        else if (k->size == sizeof(value))
                memcpy(field_of(c, k), &value, sizeof(value));
        else
                memcpy(field_of(c, k), &narrow, sizeof(narrow));
}

int config_replace_text(char **to, const char *text)
{
        char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*to);
        *to = copy;
        return 0;
}

int config_store_text(struct config *c, const struct config_key *k, const char *text, struct error *err)
{
        if (!*text) {
                error_set(err, "must not be empty");
                return CONFIG_REFUSED;
        }
        return config_replace_text(field_of(c, k), text);
}

int config_check_bounds(const struct config_key *k, uint64_t value, struct error *err)
{
        if (value >= k->min && value <= k->max)
                return 0;
        error_set(err, "must be between %" PRIu64 " and %" PRIu64, k->min, k->max);
        return CONFIG_REFUSED;
}

int config_store_bounded(struct config *c, const struct config_key *k, uint64_t value, struct error *err)
{
        int r = config_check_bounds(k, value, err);
        if (r == 0)
                config_store_number(c, k, value);
        return r;
}

int config_store_choice(struct config *c, const struct config_key *k, const char *text, struct error *err)
{
        for (unsigned i = 0; k->choices[i]; i++) {
                if (strcmp(k->choices[i], text) == 0) {
                        config_store_number(c, k, i);
                        return 0;
                }
        }
        error_set(err, "must be \"%s\" or \"%s\"", k->choices[0], k->choices[1]);
        return CONFIG_REFUSED;
}

/* ---- life ---- */

void config_listeners_clear(struct config *c)
{
        for (size_t i = 0; i < c->n_listeners; i++)
                free(c->listeners[i]);
        c->n_listeners = 0;
}

int config_listener_add(struct config *c, const char *address, struct error *err)
{
        if (c->n_listeners == CONFIG_LISTENERS_MAX) {
                error_set(err, "more than %d listeners", CONFIG_LISTENERS_MAX);
                return CONFIG_REFUSED;
        }
        int r = config_check_address(address, err);
        if (r != 0)
                return r;
        char *copy = strdup(address);
        if (!copy)
                return -ENOMEM;
        c->listeners[c->n_listeners++] = copy;
        return 0;
}

void config_derive_clear(struct config *c)
{
        for (size_t i = 0; i < c->n_derive_install_id; i++)
                free(c->derive_install_id[i]);
        c->n_derive_install_id = 0;
}

/* What a resource attribute may be called: OpenTelemetry "Attribute naming" knows letters, digits, dots and
 * underscores, but leaves programs free. */
static bool is_attribute_name(const char *s, size_t len)
{
        if (len == 0 || len > CONFIG_DERIVE_NAME_MAX)
                return false;
        for (size_t i = 0; i < len; i++) {
                if (s[i] <= ' ' || s[i] > '~' || s[i] == '@')
                        return false;
        }
        return true;
}

int config_derive_add(struct config *c, const char *rule, struct error *err)
{
        size_t first = strcspn(rule, "@");
        const char *second = rule[first] ? rule + first + 1 : NULL;
        if (c->n_derive_install_id == CONFIG_DERIVE_MAX) {
                error_set(err, "more than %d rules", CONFIG_DERIVE_MAX);
                return CONFIG_REFUSED;
        }
        if (!is_attribute_name(rule, first) || (second && !is_attribute_name(second, strlen(second)))) {
                error_set(err,
                          "\"%.64s\" is neither a resource attribute (host.name) nor two with an @ between them "
                          "(service.name@host.name)",
                          rule);
                return CONFIG_REFUSED;
        }
        char *copy = strdup(rule);
        if (!copy)
                return -ENOMEM;
        c->derive_install_id[c->n_derive_install_id++] = copy;
        return 0;
}

/* service.instance.id is late, because current SDKs draw a new one at each start. */
static int derive_by_default(struct config *c)
{
        static const char *const rules[] = {
                "app.installation.id", "device.id", "service.name@host.name", "service.name@host.id",
                "host.name",           "host.id",   "service.instance.id",    "service.name",
        };
        int r = 0;
        for (size_t i = 0; i < ARRAY_LEN(rules) && r == 0; i++)
                r = config_derive_add(c, rules[i], NULL);
        return r;
}

int config_new(struct config **ret)
{
        _cleanup_(config_freep) struct config *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *k = &config_keys[i];
                if (k->type == CONFIG_TEXT) {
                        if (k->def_text && config_replace_text(field_of(c, k), k->def_text) < 0)
                                return -ENOMEM;
                } else {
                        config_store_number(c, k, k->def);
                }
        }
        if (config_listener_add(c, CONFIG_DEFAULT_BIND, NULL) != 0 || derive_by_default(c) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(c);
        return 0;
}

struct config *config_free(struct config *c)
{
        if (!c)
                return NULL;
        config_listeners_clear(c);
        config_derive_clear(c);
        free(c->path);
        free(c->data_dir);
        free(c->tokens_config);
        free(c->projects);
        free(c);
        return NULL;
}

/* ---- from a flag ---- */

static int set_value(struct config *c, const struct config_key *k, const char *value, struct error *err)
{
        uint64_t number = 0;
        if (k->type == CONFIG_TEXT)
                return config_store_text(c, k, value, err);
        if (k->type == CONFIG_CHOICE)
                return config_store_choice(c, k, value, err);
        bool suffixed = value[strspn(value, "0123456789")] != '\0';
        if (suffixed && k->type != CONFIG_BYTES) {
                error_set(err, "\"%.64s\" is not a number", value);
                return CONFIG_REFUSED;
        }
        if (config_parse_size(value, &number) != 0)
                return config_refuse_size(value, err);
        return config_store_bounded(c, k, number, err);
}

static int set_by_flag(struct config *c, const char *flag, const char *value, struct error *err)
{
        static const struct {
                const char *flag, *section, *name;
        } flags[] = {
                { "data-dir", "", "data_dir" },
                { "tokens-config", "", "tokens_config" },
                { "log-format", "", "log_format" },
                { "max-dump-bytes", "crashes", "max_part_bytes" },
                { "logs-ttl-days", "logs", "ttl_days" },
                { "crashes-ttl-days", "crashes", "ttl_days" },
                { "janitor-interval-secs", "janitor", "interval_secs" },
        };
        if (strcmp(flag, "bind") == 0) {
                config_listeners_clear(c);
                return config_listener_add(c, value, err);
        }
        for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
                if (strcmp(flags[i].flag, flag) == 0)
                        return set_value(c, config_key_find(flags[i].section, flags[i].name), value, err);
        }
        error_set(err, "unknown setting");
        return CONFIG_REFUSED;
}

int config_set(struct config *c, const char *flag, const char *value, struct error *err)
{
        int r = set_by_flag(c, flag, value, err);
        if (r < 0)
                error_set(err, "%s", strerror(-r));
        if (r != 0) {
                error_prefix(err, "--%s", flag);
                return r;
        }
        /* The reference has this one limit: a larger dump must also fit its request. */
        if (c->crashes_max_request_bytes < c->crashes_max_part_bytes)
                c->crashes_max_request_bytes = c->crashes_max_part_bytes + REQUEST_OVER_PART;
        return 0;
}

/* ---- values ---- */

static int bad_address(struct error *err, const char *text, const char *use)
{
        error_set(err, "\"%.64s\" is not a valid address; use %s", text, use);
        return CONFIG_REFUSED;
}

static bool is_port(const char *s)
{
        size_t n = strspn(s, "0123456789");
        return n >= 1 && n <= 5 && s[n] == '\0' && strtoul(s, NULL, 10) <= 65535;
}

int config_check_address(const char *text, struct error *err)
{
        char host[INET6_ADDRSTRLEN];
        struct in6_addr parsed; /* room for either family */

        if (strncmp(text, "unix:", 5) == 0) {
                error_set(err, "unix sockets are not supported yet");
                return CONFIG_REFUSED;
        }
        bool v6 = text[0] == '[';
        const char *start = text + v6;
        const char *end = v6 ? strchr(start, ']') : strchr(start, ':');
        if (!end || (v6 && end[1] != ':'))
                return bad_address(err, text, "ADDR:PORT or [ADDR6]:PORT");
        size_t n = (size_t)(end - start);
        if (n >= sizeof(host))
                return bad_address(err, text, "a numeric address");
        memcpy(host, start, n);
        host[n] = '\0';
        if (inet_pton(v6 ? AF_INET6 : AF_INET, host, &parsed) != 1)
                return bad_address(err, text, "a numeric address");
        if (!is_port(end + (v6 ? 2 : 1)))
                return bad_address(err, text, "a port between 0 and 65535");
        return 0;
}

int config_refuse_size(const char *text, struct error *err)
{
        error_set(err, "\"%.64s\" is not a size; use bytes, or a number with KiB, MiB or GiB", text);
        return CONFIG_REFUSED;
}

int config_parse_size(const char *text, uint64_t *ret)
{
        static const struct {
                const char *suffix;
                unsigned shift;
        } units[] = { { "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
        size_t digits = strspn(text, "0123456789");
        if (digits == 0)
                return CONFIG_REFUSED;
        errno = 0;
        unsigned long long value = strtoull(text, NULL, 10);
        if (errno == ERANGE)
                return CONFIG_REFUSED;
        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                if (strcmp(text + digits, units[i].suffix) != 0)
                        continue;
                if (value > UINT64_MAX >> units[i].shift)
                        return CONFIG_REFUSED;
                *ret = (uint64_t)value << units[i].shift;
                return 0;
        }
        return CONFIG_REFUSED;
}
