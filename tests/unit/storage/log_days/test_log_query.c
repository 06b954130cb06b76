/* Which lines, and which files are read for them. */
#include "planted_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/log_days/log_query.h"

static char seen[65536];
static unsigned stop_at, called, broken;
static struct log_query_counts counts;

/* "<project>/<install_id> <body>;" */
static int see(_unused_ void *userdata, const struct source *source, const struct log_line *line)
{
        const char *body = memmem(line->text, line->len, "\"body\":\"", 8);
        const char *end = body ? memchr(body + 8, '"', line->len) : NULL;
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof(seen) - used, "%s/%s %.*s;", source->project, source->install_id,
                 body ? (int)(end - body - 8) : (int)line->len, body ? body + 8 : line->text);
        return ++called == stop_at ? 42 : 0;
}

static void see_broken(_unused_ void *userdata, const struct source *source, const char *day, int error)
{
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof(seen) - used, "[%s %s %d]", source->install_id, day, error);
        broken++;
}

static int run(const struct log_filter *f)
{
        seen[0] = '\0';
        called = broken = 0;
        return log_query(storage_fd, f, see, see_broken, NULL, &counts);
}

#define EXPECT(expected, ...)                                                                                          \
        do {                                                                                                           \
                assert_int_equal(run(&(struct log_filter){ __VA_ARGS__ }), 0);                                         \
                assert_string_equal(seen, expected);                                                                   \
        } while (0)

static int setup(void **state)
{
        if (storage_setup(state) != 0)
                return -1;
        stop_at = 0;
        planted_add("acme/i", DAY_1, SECOND_1 + 10, 9, "one");
        planted_add("acme/i", DAY_1, SECOND_1 + 20, 17, "two");
        planted_add("acme/i", DAY_2, SECOND_1 + 86400, 9, "three");
        planted_add("acme/j", DAY_1, SECOND_1 + 15, 5, "four");
        planted_add("other/i", DAY_2, SECOND_1 + 86400 + 5, 13, "Five");
        return 0;
}

static void test_by_day_and_source(_unused_ void **state)
{
        EXPECT("acme/i one;acme/i two;acme/j four;acme/i three;other/i Five;", 0);
        assert_int_equal(counts.files, 4);
        assert_int_equal(counts.lines, 5);
        EXPECT("acme/i one;acme/i two;acme/j four;acme/i three;", .project = "acme");
        EXPECT("acme/i one;acme/i two;acme/i three;other/i Five;", .install_id = "i");
        EXPECT("other/i Five;", .project = "other", .install_id = "i");
        assert_int_equal(counts.files, 1);
        EXPECT("", .project = "nobody");
        assert_int_equal(counts.files, 0);
        planted_compress("acme/i", DAY_1, true);
        planted_compress("acme/j", DAY_1, false);
        EXPECT("acme/i one;acme/i two;acme/j four;acme/i three;other/i Five;", 0);
        assert_int_equal(counts.files, 4);
}

static void test_paths_cannot_leave(_unused_ void **state)
{
        planted_add("../elsewhere/x", DAY_1, SECOND_1, 9, "secret");
        EXPECT("", .project = "..");
        EXPECT("", .project = "../elsewhere");
        EXPECT("", .project = "acme", .install_id = "../../../elsewhere/x");
        EXPECT("", .project = "");
        assert_int_equal(counts.files, 0);
}

static void test_time(_unused_ void **state)
{
        const struct moment at_15 = { .sec = SECOND_1 + 15 }, at_20 = { .sec = SECOND_1 + 20 };
        const struct moment later = { .sec = SECOND_1 + 3 * 86400 }, earlier = { .sec = SECOND_1 - 3 * 86400 };
        EXPECT("acme/i two;acme/j four;acme/i three;other/i Five;", .since = &at_15);
        EXPECT("acme/i one;acme/j four;", .until = &at_20);
        EXPECT("acme/j four;", .since = &at_15, .until = &at_20);
        EXPECT("", .since = &later);
        assert_int_equal(counts.files, 0); /* by their names */
        EXPECT("", .until = &earlier);
        assert_int_equal(counts.files, 0);
}

/* A line is in the file of the day it was received. */
static void test_time_and_the_day_before_and_behind(_unused_ void **state)
{
        const struct moment from = { .sec = SECOND_1 + 86400 }, to = { .sec = SECOND_1 + 86400 + 3 };
        planted_add("acme/late", "2026-05-20", SECOND_1 + 86400 + 1, 9, "late");
        planted_add("acme/fast", "2026-05-18", SECOND_1 + 86400 + 2, 9, "fast");
        planted_add("acme/very-late", "2026-05-21", SECOND_1 + 86400 + 1, 9, "very late");
        EXPECT("acme/fast fast;acme/i three;acme/late late;", .since = &from, .until = &to);
}

static void test_severity_and_text(_unused_ void **state)
{
        EXPECT("acme/i two;other/i Five;", .severity = 13);
        EXPECT("acme/i two;", .severity = 17);
        EXPECT("acme/i two;acme/i three;", .text = "\"body\":\"t", .text_len = 9);
        EXPECT("", .text = "five", .text_len = 4);
        EXPECT("other/i Five;", .text = "five", .text_len = 4, .ignore_case = true);
        EXPECT("acme/j four;other/i Five;", .text = "\"body\":\"F", .text_len = 9, .ignore_case = true);
        EXPECT("acme/i one;acme/i two;acme/j four;acme/i three;", .text = "five", .text_len = 4, .ignore_case = true,
               .invert = true);
}

static void test_text_as_it_stands(_unused_ void **state)
{
        _cleanup_(freep) char *quoted = log_filter_text("a \"b\" \\ \t ü");
        assert_string_equal(quoted, "a \\\"b\\\" \\\\ \\t ü");
        _cleanup_(freep) char *empty = log_filter_text("");
        assert_string_equal(empty, "");
}

/* Other programs' lines, and what is no line of a log at all. */
static void test_strange_lines(_unused_ void **state)
{
        const struct moment from = { .sec = SECOND_1 }, to = { .sec = SECOND_1 + 86400 };
        planted_append("b/x", DAY_1,
                       "{\"body\":\"turned\",\"severity_number\":21,\"time_unix_nano\":1779062401000000000}\n"
                       "not json\n"
                       "[1]\n"
                       "\n"
                       "{\"time_unix_nano\":0,\"observed_time_unix_nano\":1779062402000000000,\"severity_number\":17,"
                       "\"body\":\"observed\"}\n"
                       "{\"time_unix_nano\":99999999999999999999999,\"observed_time_unix_nano\":1,"
                       "\"severity_number\":1,\"body\":\"huge\"}\n"
                       "{\"time_unix_nano\":1779062403000000000,\"observed_time_unix_nano\":1,"
                       "\"severity_number\":-3,\"body\":\"minus\"}\n");
        EXPECT("b/x turned;b/x not json;b/x [1];b/x ;b/x observed;b/x huge;b/x minus;", .project = "b");
        EXPECT("b/x turned;b/x observed;", .project = "b", .severity = 17);
        EXPECT("b/x turned;b/x observed;b/x minus;", .project = "b", .since = &from, .until = &to);
}

static void test_strange_names(_unused_ void **state)
{
        storage_put("logs/acme/i/" DAY_1 ".ndjson.torn", "torn\n");
        storage_put("logs/acme/i/.new-" DAY_1 ".ndjson.zst", "new\n");
        storage_put("logs/acme/i/2026-05-1x.ndjson", "x\n");
        storage_put("logs/acme/i/" DAY_1, "bare\n");
        storage_put("logs/file", "file\n");
        storage_put("logs/acme/file", "file\n");
        storage_make_dirs("logs/acme/.hidden");
        storage_put("logs/acme/.hidden/" DAY_1 ".ndjson", "hidden\n");
        assert_int_equal(symlinkat("i", storage_fd, "logs/acme/link"), 0);
        EXPECT("acme/i one;acme/i two;acme/j four;acme/i three;other/i Five;", 0);
        assert_int_equal(broken, 0);
}

static void test_a_broken_file_is_told_and_passed_over(_unused_ void **state)
{
        storage_put("logs/acme/j/" DAY_2 ".ndjson.zst", "garbage");
        EXPECT("acme/i one;acme/i two;acme/j four;acme/i three;[j " DAY_2 " -74]other/i Five;", 0);
        assert_int_equal(counts.broken, 1);
        assert_int_equal(EBADMSG, 74);
}

static void test_stops_when_told(_unused_ void **state)
{
        stop_at = 2;
        assert_int_equal(run(&(struct log_filter){ 0 }), 42);
        assert_string_equal(seen, "acme/i one;acme/i two;");
        assert_int_equal(counts.broken, 0);
}

static void test_no_logs_at_all(_unused_ void **state)
{
        EXPECT("", 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_by_day_and_source, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_paths_cannot_leave, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_time, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_time_and_the_day_before_and_behind, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_severity_and_text, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_text_as_it_stands, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_strange_lines, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_strange_names, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_a_broken_file_is_told_and_passed_over, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_stops_when_told, setup, storage_teardown),
                cmocka_unit_test_setup_teardown(test_no_logs_at_all, storage_setup, storage_teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
