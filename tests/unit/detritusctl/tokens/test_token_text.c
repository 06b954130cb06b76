/* Changes of the token file's text: everything around the entry stays as it was, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "detritusctl/tokens/token_text.h"

static const struct token added = {
        .id = "new", .secret = "$phc$new", .project = "p", .source_prefix = "p/\"\\", .url_key = true
};

enum change { ADD, EXCHANGE, REMOVE };

struct sample {
        enum change change;
        bool toml;
        const char *id, *before, *after; /* after NULL: refused */
};

#define TOML_A "[[token]]\nid = \"a\"\nsecret = \"$phc$a\" # of a\nproject = \"p\"\nsource_prefix = \"p/\"\n"
#define TOML_B "[[token]]\n# inside b\nid = 'b'\nsecret = '$phc$b'\nproject = \"p\"\nsource_prefix = \"p/\"\n"
#define TOML_NEW                                                                                                       \
        "[[token]]\nid = \"new\"\nsecret = \"$phc$new\"\nproject = \"p\"\nsource_prefix = \"p/\\\"\\\\\"\nurl_key = "  \
        "true\n"
#define YAML_A "  - id: a\n    secret: $phc$a # of a\n    project: p\n    source_prefix: p/\n"
#define YAML_B "  -\n    # inside b\n    secret: \"$phc$b\"\n    id: b\n    project: p\n    source_prefix: p/\n"
#define YAML_NEW(i)                                                                                                    \
        i "- id: \"new\"\n" i "  secret: \"$phc$new\"\n" i "  project: \"p\"\n" i                                      \
          "  source_prefix: \"p/\\\"\\\\\"\n" i "  url_key: true\n"
#define LIMIT_TOML "# how much\n[rate_limit]\nlogs_burst = 5\n"
#define LIMIT_YAML "# how much\nrate_limit:\n  logs_burst: 5\n"

static const struct sample samples[] = {
        { ADD, true, "", "", TOML_NEW },
        { ADD, true, "", "# mine\n" TOML_A, "# mine\n" TOML_A "\n" TOML_NEW },
        { ADD, true, "", TOML_A LIMIT_TOML "# end", TOML_A LIMIT_TOML "# end\n\n" TOML_NEW },
        { ADD, false, "", "", "token:\n" YAML_NEW("  ") },
        { ADD, false, "", "token:\n" YAML_A "\n" LIMIT_YAML, "token:\n" YAML_A YAML_NEW("  ") "\n" LIMIT_YAML },
        { ADD, false, "", LIMIT_YAML "token:\n" YAML_B "# end", LIMIT_YAML "token:\n" YAML_B YAML_NEW("  ") "# end" },
        { ADD, false, "", "token:\n- id: a\n  secret: x", "token:\n- id: a\n  secret: x\n" YAML_NEW("") },
        { ADD, true, "", "[rate_limit]\r\nlogs_burst = 5",
          "[rate_limit]\r\nlogs_burst = 5\r\n\r\n[[token]]\r\nid = \"new\"\r\nsecret = \"$phc$new\"\r\n"
          "project = \"p\"\r\nsource_prefix = \"p/\\\"\\\\\"\r\nurl_key = true\r\n" },
        { ADD, false, "", "token:\r\n- id: a",
          "token:\r\n- id: a\r\n- id: \"new\"\r\n  secret: \"$phc$new\"\r\n  project: \"p\"\r\n"
          "  source_prefix: \"p/\\\"\\\\\"\r\n  url_key: true\r\n" },
        { ADD, false, "", "---\ntoken:\n" YAML_A "...\n", "---\ntoken:\n" YAML_A YAML_NEW("  ") "...\n" },
        { ADD, false, "", LIMIT_YAML, NULL },
        { ADD, false, "", "token: []\n", NULL },

        { EXCHANGE, true, "a", "# 1\n" TOML_A "# 2\n" TOML_B,
          "# 1\n[[token]]\nid = \"a\"\nsecret = \"$other\" # of a\nproject = \"p\"\nsource_prefix = \"p/\"\n# "
          "2\n" TOML_B },
        { EXCHANGE, false, "b", "token:\n" YAML_A YAML_B,
          "token:\n" YAML_A "  -\n    # inside b\n    secret: \"$other\"\n    id: b\n    project: p\n"
          "    source_prefix: p/\n" },
        { EXCHANGE, false, "nobody", "token:\n" YAML_A, NULL },
        { EXCHANGE, true, "a", "token = [{ id = \"a\", secret = \"$phc\\u0024a\" }]\n", NULL },

        { REMOVE, true, "a", TOML_A "\n" TOML_B, TOML_B },
        { REMOVE, true, "b", TOML_A "\n" TOML_B, TOML_A "\n" },
        { REMOVE, true, "a", "# all\n\n# of a\n" TOML_A "\n# of b\n" TOML_B "\n" LIMIT_TOML,
          "# all\n\n# of a\n\n# of b\n" TOML_B "\n" LIMIT_TOML },
        { REMOVE, true, "b", LIMIT_TOML TOML_A TOML_B "# end", LIMIT_TOML TOML_A "# end" },
        { REMOVE, false, "a", "token:\n  # of a\n" YAML_A "\n  # of b\n" YAML_B LIMIT_YAML,
          "token:\n  # of a\n\n  # of b\n" YAML_B LIMIT_YAML },
        { REMOVE, false, "b", "# x\ntoken:\n" YAML_A YAML_B "\n" LIMIT_YAML, "# x\ntoken:\n" YAML_A "\n" LIMIT_YAML },
        { REMOVE, false, "b", LIMIT_YAML "token:\n" YAML_B YAML_A, LIMIT_YAML "token:\n" YAML_A },
        { REMOVE, false, "nobody", "token:\n" YAML_A, NULL },
        { REMOVE, false, "b", "---\ntoken:\n" YAML_A YAML_B "# end\n...\n", "---\ntoken:\n" YAML_A "# end\n...\n" },
        { REMOVE, false, "a", "token:\r\n- id: a\r\n  x: >\r\n    y\r\n\r\n    # z\r\n# b\r\n- id: b",
          "token:\r\n\r\n    # z\r\n# b\r\n- id: b" },
        { REMOVE, true, "a", "[[token]]\r\nid = 'a'\r\n# b\r\n[[token]]\r\nid = 'b'", "# b\r\n[[token]]\r\nid = 'b'" },
};

static int change(const struct sample *s, struct buf *out)
{
        struct error err = { "" };
        struct buf before = { 0 };
        const struct token_text old = { &before, s->toml };
        assert_int_equal(buf_append_str(&before, s->before), 0);
        int r;
        switch (s->change) {
        case ADD: r = token_text_add(&old, &added, out, &err); break;
        case EXCHANGE: {
                char from[] = "$phc$?";
                from[5] = s->id[0];
                const struct token_text_change change = { s->id, from, "$other" };
                r = token_text_exchange(&old, &change, out, &err);
                break;
        }
        default: r = token_text_remove(&old, s->id, out, &err);
        }
        assert_true(r == 0 || (r > 0 && err.text[0]));
        buf_done(&before);
        return r;
}

static void test_samples(_unused_ void **state)
{
        for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
                struct buf out = { 0 };
                int r = change(&samples[i], &out);
                assert_int_equal(buf_append_char(&out, '\0'), 0);
                if (samples[i].after && (r != 0 || strcmp((char *)out.data, samples[i].after) != 0))
                        fail_msg("sample %zu: %d\n%s\n--- not\n%s", i, r, (char *)out.data, samples[i].after);
                if (!samples[i].after && r == 0)
                        fail_msg("sample %zu was not refused\n%s", i, (char *)out.data);
                buf_done(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_samples) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
