/* RFC 3339 in and out, against timegm() and gmtime_r(). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util/clock.h"

static void assert_parses(const char *text, int64_t sec, uint32_t nsec)
{
        struct moment m = { -1, 1 };
        assert_int_equal(clock_parse_rfc3339(text, strlen(text), &m), 0);
        assert_int_equal(m.sec, sec);
        assert_int_equal(m.nsec, nsec);
}

static void parses(void **state)
{
        (void)state;
        assert_parses("1970-01-01T00:00:00Z", 0, 0);
        assert_parses("2026-05-19T00:00:00Z", 1779148800, 0);
        assert_parses("2026-05-19t00:00:00z", 1779148800, 0);
        assert_parses("2026-05-19 02:00:00+02:00", 1779148800, 0);
        assert_parses("2026-05-18T18:30:00-05:30", 1779148800, 0);
        assert_parses("2026-05-19T00:00:00-00:00", 1779148800, 0);
        assert_parses("1969-12-31T23:59:59.999999999Z", -1, 999999999);
        assert_parses("1970-01-01T00:00:00.1Z", 0, 100000000);
        assert_parses("1970-01-01T00:00:00.000000001Z", 0, 1);
        assert_parses("1970-01-01T00:00:00.0000000019Z", 0, 1); /* cut, not rounded */
        assert_parses("1970-01-01T00:00:00.123456789012345678901234567890Z", 0, 123456789);
        assert_parses("2016-12-31T23:59:60Z", 1483228799, 0); /* a leap second */
        assert_parses("2000-02-29T00:00:00Z", 951782400, 0);
        assert_parses("0000-01-01T00:00:00Z", -62167219200, 0);
        assert_parses("9999-12-31T23:59:59Z", 253402300799, 0);
        assert_parses("0000-01-01T00:30:00+00:30", -62167219200, 0);
}

static void refuses(void **state)
{
        (void)state;
        static const char *const bad[] = {
                "",
                "2026-05-19",
                "2026-05-19T00:00:00",
                "2026-05-19T00:00Z",
                "2026-5-19T00:00:00Z",
                "2026-13-01T00:00:00Z",
                "2026-00-01T00:00:00Z",
                "2026-04-31T00:00:00Z",
                "2026-02-29T00:00:00Z",
                "1900-02-29T00:00:00Z",
                "2026-05-00T00:00:00Z",
                "2026-05-19T24:00:00Z",
                "2026-05-19T00:60:00Z",
                "2026-05-19T00:00:61Z",
                "2026-05-19T00:00:00.Z",
                "2026-05-19T00:00:00,5Z",
                "2026-05-19T00:00:00+24:00",
                "2026-05-19T00:00:00+01:60",
                "2026-05-19T00:00:00+0100",
                "2026-05-19T00:00:00+01",
                "2026-05-19T00:00:00ZZ",
                "2026-05-19T00:00:00Z ",
                " 2026-05-19T00:00:00Z",
                "+026-05-19T00:00:00Z",
                "2026-05-19_00:00:00Z",
                "0000-01-01T00:00:00+00:01", /* the year -1 */
                "9999-12-31T23:59:59-00:01", /* the year 10000 */
        };
        struct moment m;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(clock_parse_rfc3339(bad[i], strlen(bad[i]), &m), 1);
        static const char good[] = "2026-05-19T00:00:00.5+02:00";
        for (size_t len = 0; len < sizeof(good) - 1; len++) /* cut anywhere */
                assert_int_equal(clock_parse_rfc3339(good, len, &m), 1);
        assert_int_equal(clock_parse_rfc3339("2026-05-19T00:00:00Z\0", 21, &m), 1);
}

static void formats(void **state)
{
        (void)state;
        static const struct {
                uint32_t nsec;
                const char *fraction;
        } cases[] = {
                { 0, "" },
                { 500000000, ".500" },
                { 1000000, ".001" },
                { 1000, ".000001" },
                { 120000, ".000120" },
                { 1, ".000000001" },
                { 999999999, ".999999999" },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char text[CLOCK_RFC3339_SIZE], stamp[CLOCK_STAMP_SIZE], expected[64];
                struct moment at = { 1779148800, cases[i].nsec };
                clock_format_rfc3339(at, text);
                snprintf(expected, sizeof(expected), "2026-05-19T00:00:00%sZ", cases[i].fraction);
                assert_string_equal(text, expected);
                clock_format_stamp(at, stamp);
                snprintf(expected, sizeof(expected), "20260519T000000%sZ", cases[i].fraction);
                assert_string_equal(stamp, expected);
                assert_parses(text, at.sec, at.nsec);
        }
}

/* Odd steps over all years, back and forth, beside the C library. */
static void agrees_with_the_c_library(void **state)
{
        (void)state;
        for (int64_t sec = -62167219200; sec < 253402300800; sec += 86400 * 97 + 12345) {
                char text[CLOCK_RFC3339_SIZE], day[CLOCK_DAY_SIZE], expected[64];
                struct tm tm;
                time_t t = sec;
                gmtime_r(&t, &tm);
                snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
                clock_format_rfc3339((struct moment){ sec, 0 }, text);
                assert_string_equal(text, expected);
                assert_parses(text, sec, 0);
                clock_format_day((struct moment){ sec, 0 }, day);
                expected[10] = '\0';
                assert_string_equal(day, expected);
        }
}

static void clocks_run(void **state)
{
        (void)state;
        uint64_t before = clock_monotonic_ns();
        struct moment now = clock_now();
        assert_true(clock_monotonic_ns() >= before);
        assert_true(now.nsec < 1000000000);
        assert_true(now.sec > 1577836800); /* 2020 */
}

static void test_fixed_digits_sort_as_time(void **state)
{
        char text[CLOCK_RFC3339_SIZE], later[CLOCK_RFC3339_SIZE];
        (void)state;
        struct moment at = { .sec = 1779179400, .nsec = 7999999 };
        clock_format_fixed(at, 3, text);
        assert_string_equal(text, "2026-05-19T08:30:00.007Z"); /* cut, not rounded */
        clock_format_fixed(at, 9, text);
        assert_string_equal(text, "2026-05-19T08:30:00.007999999Z");
        clock_format_fixed(at, 1, text);
        assert_string_equal(text, "2026-05-19T08:30:00.0Z");
        at.nsec = 0;
        clock_format_fixed(at, 9, text);
        assert_string_equal(text, "2026-05-19T08:30:00.000000000Z");
        at.nsec = 1;
        clock_format_fixed(at, 9, later);
        assert_true(strcmp(text, later) < 0);
        at.nsec = 999999999;
        clock_format_fixed(at, 3, text);
        assert_string_equal(text, "2026-05-19T08:30:00.999Z");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parses),     cmocka_unit_test(refuses),
                cmocka_unit_test(formats),    cmocka_unit_test(agrees_with_the_c_library),
                cmocka_unit_test(clocks_run), cmocka_unit_test(test_fixed_digits_sort_as_time),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
