/* The reader of json-c trees: strict about the text, and nothing is there where something else stands. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/json/json_read.h"
#include "util/cleanup.h"

static void parses_strictly(void **state)
{
        (void)state;
        static const char *const good[] = { "{}", "[1,2]", " {\"a\":[[]]} ", "12", "\"x\"", "true" };
        static const char *const bad[] = {
                "", "{", "{}x", "{} {}", "{\"a\":1,}", "[1", "nul", "\"\xff\"", "[[[[[]]]]]"
        };
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                struct json_object *tree = NULL;
                assert_int_equal(json_read_parse(good[i], strlen(good[i]), 4, &tree), 0);
                assert_non_null(tree);
                json_read_free(tree);
        }
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct json_object *tree = NULL;
                assert_int_equal(json_read_parse(bad[i], strlen(bad[i]), 4, &tree), JSON_READ_BAD);
                assert_null(tree);
        }
}

static void reads_members(void **state)
{
        (void)state;
        static const char text[] = "{\"s\":\"a/b\",\"u\":18446744073709551615,\"i\":-3,\"d\":1.5,\"t\":true,\"n\":null,"
                                   "\"list\":[{\"k\":\"v\"},7],\"o\":{\"in\":\"x\"}}";
        _cleanup_(json_read_freep) struct json_object *o = NULL;
        assert_int_equal(json_read_parse(text, strlen(text), 4, &o), 0);
        assert_string_equal(json_read_string(o, "s"), "a/b");
        assert_null(json_read_string(o, "u"));
        assert_null(json_read_string(o, "absent"));
        assert_null(json_read_string(o, "n"));
        assert_string_equal(json_read_shown(o, "s"), "a/b");
        assert_string_equal(json_read_shown(o, "i"), "-3");
        assert_string_equal(json_read_shown(o, "o"), "{\"in\":\"x\"}");
        assert_null(json_read_shown(o, "n"));
        assert_true(json_read_u64(o, "u") == UINT64_MAX);
        assert_int_equal(json_read_u64(o, "s"), 0);
        assert_int_equal(json_read_i64(o, "i"), -3);
        assert_true(json_read_double(o, "d") == 1.5);
        assert_true(json_read_bool(o, "t"));
        assert_false(json_read_bool(o, "s"));
        assert_true(json_read_has(o, "n"));
        assert_false(json_read_has(o, "absent"));
        assert_null(json_read_member(o, "n"));

        struct json_object *list = json_read_member(o, "list");
        assert_int_equal(json_read_count(list), 2);
        assert_string_equal(json_read_string(json_read_item(list, 0), "k"), "v");
        assert_string_equal(json_read_value_shown(json_read_item(list, 1)), "7");
        assert_null(json_read_item(list, 2));
        assert_null(json_read_member(list, "k"));
        assert_int_equal(json_read_count(o), 0);
}

static void nothing_is_in_nothing(void **state)
{
        (void)state;
        assert_null(json_read_member(NULL, "k"));
        assert_null(json_read_string(NULL, "k"));
        assert_null(json_read_shown(NULL, "k"));
        assert_null(json_read_item(NULL, 0));
        assert_int_equal(json_read_count(NULL), 0);
        assert_false(json_read_has(NULL, "k"));
        json_read_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parses_strictly),
                cmocka_unit_test(reads_members),
                cmocka_unit_test(nothing_is_in_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
