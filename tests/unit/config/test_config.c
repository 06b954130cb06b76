/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_internal.h"

static char dir[] = "/tmp/test_config.XXXXXX";
static char path[64];

static int make_dir(void **state)
{
        (void)state;
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
        (void)state;
        return rmdir(dir);
}

static int read_named(const char *name, const char *text, struct config *c, struct error *err)
{
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        int r = config_read(c, path, err);
        unlink(path);
        return r;
}

static struct config *accepted(const char *text)
{
        struct config *c = NULL;
        struct error err = { "" };
        assert_int_equal(config_new(&c), 0);
        if (read_named("c.yaml", text, c, &err) != 0)
                fail_msg("refused: %s\n%s", err.text, text);
        return c;
}

/* where: what stands behind "<path>:". */
static void refused(const char *text, const char *where)
{
        _cleanup_(config_freep) struct config *c = NULL;
        struct error err = { "" };
        char expected[256];
        assert_int_equal(config_new(&c), 0);
        int r = read_named("c.yaml", text, c, &err);
        snprintf(expected, sizeof(expected), "%s:%s", path, where);
        if (r != CONFIG_REFUSED)
                fail_msg("returned %d, wanted %s\n%s", r, expected, text);
        if (strncmp(err.text, expected, strlen(expected)) != 0)
                fail_msg("said \"%s\", not \"%s\"", err.text, expected);
}

static void defaults(void **state)
{
        (void)state;
        _cleanup_(config_freep) struct config *c = NULL;
        assert_int_equal(config_new(&c), 0);
        assert_null(c->path);
        assert_int_equal(c->n_listeners, 1);
        assert_string_equal(c->listeners[0], "127.0.0.1:4317");
        assert_string_equal(c->data_dir, "./data/");
        assert_null(c->tokens_config);
        assert_int_equal(c->log_format, LOG_FORMAT_PRETTY);
        assert_int_equal(c->durability, CONFIG_DURABILITY_COMMIT);
        assert_false(c->strict_protocol_version);
        assert_true(c->derive_source);
        assert_int_equal(c->n_derive_install_id, 8);
        assert_string_equal(c->derive_install_id[2], "service.name@host.name");
        assert_int_equal(c->network_threads, 0);
        assert_int_equal(c->logs_ttl_days, 14);
        assert_int_equal(c->logs_max_message_bytes, 67108864);
        assert_int_equal(c->crashes_ttl_days, 90);
        assert_int_equal(c->crashes_max_part_bytes, 104857600);
        assert_int_equal(c->crashes_max_request_bytes, 157286400);
        assert_int_equal(c->janitor_interval_secs, 3600);
        assert_int_equal(c->limits.http2_streams, 100);
        assert_int_equal(c->limits.head_bytes, 16384);
        assert_int_equal(c->limits.inflight_body_bytes, 268435456);
        assert_int_equal(c->limits.token_cache_entries, 16384);
        assert_int_equal(c->limits.token_cache_bad_secs, 60);
}

static void everything(void **state)
{
        (void)state;
        _cleanup_(config_freep) struct config *c =
                accepted("listeners:\n"
                         "  - bind: 0.0.0.0:4317\n"
                         "  - bind: '[::1]:0'\n"
                         "data_dir: var/data\n"
                         "tokens_config: /etc/tokens.yaml\n"
                         "log_format: json\n"
                         "durability: written\n"
                         "strict_protocol_version: true\n"
                         "derive_source: false\n"
                         "derive_install_id: ['k8s.pod.name@k8s.node.name', host.name]\n"
                         "network_threads: 3\n"
                         "logs: {ttl_days: 0, max_message_bytes: 1MiB, max_bytes: 0, compress_after_days: 0}\n"
                         "crashes: {ttl_days: 1, max_part_bytes: 4096, max_request_bytes: 8KiB, max_bytes: 0}\n"
                         "janitor: {interval_secs: 1}\n"
                         "limits:\n"
                         "  http2_stream_window: 128KiB\n"
                         "  inflight_body_bytes: 2GiB\n"
                         "  verifier_queue: 1\n");
        assert_int_equal(c->n_listeners, 2);
        assert_string_equal(c->listeners[0], "0.0.0.0:4317");
        assert_string_equal(c->listeners[1], "[::1]:0");
        assert_string_equal(c->data_dir, "var/data"); /* relative to the working directory, like the flag */
        assert_string_equal(c->tokens_config, "/etc/tokens.yaml");
        assert_string_equal(c->path, path);
        assert_int_equal(c->log_format, LOG_FORMAT_JSON);
        assert_int_equal(c->durability, CONFIG_DURABILITY_WRITTEN);
        assert_true(c->strict_protocol_version);
        assert_false(c->derive_source);
        assert_int_equal(c->n_derive_install_id, 2);
        assert_string_equal(c->derive_install_id[0], "k8s.pod.name@k8s.node.name");
        assert_int_equal(c->network_threads, 3);
        assert_int_equal(c->logs_ttl_days, 0);
        assert_int_equal(c->logs_max_message_bytes, 1048576);
        assert_int_equal(c->crashes_ttl_days, 1);
        assert_int_equal(c->crashes_max_part_bytes, 4096);
        assert_int_equal(c->crashes_max_request_bytes, 8192);
        assert_int_equal(c->janitor_interval_secs, 1);
        assert_int_equal(c->limits.http2_stream_window, 131072);
        assert_int_equal(c->limits.http2_upload_window, 1048576); /* neighbours untouched */
        assert_int_equal(c->limits.inflight_body_bytes, UINT64_C(2) << 30);
        assert_int_equal(c->limits.body_min_rate, 1024);
        assert_int_equal(c->limits.verifier_queue, 1);
        assert_int_equal(c->limits.verifier_threads, 1);
}

static void toml_works_too(void **state)
{
        (void)state;
        _cleanup_(config_freep) struct config *c = NULL;
        struct error err = { "" };
        assert_int_equal(config_new(&c), 0);
        assert_int_equal(
                read_named("c.toml", "bind = \"[::]:1\"\n[logs]\nttl_days = 3\n[limits]\nuploads = 2\n", c, &err), 0);
        assert_string_equal(c->listeners[0], "[::]:1");
        assert_int_equal(c->logs_ttl_days, 3);
        assert_int_equal(c->limits.uploads, 2);
        assert_int_equal(read_named("c.toml", "[logs]\nttl_days = 2026-05-19\n", c, &err), CONFIG_REFUSED);
        assert_non_null(strstr(err.text, ":2: logs.ttl_days: expected an integer, got a date or time"));
}

static void nothing_set(void **state)
{
        (void)state;
        const char *const texts[] = { "", "# all commented out\n", "limits:\nlogs: {}\n" };
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
                _cleanup_(config_freep) struct config *c = accepted(texts[i]);
                assert_string_equal(c->listeners[0], "127.0.0.1:4317");
                assert_int_equal(c->limits.http2_streams, 100);
        }
}

static void refusals(void **state)
{
        (void)state;
        const struct {
                const char *text, *where;
        } cases[] = {
                { "colour: red\n", "1: colour: unknown key" },
                { "limits:\n  http2_streams: 1\n  speed: 1\n", "3: limits.speed: unknown key" },
                { "logs:\n  interval_secs: 1\n", "2: logs.interval_secs: unknown key" },
                { "ttl_days: 1\n", "1: ttl_days: unknown key" },
                { "'': 1\n", "1: : unknown key" },
                { "- a\n", "1: expected a map, got a list" },
                { "logs: 14\n", "1: logs: expected a map, got an integer" },
                { "data_dir: 5\n", "1: data_dir: expected a string, got an integer" },
                { "data_dir: ''\n", "1: data_dir: must not be empty" },
                { "data_dir:\n", "1: data_dir: expected a string, got nothing" },
                { "derive_install_id: host.name\n", "1: derive_install_id: expected a list, got a string" },
                { "derive_install_id:\n  - host.name\n  - 7\n", "3: derive_install_id: expected a string" },
                { "derive_install_id: ['']\n", "1: derive_install_id: \"\" is neither a resource attribute" },
                { "derive_install_id: ['a@']\n", "1: derive_install_id: \"a@\" is neither" },
                { "derive_install_id: ['@a']\n", "1: derive_install_id: \"@a\" is neither" },
                { "derive_install_id: ['a@b@c']\n", "1: derive_install_id: \"a@b@c\" is neither" },
                { "derive_install_id: ['host name']\n", "1: derive_install_id: \"host name\" is neither" },
                { "derive_install_id: [a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a]\n",
                  "1: derive_install_id: more than 16 rules" },
                { "derive_source: yes\n", "1: derive_source: expected true or false, got a string" },
                { "log_format: xml\n", "1: log_format: must be \"pretty\" or \"json\"" },
                { "durability: maybe\n", "1: durability: must be \"commit\" or \"written\"" },
                { "network_threads: 257\n", "1: network_threads: must be between 0 and 256" },
                { "network_threads: 4KiB\n", "1: network_threads: expected an integer, got a string" },
                { "network_threads: -1\n", "1: network_threads: must not be negative" },
                { "logs: {max_message_bytes: 1MB}\n",
                  "1: logs.max_message_bytes: \"1MB\" is not a size; use bytes, or a number with KiB" },
                { "logs: {max_message_bytes: true}\n", "1: logs.max_message_bytes: expected a size, got a boolean" },
                { "logs: {max_message_bytes: 1.5}\n", "1: logs.max_message_bytes: expected a size, got a float" },
                { "logs:\n  compress_after_days: 36501\n", "2: logs.compress_after_days: must be between 0 and 36500" },
                { "projects: [acme]\n", "1: projects: expected a map, got a list" },
                { "projects:\n  acme: 5\n", "2: projects.acme: expected a map, got an integer" },
                { "projects:\n  .acme: {}\n", "2: projects: \".acme\" is not a project name" },
                { "projects:\n  a/b: {}\n", "2: projects: \"a/b\" is not a project name" },
                { "projects:\n  '': {}\n", "2: projects: \"\" is not a project name" },
                { "projects:\n  acme:\n    max_bytes: 1\n", "3: projects.acme.max_bytes: unknown key" },
                { "projects: {acme: {logs_max_bytes: 1.5}}\n",
                  "1: projects.acme.logs_max_bytes: expected a size, got a float" },
                { "projects: {acme: {crashes_max_bytes: 1048577GiB}}\n",
                  "1: projects.acme.crashes_max_bytes: must be between 0 and" },
                { "janitor: {interval_secs: 0}\n", "1: janitor.interval_secs: must be between" },
                { "limits: {head_bytes: 1023}\n", "1: limits.head_bytes: must be between 1024 and" },
                { "limits: {http2_stream_window: 16383}\n", "1: limits.http2_stream_window: must be" },
                { "limits: {http2_stream_window: 2GiB}\n", "1: limits.http2_stream_window: must be" },
                { "limits: {http2_connection_window: 65534}\n", "1: limits.http2_connection_window: must be" },
                { "limits: {log_queue_batches: 0}\n", "1: limits.log_queue_batches: must be" },
                { "bind: 1.2.3.4\n", "1: bind: \"1.2.3.4\" is not a valid address; use ADDR:PORT" },
                { "bind: 17\n", "1: bind: expected a string" },
                { "bind: unix:/run/x\n", "1: bind: unix sockets are not supported yet" },
                { "bind: 1.2.3.4:1\nlisteners: [{bind: '1.2.3.4:2'}]\n",
                  "2: listeners: use bind or listeners, not both" },
                { "listeners: []\n", "1: listeners: must not be empty" },
                { "listeners: {bind: '1.2.3.4:1'}\n", "1: listeners: expected a list" },
                { "listeners: ['1.2.3.4:1']\n", "1: listeners: expected a map" },
                { "listeners:\n  - {}\n", "2: listeners: bind is missing" },
                { "listeners:\n  - bind: 1.2.3.4:1\n    tls: {key: x}\n",
                  "3: listeners.tls: tls is not supported yet" },
                { "listeners:\n  - bind: unix:/x\n", "2: listeners.bind: unix sockets are not supported yet" },
                { "listeners:\n  - bind: 1.2.3.4:1\n    port: 5\n", "3: listeners.port: unknown key" },
                { "crashes:\n  max_part_bytes: 151MiB\n", "2: crashes.max_part_bytes: larger than" },
                { "crashes:\n  max_request_bytes: 99MiB\n", "2: crashes.max_part_bytes: larger than" },
                { "limits:\n  inflight_body_bytes: 8MiB\n", "2: limits.inflight_body_bytes: smaller than" },
                { "logs:\n  max_message_bytes: 257MiB\n", "2: limits.inflight_body_bytes: smaller than" },
                { "a: 1\na: 1\n", "2: duplicate key" },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                refused(cases[i].text, cases[i].where);
}

/* Each number of the table at its bounds and one beyond; its default is within. */
static void every_bound(void **state)
{
        (void)state;
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *k = &config_keys[i];
                if (k->type != CONFIG_COUNT && k->type != CONFIG_BYTES)
                        continue;
                _cleanup_(config_freep) struct config *c = NULL;
                struct error err = { "" };
                assert_int_equal(config_new(&c), 0);
                assert_true(k->size == 8 || (k->size == 4 && k->max <= UINT32_MAX));
                assert_true(k->def >= k->min && k->def <= k->max);
                assert_int_equal(config_store_bounded(c, k, k->min, &err), 0);
                assert_int_equal(config_store_bounded(c, k, k->max, &err), 0);
                uint64_t stored = 0; /* little-endian, as is all that Debian builds this for */
                memcpy(&stored, (char *)c + k->offset, k->size);
                assert_int_equal(stored, k->max);
                assert_int_equal(config_store_bounded(c, k, k->max + 1, &err), CONFIG_REFUSED);
                if (k->min > 0)
                        assert_int_equal(config_store_bounded(c, k, k->min - 1, &err), CONFIG_REFUSED);
        }
}

/* A limit added to the struct and forgotten in the table would stay 0: every word of it belongs to a key, but for the
 * padding before an eight-byte field. */
static void every_limit_has_a_key(void **state)
{
        (void)state;
        const size_t first = offsetof(struct config, limits), words = sizeof(struct config_limits) / 4;
        unsigned char owner[sizeof(struct config_limits) / 4] = { 0 };
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *k = &config_keys[i];
                if (strcmp(k->section, "limits") != 0)
                        continue;
                size_t word = (k->offset - first) / 4;
                assert_int_equal(owner[word], 0);
                owner[word] = (unsigned char)k->size;
                if (k->size == 8)
                        owner[word + 1] = 1;
        }
        for (size_t i = 0; i < words; i++) {
                bool padding = (first + 4 * i) % 8 == 4 && (i + 1 == words || owner[i + 1] == 8);
                assert_true(owner[i] != 0 || padding);
        }
}

static void too_many_listeners(void **state)
{
        (void)state;
        char text[1024] = "listeners:\n";
        for (int i = 0; i < CONFIG_LISTENERS_MAX; i++)
                strcat(text, " - bind: 127.0.0.1:1\n");
        _cleanup_(config_freep) struct config *c = accepted(text);
        assert_int_equal(c->n_listeners, CONFIG_LISTENERS_MAX);
        strcat(text, " - bind: 127.0.0.1:1\n");
        refused(text, "18: listeners.bind: more than 16 listeners");
}

static void caps(void **state)
{
        (void)state;
        _cleanup_(config_freep) struct config *c =
                accepted("logs: {max_bytes: 1GiB}\ncrashes: {max_bytes: 2GiB}\nprojects:\n"
                         "  acme: {logs_max_bytes: 5, crashes_max_bytes: 6MiB}\n  b.c: {crashes_max_bytes: 7}\n");
        assert_int_equal(c->caps.logs_max_bytes, UINT64_C(1) << 30);
        assert_int_equal(c->caps.crashes_max_bytes, UINT64_C(2) << 30);
        assert_int_equal(c->n_projects, 2);
        assert_string_equal(c->projects[0].name, "acme");
        assert_int_equal(c->projects[0].caps.logs_max_bytes, 5);
        assert_int_equal(c->projects[0].caps.crashes_max_bytes, 6 << 20);
        assert_string_equal(c->projects[1].name, "b.c");
        assert_int_equal(c->projects[1].caps.logs_max_bytes, 0);
        assert_int_equal(c->projects[1].caps.crashes_max_bytes, 7);

        struct error err = { "" };
        _cleanup_(config_freep) struct config *toml = NULL;
        assert_int_equal(config_new(&toml), 0);
        assert_int_equal(
                read_named("c.toml", "[projects.acme]\nlogs_max_bytes = \"5KiB\"\n[projects.\"b.c\"]\n", toml, &err),
                0);
        assert_int_equal(toml->n_projects, 2);
        assert_int_equal(toml->projects[0].caps.logs_max_bytes, 5 << 10);
        assert_string_equal(toml->projects[1].name, "b.c");

        _cleanup_(config_freep) struct config *none = accepted("projects:\n");
        assert_int_equal(none->n_projects, 0);
        assert_int_equal(none->caps.logs_max_bytes, 0);
}

static void too_many_projects(void **state)
{
        (void)state;
        char text[16384] = "projects:\n", name[CONFIG_PROJECT_SIZE + 1];
        size_t used = strlen(text);
        for (int i = 0; i < CONFIG_PROJECTS_MAX; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "  p%d: {logs_max_bytes: 1}\n", i);
        _cleanup_(config_freep) struct config *c = accepted(text);
        assert_int_equal(c->n_projects, CONFIG_PROJECTS_MAX);
        snprintf(text + used, sizeof(text) - used, "  one_more: {}\n");
        refused(text, "1: projects: more than 256");

        memset(name, 'x', CONFIG_PROJECT_SIZE); /* a byte too long */
        name[CONFIG_PROJECT_SIZE] = '\0';
        snprintf(text, sizeof(text), "projects: {%s: {}}\n", name);
        refused(text, "1: projects: \"xxx");
        name[CONFIG_PROJECT_SIZE - 1] = '\0';
        snprintf(text, sizeof(text), "projects: {%s: {}}\n", name);
        _cleanup_(config_freep) struct config *longest = accepted(text);
        assert_string_equal(longest->projects[0].name, name);
}

static void flags(void **state)
{
        (void)state;
        struct error err = { "" };
        _cleanup_(config_freep) struct config *c =
                accepted("listeners: [{bind: '1.2.3.4:1'}, {bind: '1.2.3.4:2'}]\nlogs: {ttl_days: 3}\n");
        assert_int_equal(config_set(c, "bind", "[::1]:9", &err), 0);
        assert_int_equal(c->n_listeners, 1);
        assert_string_equal(c->listeners[0], "[::1]:9");
        assert_int_equal(config_set(c, "data-dir", "/d", &err), 0);
        assert_string_equal(c->data_dir, "/d");
        assert_int_equal(config_set(c, "tokens-config", "t.toml", &err), 0);
        assert_string_equal(c->tokens_config, "t.toml");
        assert_int_equal(config_set(c, "log-format", "json", &err), 0);
        assert_int_equal(c->log_format, LOG_FORMAT_JSON);
        assert_int_equal(config_set(c, "logs-ttl-days", "0", &err), 0);
        assert_int_equal(c->logs_ttl_days, 0);
        assert_int_equal(config_set(c, "crashes-ttl-days", "5", &err), 0);
        assert_int_equal(c->crashes_ttl_days, 5);
        assert_int_equal(config_set(c, "janitor-interval-secs", "6", &err), 0);
        assert_int_equal(c->janitor_interval_secs, 6);
        assert_int_equal(config_set(c, "max-dump-bytes", "1048576", &err), 0);
        assert_int_equal(c->crashes_max_part_bytes, 1048576);
        assert_int_equal(c->crashes_max_request_bytes, 157286400);
        assert_int_equal(config_set(c, "max-dump-bytes", "1GiB", &err), 0);
        assert_true(c->crashes_max_request_bytes > c->crashes_max_part_bytes); /* such a dump fits its request */

        const struct {
                const char *flag, *value, *words;
        } bad[] = {
                { "bind", "localhost:1", "--bind: \"localhost:1\" is not a valid address; use a numeric address" },
                { "data-dir", "", "--data-dir: must not be empty" },
                { "log-format", "xml", "--log-format: must be" },
                { "logs-ttl-days", "x", "--logs-ttl-days: \"x\" is not a number" },
                { "logs-ttl-days", "-1", "--logs-ttl-days: \"-1\" is not a number" },
                { "logs-ttl-days", "1KiB", "--logs-ttl-days: \"1KiB\" is not a number" },
                { "logs-ttl-days", "36501", "--logs-ttl-days: must be between" },
                { "max-dump-bytes", "18446744073709551616",
                  "--max-dump-bytes: \"18446744073709551616\" is not a size" },
                { "nonsense", "1", "--nonsense: unknown setting" },
        };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                assert_int_equal(config_set(c, bad[i].flag, bad[i].value, &err), CONFIG_REFUSED);
                if (strncmp(err.text, bad[i].words, strlen(bad[i].words)) != 0)
                        fail_msg("said %s, not %s", err.text, bad[i].words);
        }
}

static void addresses(void **state)
{
        (void)state;
        const char *const good[] = { "127.0.0.1:4317", "0.0.0.0:0", "[::1]:65535", "[::]:1", "[::ffff:1.2.3.4]:80" };
        const char *const bad[] = {
                "",      "127.0.0.1", "127.0.0.1:",  "127.0.0.1:65536", "127.0.0.1:-1", "127.1:80",    "::1:80",
                "[::1]", "[::1]80",   "[::1]:",      "[1.2.3.4]:1",     "1.2.3.4: 80",  "1.2.3.4:80 ", "1.2.3.4:000080",
                "*:80",  "[::1:80",   "localhost:1", "unix:/run/sock"
        };
        for (size_t i = 0; i < ARRAY_LEN(good); i++)
                assert_int_equal(config_check_address(good[i], NULL), 0);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct error err = { "" };
                if (config_check_address(bad[i], &err) != CONFIG_REFUSED)
                        fail_msg("accepted %s", bad[i]);
                assert_true(err.text[0] != '\0');
        }
}

static void sizes(void **state)
{
        (void)state;
        const struct {
                const char *text;
                uint64_t value;
        } good[] = { { "0", 0 },
                     { "4096", 4096 },
                     { "64KiB", 65536 },
                     { "100MiB", 104857600 },
                     { "1GiB", 1073741824 },
                     { "18446744073709551615", UINT64_MAX },
                     { "17179869183GiB", UINT64_C(17179869183) << 30 } };
        const char *const bad[] = { "",
                                    "KiB",
                                    "1kib",
                                    "1KB",
                                    "1 KiB",
                                    "-1",
                                    "+1",
                                    "1.5MiB",
                                    "0x10",
                                    "1TiB",
                                    "18446744073709551616",
                                    "17179869184GiB" };
        uint64_t value = 0;
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                assert_int_equal(config_parse_size(good[i].text, &value), 0);
                assert_true(value == good[i].value);
        }
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(config_parse_size(bad[i], &value), CONFIG_REFUSED);
}

static void unreadable(void **state)
{
        (void)state;
        _cleanup_(config_freep) struct config *c = NULL;
        struct error err = { "" };
        assert_int_equal(config_new(&c), 0);
        assert_int_equal(config_read(c, "/nonexistent/c.yaml", &err), -ENOENT);
        assert_non_null(strstr(err.text, "cannot read /nonexistent/c.yaml: "));
        assert_int_equal(config_read(c, "/nonexistent/c.ini", &err), CONFIG_REFUSED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults),    cmocka_unit_test(everything),
                cmocka_unit_test(nothing_set), cmocka_unit_test(toml_works_too),
                cmocka_unit_test(refusals),    cmocka_unit_test(every_bound),
                cmocka_unit_test(flags),       cmocka_unit_test(every_limit_has_a_key),
                cmocka_unit_test(addresses),   cmocka_unit_test(too_many_listeners),
                cmocka_unit_test(caps),        cmocka_unit_test(too_many_projects),
                cmocka_unit_test(sizes),       cmocka_unit_test(unreadable),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
