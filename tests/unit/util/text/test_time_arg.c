/* What people type behind --since and --until. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/text/time_arg.h"

#define NOW ((struct moment){ .sec = 1779179400, .nsec = 500000000 }) /* 2026-05-19T08:30:00.5Z */

static void expect_moment(const char *text, const char *expected)
{
        struct moment at;
        char shown[CLOCK_RFC3339_SIZE];
        if (time_arg_moment(text, NOW, &at) != 0)
                fail_msg("%s is refused", text);
        clock_format_rfc3339(at, shown);
        assert_string_equal(shown, expected);
}

static void test_moments(_unused_ void **state)
{
        expect_moment("now", "2026-05-19T08:30:00.500Z");
        expect_moment("2h", "2026-05-19T06:30:00.500Z");
        expect_moment("3d", "2026-05-16T08:30:00.500Z");
        expect_moment("1w1d", "2026-05-11T08:30:00.500Z");
        expect_moment("1h30m", "2026-05-19T07:00:00.500Z");
        expect_moment("0s", "2026-05-19T08:30:00.500Z");
        expect_moment("2026-05-18", "2026-05-18T00:00:00Z");
        expect_moment("2026-05-18T10:00:00+02:00", "2026-05-18T08:00:00Z");
        expect_moment("2026-05-18 10:00:00.25Z", "2026-05-18T10:00:00.250Z");
}

static void test_what_is_no_moment(_unused_ void **state)
{
        static const char *const bad[] = {
                "",
                " ",
                "h",
                "2",
                "2 h",
                "-2h",
                "2y",
                "h2",
                "2h ",
                "yesterday",
                "1e3",
                "+1d",
                "2026-02-30",
                "2026-13-01",
                "2026-5-1",
                "2026-05",
                "99999999999999s",
                "9999999999d",
                "3000000d",
                "2026-05-18T10:00:00",
                "2026-05-18T25:00:00Z",
        };
        struct moment at;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                if (time_arg_moment(bad[i], NOW, &at) != TIME_ARG_BAD)
                        fail_msg("\"%s\" is taken", bad[i]);
        }
}

static void test_durations(_unused_ void **state)
{
        int64_t seconds;
        assert_int_equal(time_arg_duration("5m", &seconds), 0);
        assert_int_equal(seconds, 300);
        assert_int_equal(time_arg_duration("1d2h3m4s", &seconds), 0);
        assert_int_equal(seconds, 86400 + 7200 + 180 + 4);
        assert_int_equal(time_arg_duration("now", &seconds), TIME_ARG_BAD);
        assert_int_equal(time_arg_duration("5", &seconds), TIME_ARG_BAD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_moments),
                cmocka_unit_test(test_what_is_no_moment),
                cmocka_unit_test(test_durations),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
