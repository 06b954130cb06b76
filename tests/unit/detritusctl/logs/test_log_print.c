/* Log lines, for people and as JSON; torn ones and those that are not ours too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "captured.h"
#include "detritusctl/logs/log_odd.h"
#include "detritusctl/logs/log_print.h"

static const struct source source = { .project = "acme", .install_id = "8f14e45f-ceea-4e6a-9f2b-2f1c0dd7b7c1" };

static void expect(const struct log_print *how, const char *text, size_t len, const char *expected)
{
        struct log_print p = *how;
        const struct log_line line = { .text = text, .len = len, .at = { .sec = 1779179400 }, .severity = 17 };
        captured_begin(STDOUT_FILENO);
        int r = log_print(&p, &source, &line);
        assert_string_equal(captured_end(), expected);
        assert_int_equal(r, 0);
        log_print_done(&p);
}

#define EXPECT(how, literal, expected) expect((how), literal, sizeof(literal) - 1, (expected))

static void test_for_people(_unused_ void **state)
{
        const struct log_print plain = { 0 }, with = { .with_source = true, .indent = "  " };
        EXPECT(&plain, "{\"severity_text\":\"Error\",\"body\":\"down\\u001b[31m\",\"attributes\":{\"n\":1}}",
               "2026-05-19T08:30:00.000Z Error down?[31m {\"n\":1}\n");
        EXPECT(&with, "{\"body\":\"one\\ntwo\",\"attributes\":{}}",
               "  2026-05-19T08:30:00.000Z ERROR acme/8f14e45f-ceea-4e6a-9f2b-2f1c0dd7b7c1 one\n        two\n");
        EXPECT(&plain, "{\"body\":{\"a\":[1,\"x/y\"]}}", "2026-05-19T08:30:00.000Z ERROR {\"a\":[1,\"x/y\"]}\n");
        EXPECT(&plain, "{\"body\":\"torn", "{\"body\":\"torn\n");
        EXPECT(&plain, "a\0hole", "a?hole\n");
}

/* Lines like the daemon's are not parsed as a whole. With a blank in front they are, and look the same. */
static void test_short_cut(_unused_ void **state)
{
        static const char *const bodies[] = { "\"x\"",        "\"\"",        "null",      "1",
                                              "1.50",         "{\"a\":[1]}", "[]",        "\"a\\\"b\\\\\"",
                                              "\"\\u0000x\"", "\"\\u202e\"", "\"a\\nb\"", "\"\xc3\xa9\"" };
        static const char *const attributes[] = {
                "{}", "{\"a\":\"b\"}", "{\"a\":\"\\\"\"}",     "{\"a\":{\"b\":[1,null]}}",
                "[]", "null",          "{\"n\":1.0,\"m\":-5}", "{\"\\\"\":\"/\"}"
        };
        static const char *const rests[] = { ",\"dropped_attributes_count\":0,\"flags\":0}", "}",
                                             ",\"platform\":\"x\"}" };
        const struct log_print plain = { 0 };
        for (size_t b = 0; b < ARRAY_LEN(bodies); b++) {
                for (size_t a = 0; a < ARRAY_LEN(attributes); a++) {
                        for (size_t r = 0; r < ARRAY_LEN(rests); r++) {
                                char text[512], shown[512];
                                struct log_print p = plain;
                                int n = snprintf(text, sizeof(text),
                                                 "{ \"severity_text\":\"W\",\"body\":%s,\"attributes\":%s%s", bodies[b],
                                                 attributes[a], rests[r]);
                                const struct log_line line = { text, (size_t)n, { .sec = 1779179400 }, 17 };
                                captured_begin(STDOUT_FILENO);
                                assert_int_equal(log_print(&p, &source, &line), 0);
                                snprintf(shown, sizeof(shown), "%s", captured_end());
                                assert_null(strstr(shown, "severity_text"));
                                memmove(text + 1, text + 2, (size_t)n - 1);
                                expect(&plain, text, (size_t)n - 1, shown);
                                log_print_done(&p);
                        }
                }
        }
}

#define SOURCE "{\"project\":\"acme\",\"install_id\":\"8f14e45f-ceea-4e6a-9f2b-2f1c0dd7b7c1\""

static void test_as_json(_unused_ void **state)
{
        const struct log_print json = { .json = true };
        EXPECT(&json, "{\"body\":\"\xc2\x9b\"}", SOURCE ",\"body\":\"\\u009b\"}\n");
        EXPECT(&json, "{}", SOURCE "}\n");
        EXPECT(&json, "{\"body\":\"torn", SOURCE ",\"text\":\"{\\\"body\\\":\\\"torn\"}\n");
        EXPECT(&json, "[1]", SOURCE ",\"text\":\"[1]\"}\n");
        EXPECT(&json, "{} trailing", SOURCE ",\"text\":\"{} trailing\"}\n");
}

static void test_a_damaged_file(_unused_ void **state)
{
        captured_begin(STDERR_FILENO);
        log_odd_say_broken(AT_FDCWD, &source, "2026-05-19", -EBADMSG);
        assert_non_null(strstr(captured_end(), "2026-05-19.ndjson: the compressed file is damaged"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_for_people),
                cmocka_unit_test(test_short_cut),
                cmocka_unit_test(test_as_json),
                cmocka_unit_test(test_a_damaged_file),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
