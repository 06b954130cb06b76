/* Small words of detritusctl: durations, relative times, and the name that somebody meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "detritusctl/cli/suggest.h"
#include "detritusctl/screen/screen.h"
#include "util/cleanup.h"

static void expect_duration(uint64_t seconds, const char *expected)
{
        char text[SCREEN_TIME_SIZE];
        screen_duration(seconds, text);
        assert_string_equal(text, expected);
}

static void test_durations(_unused_ void **state)
{
        expect_duration(0, "0 s");
        expect_duration(59, "59 s");
        expect_duration(60, "1 min");
        expect_duration(61, "1 min 1 s");
        expect_duration(600, "10 min");
        expect_duration(601, "10 min");
        expect_duration(3600, "1 h");
        expect_duration(7290, "2 h 1 min");
        expect_duration(86400 * 2 + 3600 * 4, "2 d 4 h");
        expect_duration(UINT64_MAX, "213503982334601 d");
}

static void expect_relative(int64_t at, int64_t now, const char *expected)
{
        char text[SCREEN_TIME_SIZE];
        screen_relative((struct moment){ .sec = at }, (struct moment){ .sec = now }, text);
        assert_string_equal(text, expected);
}

static void test_relative_times(_unused_ void **state)
{
        expect_relative(1000, 1000, "now");
        expect_relative(1000, 1001, "1 s ago");
        expect_relative(1000, 1000 + 179, "2 min ago");
        expect_relative(1000, 1000 + 180, "3 min ago");
        expect_relative(1000, 1000 + 7200, "2 h ago");
        expect_relative(1000, 1000 + 86400 * 40, "40 d ago");
        expect_relative(8200, 1000, "in 2 h");
        expect_relative(INT64_MIN, INT64_MAX, "213503982334601 d ago");
}

static void test_times_in_a_pipe(_unused_ void **state)
{
        char text[SCREEN_TIME_SIZE];
        screen_time("2026-05-19T08:30:00.123456789Z", text); /* no terminal, as screen_init() was not called */
        assert_string_equal(text, "2026-05-19T08:30:00Z");
        screen_time("no time, and longer than all the room that there is for it", text);
        assert_string_equal(text, "no time, and longer than all the room t");
        screen_time(NULL, text);
        assert_string_equal(text, "");
}

static const char *nearest(const char *typed)
{
        static const char *const names[] = { "status", "crashes", "list", "show", "delete", "token", "top", "purge" };
        struct suggestion s = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                suggest(&s, typed, names[i]);
        return s.name ? s.name : "";
}

static void test_what_somebody_meant(_unused_ void **state)
{
        assert_string_equal(nearest("stats"), "status");
        assert_string_equal(nearest("sttaus"), "status");
        assert_string_equal(nearest("crash"), "crashes");
        assert_string_equal(nearest("lst"), "list");
        assert_string_equal(nearest("lsit"), "list");
        assert_string_equal(nearest("del"), "delete");
        assert_string_equal(nearest("purgee"), "purge");
        assert_string_equal(nearest("zzz"), "");
        assert_string_equal(nearest(""), "");
        assert_string_equal(nearest("quite another thing, and a long one at that"), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_relative_times),
                cmocka_unit_test(test_times_in_a_pipe),
                cmocka_unit_test(test_what_somebody_meant),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
