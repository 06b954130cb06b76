/* The writer: nesting, commas, every kind of value, and the error that is asked once. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/json/json_write.h"

static void assert_text(struct buf *b, const char *expected)
{
        assert_int_equal(buf_append_char(b, '\0'), 0);
        assert_string_equal((const char *)b->data, expected);
        buf_done(b);
}

static void nests(void **state)
{
        (void)state;
        struct buf b = { 0 };
        struct json_write w = json_write_to(&b);
        json_write_object(&w, NULL);
        json_write_object(&w, "empty");
        json_write_end(&w);
        json_write_array(&w, "list");
        json_write_u64(&w, NULL, 1);
        json_write_array(&w, NULL);
        json_write_end(&w);
        json_write_object(&w, NULL);
        json_write_null(&w, "nothing");
        json_write_end(&w);
        json_write_end(&w);
        json_write_bool(&w, "last", true);
        json_write_end(&w);
        assert_int_equal(json_write_finish(&w), 0);
        assert_text(&b, "{\"empty\":{},\"list\":[1,[],{\"nothing\":null}],\"last\":true}");
}

static void writes_values(void **state)
{
        (void)state;
        struct buf b = { 0 };
        struct json_write w = json_write_to(&b);
        json_write_array(&w, NULL);
        json_write_string(&w, NULL, "a\"\\\n");
        json_write_string(&w, NULL, NULL);
        json_write_text(&w, NULL, "a\0b", 3);
        json_write_hex(&w, NULL, "\x0f\xa0", 2);
        json_write_u64(&w, NULL, UINT64_MAX);
        json_write_i64(&w, NULL, INT64_MIN);
        json_write_double(&w, NULL, 2.5);
        json_write_bool(&w, NULL, false);
        json_write_raw(&w, NULL, "{}", 2);
        json_write_end(&w);
        assert_int_equal(json_write_finish(&w), 0);
        assert_text(&b, "[\"a\\\"\\\\\\n\",null,\"a\\u0000b\",\"0fa0\",18446744073709551615,-9223372036854775808,2.5,"
                        "false,{}]");
}

static void one_value_alone(void **state)
{
        (void)state;
        struct buf b = { 0 };
        assert_int_equal(buf_append_str(&b, "before "), 0);
        struct json_write w = json_write_to(&b);
        json_write_string(&w, NULL, "x");
        assert_int_equal(json_write_finish(&w), 0);
        assert_text(&b, "before \"x\"");
}

static void reports_the_first_error(void **state)
{
        (void)state;
        struct buf b = { 0 };
        struct json_write w = json_write_to(&b);
        json_write_array(&w, NULL);
        json_write_raw(&w, NULL, "", SIZE_MAX / 2);
        json_write_string(&w, NULL, "lost");
        json_write_double(&w, NULL, 1);
        json_write_end(&w);
        assert_int_equal(json_write_finish(&w), -ENOMEM);
        assert_int_equal(b.len, 1);
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nests),
                cmocka_unit_test(writes_values),
                cmocka_unit_test(one_value_alone),
                cmocka_unit_test(reports_the_first_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
