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

#include "config/tree.h"
#include "util/buf.h"

typedef int (*parse_fn)(const char *text, size_t len, struct tree_node *root, struct error *err);

static struct tree_node parse_ok(parse_fn parse, const char *text)
{
        struct tree_node root = { 0 };
        struct error err = { "" };
        if (parse(text, strlen(text), &root, &err) != 0)
                fail_msg("refused: %s\n%s", err.text, text);
        return root;
}

static void parse_refused(parse_fn parse, const char *text, size_t len, const char *reason)
{
        struct tree_node root = { .line = 77 };
        struct error err = { "" };
        int r = parse(text, len, &root, &err);
        if (r != TREE_REFUSED)
                fail_msg("returned %d: %s", r, text);
        if (!strstr(err.text, reason))
                fail_msg("said \"%s\", not \"%s\"", err.text, reason);
        assert_int_equal(root.line, 77); /* untouched */
}

static const struct tree_node *child(const struct tree_node *map, const char *key, enum tree_kind kind, unsigned line)
{
        const struct tree_node *n = tree_get(map, key);
        if (!n)
                fail_msg("no key %s", key);
        if (n->kind != kind)
                fail_msg("%s is %s, not %s", key, tree_kind_name(n->kind), tree_kind_name(kind));
        assert_int_equal(n->line, line);
        return n;
}

static void yaml_scalars(void **state)
{
        (void)state;
        struct tree_node root = parse_ok(tree_parse_yaml, "a: true\n"
                                                          "b: false\n"
                                                          "c: yes\n"
                                                          "d: 'true'\n"
                                                          "e: 42\n"
                                                          "f: -7\n"
                                                          "g: \"42\"\n"
                                                          "h: 010\n"
                                                          "i: 0x10\n"
                                                          "j: 1:30\n"
                                                          "k: 1.5\n"
                                                          "l: 1e3\n"
                                                          "m: ~\n"
                                                          "n:\n"
                                                          "o: 127.0.0.1:4317\n"
                                                          "p: 9223372036854775807\n"
                                                          "q: |\n"
                                                          "  42\n"
                                                          "r: 1_000\n"
                                                          "s: off\n"
                                                          "t: null\n"
                                                          "u: 0\n"
                                                          "v: +5\n"
                                                          "w: True\n"
                                                          "x: 'null'\n");
        assert_int_equal(root.kind, TREE_MAP);
        assert_true(child(&root, "a", TREE_BOOLEAN, 1)->boolean);
        assert_false(child(&root, "b", TREE_BOOLEAN, 2)->boolean);
        assert_string_equal(child(&root, "c", TREE_STRING, 3)->string, "yes");
        child(&root, "d", TREE_STRING, 4);
        assert_int_equal(child(&root, "e", TREE_INTEGER, 5)->integer, 42);
        assert_int_equal(child(&root, "f", TREE_INTEGER, 6)->integer, -7);
        assert_string_equal(child(&root, "g", TREE_STRING, 7)->string, "42");
        child(&root, "h", TREE_STRING, 8);
        child(&root, "i", TREE_STRING, 9);
        child(&root, "j", TREE_STRING, 10);
        assert_string_equal(child(&root, "k", TREE_FLOAT, 11)->string, "1.5");
        child(&root, "l", TREE_FLOAT, 12);
        child(&root, "m", TREE_NULL, 13);
        child(&root, "n", TREE_NULL, 14);
        child(&root, "o", TREE_STRING, 15);
        assert_true(child(&root, "p", TREE_INTEGER, 16)->integer == INT64_MAX);
        assert_string_equal(child(&root, "q", TREE_STRING, 17)->string, "42\n");
        child(&root, "r", TREE_STRING, 19);
        child(&root, "s", TREE_STRING, 20);
        child(&root, "t", TREE_NULL, 21);
        assert_int_equal(child(&root, "u", TREE_INTEGER, 22)->integer, 0);
        child(&root, "v", TREE_STRING, 23);
        child(&root, "w", TREE_STRING, 24);
        child(&root, "x", TREE_STRING, 25);
        assert_null(tree_get(&root, "y"));
        tree_node_done(&root);
}

static void yaml_shapes(void **state)
{
        (void)state;
        struct tree_node root = parse_ok(tree_parse_yaml, "listeners:\n"
                                                          "  - bind: a\n"
                                                          "    x: {y: [1, 2,\n"
                                                          "        3]}\n"
                                                          "  - bind: b\n"
                                                          "empty: []\n");
        const struct tree_node *list = child(&root, "listeners", TREE_LIST, 1);
        assert_int_equal(list->n_children, 2);
        assert_int_equal(list->children[0].line, 2);
        assert_int_equal(list->children[1].line, 5);
        assert_null(list->children[0].key);
        const struct tree_node *numbers = child(child(&list->children[0], "x", TREE_MAP, 3), "y", TREE_LIST, 3);
        assert_int_equal(numbers->n_children, 3);
        assert_int_equal(numbers->children[2].line, 4);
        assert_int_equal(numbers->children[2].integer, 3);
        assert_int_equal(child(&root, "empty", TREE_LIST, 6)->n_children, 0);
        tree_node_done(&root);

        const char *const empty[] = { "", "\n# only words\n", "---\n", "---\n...\n" };
        for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
                root = parse_ok(tree_parse_yaml, empty[i]);
                assert_int_equal(root.kind, TREE_NULL);
                tree_node_done(&root);
        }
        root = parse_ok(tree_parse_yaml, "\xEF\xBB\xBF"
                                         "a: 1\n");
        child(&root, "a", TREE_INTEGER, 1);
        tree_node_done(&root);
}

static void yaml_refusals(void **state)
{
        (void)state;
        const struct {
                const char *text, *reason;
        } cases[] = {
                { "a: &x 1\n", "1: anchors" },
                { "b: 1\na: &x {b: 1}\n", "2: anchors" },
                { "a: &x [1]\n", "1: anchors" },
                { "&x a: 1\n", "1: anchors" },
                { "a: 1\nb: *x\n", "2: aliases" },
                { "[*x]\n", "1: aliases" },
                { "*x : 1\n", "1: aliases" },
                { "a: !!str 1\n", "1: tags" },
                { "a: ! 1\n", "1: tags" },
                { "a: !x {b: 1}\n", "1: tags" },
                { "a: !!seq [b]\n", "1: tags" },
                { "!!str a: b\n", "1: tags" },
                { "%TAG !e! tag:example.com,2000:\n---\na: 1\n", "tags" },
                { "a: 1\nb: 2\na: 3\n", "3: duplicate key \"a\"" },
                { "x:\n  a: 1\n  'a': 2\n", "3: duplicate key \"a\"" },
                { "a: 1\n---\nb: 1\n", "2: more than one document" },
                { "? [a]\n: 1\n", "1: a key must be a string" },
                { "? {a: b}\n: 1\n", "1: a key must be a string" },
                { "a: \"x\\0y\"\n", "1: strings must not contain a NUL" },
                { "\"x\\0y\": 1\n", "1: strings must not contain a NUL" },
                { "a: 9223372036854775808\n", "1: integer out of range" },
                { "a: 1\nb: -9223372036854775809\n", "2: integer out of range" },
                { "a: [1,\n", "2: " },
                { "a: 1\n\tb: 2\n", "2: " },
                { "a: b: c\n", "1: " },
                { "a: 1\nb: \xFF\n", "2: " },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                parse_refused(tree_parse_yaml, cases[i].text, strlen(cases[i].text), cases[i].reason);
}

/* depth lists in each other, as both formats write them. */
static char *nested(const char *prefix, unsigned depth)
{
        struct buf b = { 0 };
        assert_int_equal(buf_append_str(&b, prefix), 0);
        for (unsigned i = 0; i < depth; i++)
                assert_int_equal(buf_append_char(&b, '['), 0);
        for (unsigned i = 0; i < depth; i++)
                assert_int_equal(buf_append_char(&b, ']'), 0);
        return buf_take_str(&b);
}

static void depth_is_bounded(void **state)
{
        (void)state;
        const struct {
                parse_fn parse;
                const char *prefix;
        } formats[] = { { tree_parse_yaml, "a: " }, { tree_parse_toml, "a = " } };
        for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
                _cleanup_(freep) char *fits = nested(formats[i].prefix, TREE_MAX_DEPTH - 1);
                struct tree_node root = parse_ok(formats[i].parse, fits);
                tree_node_done(&root);
                _cleanup_(freep) char *deep = nested(formats[i].prefix, TREE_MAX_DEPTH);
                parse_refused(formats[i].parse, deep, strlen(deep), "1: nested too deeply");
                _cleanup_(freep) char *abyss = nested(formats[i].prefix, 100000);
                parse_refused(formats[i].parse, abyss, strlen(abyss), "1: ");
        }
}

static void toml_dotted_keys_are_bounded(void **state)
{
        (void)state;
        struct buf b = { 0 };
        assert_int_equal(buf_append_str(&b, "x = 1\n"), 0);
        for (int i = 0; i < 200000; i++)
                assert_int_equal(buf_append_str(&b, i % 2 ? "a." : "\"b\" . "), 0);
        assert_int_equal(buf_append_str(&b, "a = 1\n"), 0);
        _cleanup_(freep) char *text = buf_take_str(&b);
        parse_refused(tree_parse_toml, text, strlen(text), "2: nested too deeply");
        text[5] = '['; /* a header instead */
        parse_refused(tree_parse_toml, text, strlen(text), "1: nested too deeply");

        /* dots elsewhere are no depth */
        struct tree_node root = parse_ok(tree_parse_toml, "a = \"................................\"\n"
                                                          "b = '................................'\n"
                                                          "c = \"\"\"..........\\\"........\n..........\"\"\"\"\"\n"
                                                          "d = '''................'..................'''\n"
                                                          "# ......................................\n"
                                                          "e = [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5,"
                                                          " 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]\n"
                                                          "a1.b.c.d.e.f.g.h.i.j.k.l.m.n.o = 1\n");
        child(&root, "a1", TREE_MAP, 8);
        tree_node_done(&root);

        const char *behind_string = "i = { a = \"\"\"x\"\"\"\", b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b = 1 }\n";
        parse_refused(tree_parse_toml, behind_string, strlen(behind_string), "1: nested too deeply");
}

static void toml_values(void **state)
{
        (void)state;
        struct tree_node root = parse_ok(tree_parse_toml, "zz = 1 # first\n"
                                                          "b = true\n"
                                                          "c = \"text\"\n"
                                                          "d = 1.5\n"
                                                          "e = 2026-05-19\n"
                                                          "f = 07:32:00\n"
                                                          "g = 2026-05-19T00:00:00Z\n"
                                                          "h = -9223372036854775808\n"
                                                          "[[token]]\n"
                                                          "id = \"one\"\n"
                                                          "\n"
                                                          "[[token]]\n"
                                                          "id = \"two\"\n"
                                                          "[limits]\n"
                                                          "x.y = [1,\n"
                                                          "2]\n");
        assert_int_equal(root.kind, TREE_MAP);
        assert_string_equal(root.children[0].key, "zz"); /* the file's order, not the alphabet's */
        assert_int_equal(child(&root, "zz", TREE_INTEGER, 1)->integer, 1);
        assert_true(child(&root, "b", TREE_BOOLEAN, 2)->boolean);
        assert_string_equal(child(&root, "c", TREE_STRING, 3)->string, "text");
        child(&root, "d", TREE_FLOAT, 4);
        child(&root, "e", TREE_DATE, 5);
        child(&root, "f", TREE_DATE, 6);
        child(&root, "g", TREE_DATE, 7);
        assert_true(child(&root, "h", TREE_INTEGER, 8)->integer == INT64_MIN);
        const struct tree_node *tokens = child(&root, "token", TREE_LIST, 9);
        assert_int_equal(tokens->n_children, 2);
        assert_int_equal(tokens->children[1].line, 12);
        assert_string_equal(child(&tokens->children[1], "id", TREE_STRING, 13)->string, "two");
        const struct tree_node *y =
                child(child(child(&root, "limits", TREE_MAP, 14), "x", TREE_MAP, 15), "y", TREE_LIST, 15);
        assert_int_equal(y->children[1].line, 16);
        tree_node_done(&root);

        root = parse_ok(tree_parse_toml, "");
        assert_int_equal(root.kind, TREE_MAP);
        assert_int_equal(root.n_children, 0);
        tree_node_done(&root);
}

static void toml_refusals(void **state)
{
        (void)state;
        const struct {
                const char *text, *reason;
        } cases[] = {
                { "a = 1\na = 2\n", "2: " },
                { "[a]\n[a]\n", "2: " },
                { "a = \"\\u0000\"\n", "1: strings must not contain a NUL" },
                { "x = 1\n\"a\\u0000\" = 1\n", "2: keys must not contain a NUL" },
                { "a = 99999999999999999999\n", "1: " },
                { "a = yes\n", "1: " },
                { "a = 1\n\nb\n", "3: " },
                { "a = \"\xFF\"\n", "1: " },
                { "a = [1,\n", "" },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                parse_refused(tree_parse_toml, cases[i].text, strlen(cases[i].text), cases[i].reason);
}

/* Every prefix of a good document is read or refused, and frees what it made (the sanitizers watch). */
static void prefixes_are_safe(void **state)
{
        (void)state;
        const struct {
                parse_fn parse;
                const char *text;
        } cases[] = {
                { tree_parse_yaml, "a: [1, {b: 'x', \"c\": |\n  t\n}]\nd:\n  - e: ~\n  - - f\n...\n" },
                { tree_parse_yaml, "a:\n  - b: c\n    d: \"\\x41\"\n? e\n: f\n" },
                { tree_parse_toml,
                  "[[a]]\nb = [1, {c = '''x'''}]\n[a.\"d\".e]\nf = \"\"\"\\u0041\\\n\"\"\"\ng.h=1.5\n" },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                for (size_t len = 0; len <= strlen(cases[i].text); len++) {
                        struct tree_node root = { 0 };
                        struct error err = { "" };
                        int r = cases[i].parse(cases[i].text, len, &root, &err);
                        assert_true(r == 0 || (r == TREE_REFUSED && err.text[0] >= '1' && err.text[0] <= '9'));
                        tree_node_done(&root);
                }
        }
}

static char dir[] = "/tmp/test_tree.XXXXXX";
static char path[64];

static const char *write_file(const char *name, const void *data, size_t len, mode_t mode)
{
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, len), (ssize_t)len);
        assert_int_equal(fchmod(fd, mode), 0);
        close(fd);
        return path;
}

static void files(void **state)
{
        (void)state;
        struct error err = { "" };
        _cleanup_(tree_freep) struct tree *t = NULL;
        assert_non_null(mkdtemp(dir));

        write_file("a.yml", "a: 1\n", 5, 0640);
        assert_int_equal(tree_read(path, &t, &err), 0);
        assert_string_equal(t->path, path);
        assert_int_equal(t->mode, 0640);
        assert_int_equal(tree_refuse(t, &t->root.children[0], &err, "no %s", "good"), TREE_REFUSED);
        char expected[128];
        snprintf(expected, sizeof(expected), "%s:1: no good", path);
        assert_string_equal(err.text, expected);
        t = tree_free(t);
        unlink(path);

        write_file("a.yaml", "a: 1\na: 2\n", 10, 0600);
        assert_int_equal(tree_read(path, &t, &err), TREE_REFUSED);
        snprintf(expected, sizeof(expected), "%s:2: duplicate key \"a\"", path);
        assert_string_equal(err.text, expected);
        unlink(path);

        write_file("a.toml", "a = 1\nb", 7, 0600);
        assert_int_equal(tree_read(path, &t, &err), TREE_REFUSED);
        snprintf(expected, sizeof(expected), "%s:2: ", path);
        assert_memory_equal(err.text, expected, strlen(expected));
        assert_int_equal(tree_read(path, &t, NULL), TREE_REFUSED);
        unlink(path);

        write_file("a.json", "{}", 2, 0600);
        assert_int_equal(tree_read(path, &t, &err), TREE_REFUSED);
        assert_non_null(strstr(err.text, ".toml, .yaml or .yml"));
        unlink(path);

        snprintf(path, sizeof(path), "%s/none.yaml", dir);
        assert_int_equal(tree_read(path, &t, &err), -ENOENT);
        snprintf(expected, sizeof(expected), "cannot read %s: ", path);
        assert_memory_equal(err.text, expected, strlen(expected));
        snprintf(path, sizeof(path), "%s/d.yaml", dir);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(tree_read(path, &t, &err), -EISDIR);
        rmdir(path);

        /* a comment of exactly the largest size, then one byte more */
        _cleanup_(freep) char *big = malloc(TREE_MAX_BYTES + 1);
        assert_non_null(big);
        memset(big, '#', TREE_MAX_BYTES + 1);
        write_file("big.yaml", big, TREE_MAX_BYTES, 0600);
        assert_int_equal(tree_read(path, &t, &err), 0);
        t = tree_free(t);
        write_file("big.yaml", big, TREE_MAX_BYTES + 1, 0600);
        assert_int_equal(tree_read(path, &t, &err), TREE_REFUSED);
        assert_non_null(strstr(err.text, "the file is larger than"));
        unlink(path);
        rmdir(dir);
}

/* The largest file of nothing but keys: what it costs must not grow with the square of their number. */
static void many_keys(void **state)
{
        (void)state;
        struct buf b = { 0 };
        for (int i = 0; i < 50000; i++)
                assert_int_equal(buf_printf(&b, "k%d: 1\n", i), 0);
        assert_int_equal(buf_append_str(&b, "k0: 1\n"), 0);
        _cleanup_(freep) char *text = buf_take_str(&b);
        parse_refused(tree_parse_yaml, text, strlen(text), "50001: duplicate key \"k0\"");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(yaml_scalars),
                cmocka_unit_test(yaml_shapes),
                cmocka_unit_test(yaml_refusals),
                cmocka_unit_test(depth_is_bounded),
                cmocka_unit_test(toml_values),
                cmocka_unit_test(toml_refusals),
                cmocka_unit_test(files),
                cmocka_unit_test(toml_dotted_keys_are_bounded),
                cmocka_unit_test(prefixes_are_safe),
                cmocka_unit_test(many_keys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
