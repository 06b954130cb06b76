/* The newest lines and those that come, across midnight, across compression, from new sources. */
#include "planted_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/log_days/log_follow.h"
#include "util/buf.h"

static char seen[65536];
static unsigned stop_at, called;
static struct log_filter any;
static struct log_follow *w;
static struct moment now;

static int see(_unused_ void *userdata, const struct source *source, const struct log_line *line)
{
        const char *body = memmem(line->text, line->len, "\"body\":\"", 8);
        const char *end = body ? memchr(body + 8, '"', line->len) : NULL;
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof(seen) - used, "%s %.*s;", source->install_id, (int)(end - body - 8), body + 8);
        return ++called == stop_at ? 42 : 0;
}

static void see_broken(_unused_ void *userdata, const struct source *source, const char *day, int error)
{
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof(seen) - used, "[%s %s %d]", source->install_id, day, error);
}

static int setup(void **state)
{
        any = (struct log_filter){ 0 };
        stop_at = called = 0;
        now = (struct moment){ .sec = SECOND_1 + 100 };
        return storage_setup(state);
}

static int teardown(void **state)
{
        w = log_follow_free(w);
        return storage_teardown(state);
}

static void expect_last(const struct log_filter *f, size_t n, const char *expected)
{
        w = log_follow_free(w);
        assert_int_equal(log_follow_new(storage_fd, f, &w), 0);
        seen[0] = '\0';
        assert_int_equal(log_follow_last(w, n, see, see_broken, NULL), 0);
        assert_string_equal(seen, expected);
}

static void expect_more(const char *expected)
{
        seen[0] = '\0';
        assert_int_equal(log_follow_more(w, now, see, see_broken, NULL), 0);
        assert_string_equal(seen, expected);
        seen[0] = '\0';
        assert_int_equal(log_follow_more(w, now, see, see_broken, NULL), 0);
        assert_string_equal(seen, ""); /* none twice */
}

static void test_last(_unused_ void **state)
{
        expect_last(&any, 10, "");
        for (int i = 0; i < 5; i++) {
                char body[8];
                snprintf(body, sizeof(body), "%d", i);
                planted_add("acme/i", i < 3 ? DAY_1 : DAY_2, SECOND_1 + i, i == 1 ? 17 : 9, body);
        }
        expect_last(&any, 0, "");
        expect_last(&any, 1, "i 4;");
        expect_last(&any, 2, "i 3;i 4;");
        expect_last(&any, 4, "i 1;i 2;i 3;i 4;");
        expect_last(&any, 99, "i 0;i 1;i 2;i 3;i 4;");
        expect_last(&(struct log_filter){ .severity = 17 }, 2, "i 1;");
        planted_compress("acme/i", DAY_1, true);
        expect_last(&any, 4, "i 1;i 2;i 3;i 4;");
}

static void test_last_of_several(_unused_ void **state)
{
        planted_add("acme/a", DAY_1, SECOND_1 + 1, 9, "1");
        planted_add("acme/b", DAY_1, SECOND_1 + 2, 9, "2");
        planted_add("acme/a", DAY_1, SECOND_1 + 3, 9, "3");
        planted_add("acme/c", DAY_2, SECOND_1 + 0, 9, "0");
        planted_add("acme/b", DAY_1, SECOND_1 + 4, 9, "4");
        expect_last(&any, 3, "b 2;a 3;b 4;");
        expect_last(&any, 1, "b 4;");
        expect_last(&any, 5, "c 0;a 1;b 2;a 3;b 4;");
        expect_last(&(struct log_filter){ .install_id = "a" }, 1, "a 3;");
}

/* Far more than a window, the few that fit at its beginning. */
static void test_last_of_a_long_day(_unused_ void **state)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        char expected[64];
        for (int i = 0; i < 30000; i++) {
                char body[16];
                snprintf(body, sizeof(body), "%d", i);
                _cleanup_(freep) char *line = planted_text(SECOND_1 + i, i == 7 || i == 20000 ? 17 : 9, body);
                assert_int_equal(buf_append_str(&text, line), 0);
        }
        assert_int_equal(buf_append_char(&text, '\0'), 0);
        planted_append("acme/i", DAY_1, (const char *)text.data);
        for (int packed = 0; packed < 2; packed++) {
                snprintf(expected, sizeof(expected), "i %d;i %d;", 29998, 29999);
                expect_last(&any, 2, expected);
                expect_last(&(struct log_filter){ .severity = 17 }, 1, "i 20000;");
                expect_last(&(struct log_filter){ .severity = 17 }, 2, "i 7;i 20000;");
                expect_last(&(struct log_filter){ .severity = 17 }, 3, "i 7;i 20000;");
                if (packed == 0)
                        planted_compress("acme/i", DAY_1, true);
        }
}

/* The newest day is a link, which is not followed: the day before it was shown, and does not come again. */
static void test_a_newest_day_that_cannot_be_read(_unused_ void **state)
{
        planted_add("acme/i", DAY_1, SECOND_1, 9, "a");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "b");
        assert_int_equal(symlinkat("/dev/null", storage_fd, "logs/acme/i/" DAY_2 ".ndjson"), 0);
        expect_last(&any, 1, "i b;");
        expect_more("");
        assert_int_equal(unlinkat(storage_fd, "logs/acme/i/" DAY_2 ".ndjson", 0), 0);
        planted_add("acme/i", DAY_2, SECOND_1, 9, "c");
        expect_more("i c;");
}

static void test_more(_unused_ void **state)
{
        planted_add("acme/i", DAY_1, SECOND_1, 9, "old");
        expect_last(&any, 0, "");
        expect_more("");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "a");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "b");
        expect_more("i a;i b;");
        _cleanup_(freep) char *line = planted_text(SECOND_1, 9, "halves");
        char half[32];
        snprintf(half, sizeof(half), "%s", line);
        planted_append("acme/i", DAY_1, half);
        expect_more("");
        planted_append("acme/i", DAY_1, line + strlen(half));
        expect_more("i halves;");
}

static void test_filter(_unused_ void **state)
{
        const struct log_filter f = { .severity = 17, .project = "acme" };
        expect_last(&f, 5, "");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "no");
        planted_add("other/i", DAY_1, SECOND_1, 17, "no");
        planted_add("acme/i", DAY_1, SECOND_1, 17, "yes");
        expect_more("i yes;");
}

static void test_across_midnight(_unused_ void **state)
{
        planted_add("acme/i", DAY_1, SECOND_1, 9, "old");
        expect_last(&any, 1, "i old;");
        now.sec = SECOND_1 + 86399;
        planted_add("acme/i", DAY_1, SECOND_1, 9, "23:59");
        expect_more("i 23:59;");
        now.sec = SECOND_1 + 86400;
        expect_more("");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "the last");
        planted_add("acme/i", DAY_2, SECOND_1, 9, "00:00");
        expect_more("i the last;i 00:00;");
        planted_add("acme/i", DAY_2, SECOND_1, 9, "00:01");
        expect_more("i 00:01;");
        now.sec = SECOND_1 + 4 * 86400; /* asleep for days */
        planted_add("acme/i", "2026-05-20", SECOND_1, 9, "20th");
        planted_add("acme/i", "2026-05-22", SECOND_1, 9, "22nd");
        expect_more("i 20th;i 22nd;");
}

static void test_across_compression(_unused_ void **state)
{
        planted_add("acme/i", DAY_1, SECOND_1, 9, "old");
        expect_last(&any, 1, "i old;");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "unread");
        planted_compress("acme/i", DAY_1, false);
        expect_more("i unread;");
        planted_add("acme/i", DAY_2, SECOND_1, 9, "new");
        now.sec = SECOND_1 + 86400 + 5;
        expect_more("i new;");
        planted_add("acme/i", DAY_2, SECOND_1, 9, "unread too");
        planted_compress("acme/i", DAY_2, true);
        expect_more("i unread too;");
        assert_int_equal(unlinkat(storage_fd, "logs/acme/i/" DAY_2 ".ndjson.zst", 0), 0);
        expect_more("");
}

static void test_new_sources(_unused_ void **state)
{
        expect_last(&any, 1, "");
        expect_more("");
        planted_add("acme/new", DAY_1, SECOND_1, 9, "first");
        expect_more(""); /* not looked for yet */
        now.sec += LOG_FOLLOW_SCAN_SECS;
        expect_more("new first;");
        planted_add("acme/before", DAY_1, SECOND_1, 9, "x");
        planted_add("acme/new", DAY_1, SECOND_1, 9, "y");
        now.sec += LOG_FOLLOW_SCAN_SECS;
        expect_more("before x;new y;");
        planted_add("acme/new", DAY_1, SECOND_1, 9, "z");
        expect_more("new z;");
}

static void test_a_file_that_gets_shorter(_unused_ void **state)
{
        planted_add("acme/i", DAY_1, SECOND_1, 9, "old");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "gone");
        expect_last(&any, 1, "i gone;");
        storage_put("logs/acme/i/" DAY_1 ".ndjson", "");
        expect_more("[i " DAY_1 " -29]");
        assert_int_equal(ESPIPE, 29);
        planted_add("acme/i", DAY_1, SECOND_1, 9, "new");
        expect_more("i new;");
}

static void test_stops_when_told(_unused_ void **state)
{
        expect_last(&any, 1, "");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "a");
        planted_add("acme/i", DAY_1, SECOND_1, 9, "b");
        stop_at = 1;
        seen[0] = '\0';
        now.sec += LOG_FOLLOW_SCAN_SECS;
        assert_int_equal(log_follow_more(w, now, see, see_broken, NULL), 42);
        assert_string_equal(seen, "i a;");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_last, setup, teardown),
                cmocka_unit_test_setup_teardown(test_last_of_several, setup, teardown),
                cmocka_unit_test_setup_teardown(test_last_of_a_long_day, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_newest_day_that_cannot_be_read, setup, teardown),
                cmocka_unit_test_setup_teardown(test_more, setup, teardown),
                cmocka_unit_test_setup_teardown(test_filter, setup, teardown),
                cmocka_unit_test_setup_teardown(test_across_midnight, setup, teardown),
                cmocka_unit_test_setup_teardown(test_across_compression, setup, teardown),
                cmocka_unit_test_setup_teardown(test_new_sources, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_file_that_gets_shorter, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stops_when_told, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
