/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/tokens.h"

#define PHC "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
#define YAML_TOKEN(id) "  - {id: " id ", secret: '" PHC "', project: acme, source_prefix: acme/}\n"
#define TOML_REST "secret = \"" PHC "\"\nproject = \"acme\"\nsource_prefix = \"acme/\"\n"

static char dir[] = "/tmp/test_tokens.XXXXXX";
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

/* What the daemon's log said meanwhile lands in log. */
static int read_logged(const char *name, const char *text, mode_t mode, struct tokens **ret, struct error *err,
                       char log[4096])
{
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
        close(fd);

        FILE *capture = tmpfile();
        assert_non_null(capture);
        int saved = dup(STDERR_FILENO);
        dup2(fileno(capture), STDERR_FILENO);
        int r = tokens_read(path, ret, err);
        dup2(saved, STDERR_FILENO);
        close(saved);
        unlink(path);

        rewind(capture);
        log[fread(log, 1, 4095, capture)] = '\0';
        fclose(capture);
        return r;
}

static struct tokens *accepted(const char *name, const char *text)
{
        struct tokens *set = NULL;
        struct error err = { "" };
        char log[4096];
        if (read_logged(name, text, 0600, &set, &err, log) != 0)
                fail_msg("refused: %s\n%s", err.text, text);
        assert_string_equal(log, "");
        return set;
}

/* words: what follows "<path>:". */
static void refused(const char *name, const char *text, const char *words)
{
        struct tokens *set = NULL;
        struct error err = { "" };
        char log[4096], expected[512];
        int r = read_logged(name, text, 0600, &set, &err, log);
        snprintf(expected, sizeof(expected), "%s:%s", path, words);
        if (r != TOKENS_REFUSED)
                fail_msg("returned %d, wanted %s\n%s", r, expected, text);
        if (strncmp(err.text, expected, strlen(expected)) != 0)
                fail_msg("said \"%s\", not \"%s\"", err.text, expected);
        assert_null(strstr(err.text, "nf65EOgLrQMR")); /* never the secret */
        assert_null(set);
}

static void toml_of_the_reference(void **state)
{
        (void)state;
        _cleanup_(tokens_unrefp) struct tokens *set =
                accepted("t.toml", "[[token]]\nid = \"acme-prod\"\n" TOML_REST "\n"
                                   "[[token]]\nid = \"acme_two\"\nurl_key = true\n" TOML_REST "\n"
                                   "[rate_limit]\nlogs_per_minute = 60\nlogs_burst = 0\n");
        assert_int_equal(set->n, 2);
        assert_string_equal(set->list[0].id, "acme-prod");
        assert_string_equal(set->list[0].secret, PHC);
        assert_string_equal(set->list[0].project, "acme");
        assert_string_equal(set->list[0].source_prefix, "acme/");
        assert_false(set->list[0].url_key);
        assert_true(set->list[1].url_key);
        assert_int_equal(set->rate_limit.logs_per_minute, 60);
        assert_int_equal(set->rate_limit.logs_burst, 0);
        assert_int_equal(set->rate_limit.crashes_per_minute, 30); /* the defaults */
        assert_int_equal(set->rate_limit.crashes_burst, 5);
}

static void the_same_as_yaml(void **state)
{
        (void)state;
        _cleanup_(tokens_unrefp) struct tokens *set =
                accepted("t.yaml", "token:\n" YAML_TOKEN("one") YAML_TOKEN("two") "rate_limit:\n"
                                                                                  "  crashes_per_minute: 1000000000\n"
                                                                                  "  crashes_burst: 7\n");
        assert_int_equal(set->n, 2);
        assert_string_equal(set->list[1].id, "two");
        assert_int_equal(set->rate_limit.logs_per_minute, 1000);
        assert_int_equal(set->rate_limit.logs_burst, 200);
        assert_int_equal(set->rate_limit.crashes_per_minute, 1000000000);
        assert_int_equal(set->rate_limit.crashes_burst, 7);
}

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void refusals(void **state)
{
        (void)state;
        const struct {
                const char *text, *words;
        } yaml[] = {
                { "", "1: the file has no tokens" },
                { "# none yet\n", "1: the file has no tokens" },
                { "rate_limit: {logs_burst: 1}\n", "1: the file has no tokens" },
                { "token: []\n", "1: the file has no tokens" },
                { "- a\n", "1: expected a map, got a list" },
                { "token: {id: a}\n", "1: token: expected a list, got a map" },
                { "token: [a]\n", "1: token: expected a map, got a string" },
                { "tokens: []\n", "1: tokens: unknown key" },
                { "token:\n" YAML_TOKEN("a") YAML_TOKEN("a"), "3: token.id: \"a\" appears twice" },
                { "token:\n" YAML_TOKEN("5"), "2: token.id: expected a string, got an integer" },
                { "token:\n" YAML_TOKEN("''"), "2: token.id: must be 1 to 64 bytes" },
                { "token:\n" YAML_TOKEN(ID64 "0"), "2: token.id: must be 1 to 64 bytes" },
                { "token:\n" YAML_TOKEN("\"a\\nb\""), "2: token.id: must not contain control characters" },
                { "token:\n" YAML_TOKEN("\"a\\x7f\""), "2: token.id: must not contain control characters" },
                { "token:\n  - id: a\n    colour: red\n", "3: token.colour: unknown key" },
                { "token:\n  - id: a\n    project: ../x\n", "3: token.project: " },
                { "token:\n  - id: a\n    project: ''\n", "3: token.project: " },
                { "token:\n  - id: a\n    secret: nf65EOgLrQMR\n", "3: token.secret: not an Argon2 PHC string" },
                { "token:\n  - id: a\n    url_key: yes\n", "3: token.url_key: expected true or false, got a string" },
                { "token:\n  - id: a\n    secret: " PHC "\n    project: b\n", "2: token: source_prefix is missing" },
                { "token:\n  - secret: " PHC "\n    project: b\n    source_prefix: b/\n", "2: token: id is missing" },
                { "token:\n  - {}\n", "2: token: id is missing" },
                { "rate_limit: 5\ntoken:\n" YAML_TOKEN("a"), "1: rate_limit: expected a map, got an integer" },
                { "token:\n" YAML_TOKEN("a") "rate_limit:\n  logs: 5\n", "4: rate_limit.logs: unknown key" },
                { "token:\n" YAML_TOKEN("a") "rate_limit:\n  logs_burst: -1\n", "4: rate_limit.logs_burst: must be" },
                { "token:\n" YAML_TOKEN("a") "rate_limit:\n  logs_burst: 1000000001\n",
                  "4: rate_limit.logs_burst: must be between 0 and 1000000000" },
                { "token:\n" YAML_TOKEN("a") "rate_limit:\n  logs_burst: 1.5\n",
                  "4: rate_limit.logs_burst: expected an integer, got a float" },
                { "token:\n" YAML_TOKEN("a") "schema: []\n", "3: schemas are not supported yet" },
                { "token:\n" YAML_TOKEN("a") "token:\n" YAML_TOKEN("b"), "3: duplicate key" },
        };
        for (size_t i = 0; i < ARRAY_LEN(yaml); i++)
                refused("t.yaml", yaml[i].text, yaml[i].words);
        refused("t.toml", "[[token]]\nid = \"a\"\n" TOML_REST "[[schema]]\nproject = \"acme\"\n",
                "6: schemas are not supported yet");
        refused("t.toml", "[[token]]\nid = 2026-05-19\n" TOML_REST,
                "2: token.id: expected a string, got a date or time");
        refused("t.toml", "[token]\nid = \"a\"\n" TOML_REST, "1: token: expected a list, got a map");
        refused("t.toml", "", "1: the file has no tokens");
        refused("t.json", "{}", " the name must end in");

        _cleanup_(tokens_unrefp) struct tokens *longest = accepted("t.yaml", "token:\n" YAML_TOKEN(ID64));
        assert_string_equal(longest->list[0].id, ID64);
}

static void missing_file(void **state)
{
        (void)state;
        struct tokens *set = NULL;
        struct error err = { "" };
        assert_int_equal(tokens_read("/nonexistent/t.toml", &set, &err), -ENOENT);
        assert_non_null(strstr(err.text, "cannot read /nonexistent/t.toml: "));
}

static void warnings(void **state)
{
        (void)state;
        const mode_t modes[] = { 0640, 0604, 0600, 0400 };
        for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
                _cleanup_(tokens_unrefp) struct tokens *set = NULL;
                struct error err = { "" };
                char log[4096];
                assert_int_equal(read_logged("t.yaml", "token:\n" YAML_TOKEN("a"), modes[i], &set, &err, log), 0);
                assert_true((strstr(log, "accessible to group or others") != NULL) == ((modes[i] & 077) != 0));
        }
        const struct {
                const char *prefix;
                bool warned;
        } prefixes[] = { { "''", false },    { "ac", false },    { "acme", false }, { "acme/x", false },
                         { "other/", true }, { "acmes/", true }, { "acme-2", true } };
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
                _cleanup_(tokens_unrefp) struct tokens *set = NULL;
                struct error err = { "" };
                char log[4096], text[512];
                snprintf(text, sizeof(text), "token:\n- {id: a, secret: '%s', project: acme, source_prefix: %s}\n", PHC,
                         prefixes[i].prefix);
                assert_int_equal(read_logged("t.yaml", text, 0600, &set, &err, log), 0);
                if ((strstr(log, "can write nothing") != NULL) != prefixes[i].warned)
                        fail_msg("%s: %s", prefixes[i].prefix, log);
        }
}

static void permits(void **state)
{
        (void)state;
        const struct {
                const char *project, *prefix, *source_project, *install_id;
                bool permitted;
        } cases[] = {
                { "acme", "acme/", "acme", "host-1", true },       { "acme", "acme/host", "acme", "host-1", true },
                { "acme", "acme/host-1", "acme", "host-1", true }, { "acme", "acme/host-11", "acme", "host-1", false },
                { "acme", "acme/other", "acme", "host-1", false }, { "acme", "", "acme", "host-1", true },
                { "acme", "", "acmes", "host-1", false },          { "acme", "", "acm", "host-1", false },
                { "acme", "ac", "acne", "host-1", false },         { "acme", "acme/", "Acme", "host-1", false },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct token t = { .project = (char *)(uintptr_t)cases[i].project,
                                   .source_prefix = (char *)(uintptr_t)cases[i].prefix };
                struct source s;
                snprintf(s.project, sizeof(s.project), "%s", cases[i].source_project);
                snprintf(s.install_id, sizeof(s.install_id), "%s", cases[i].install_id);
                assert_true(tokens_permit(&t, &s) == cases[i].permitted);
        }
}

static void references(void **state)
{
        (void)state;
        struct tokens *set = accepted("t.yaml", "token:\n" YAML_TOKEN("a"));
        struct tokens *again = tokens_ref(set);
        assert_ptr_equal(again, set);
        assert_null(tokens_unref(set));
        assert_string_equal(again->list[0].id, "a"); /* alive; the sanitizers watch */
        assert_null(tokens_unref(again));
        assert_null(tokens_unref(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(toml_of_the_reference),
                cmocka_unit_test(the_same_as_yaml),
                cmocka_unit_test(refusals),
                cmocka_unit_test(missing_file),
                cmocka_unit_test(warnings),
                cmocka_unit_test(permits),
                cmocka_unit_test(references),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
