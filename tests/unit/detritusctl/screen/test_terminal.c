/* What detritusctl lets through to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "detritusctl/screen/terminal.h"

static const char *text_of(struct buf *b)
{
        assert_int_equal(buf_append_char(b, '\0'), 0);
        return (const char *)b->data;
}

static void expect_line(const char *text, size_t columns, const char *expected)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        assert_int_equal(buf_append_str(&out, "> "), 0);
        assert_int_equal(terminal_line(&out, text, columns), 0);
        assert_string_equal(text_of(&out) + 2, expected);
}

static void test_controls_are_shown_as_question_marks(_unused_ void **state)
{
        expect_line("a\x1b[31mb\x07\x7f", 0, "a?[31mb??");
        expect_line("\xc2\x9b"
                    "31m",
                    0, "?31m"); /* C1 CSI, U+009B */
        expect_line("\xc2\xa0"
                    "x",
                    0,
                    "\xc2\xa0"
                    "x"); /* no-break space is fine */
        expect_line("a\xe2\x80\xae"
                    "b",
                    0, "a?b"); /* U+202E, right to left */
        expect_line("\xe2\x81\xa6"
                    "b\xe2\x81\xa9",
                    0, "?b?");               /* isolates */
        expect_line("\xe2\x80\xa8", 0, "?"); /* line separator */
        expect_line("\xf0\x9f\x92\xa5 ok", 0, "\xf0\x9f\x92\xa5 ok");
        expect_line("", 0, "");
}

static void test_only_the_first_line(_unused_ void **state)
{
        expect_line("one\ntwo", 0, "one");
        expect_line("one\r\ntwo", 0, "one");
        expect_line("\ntwo", 0, "");
}

static void test_bad_utf8_is_no_harm(_unused_ void **state)
{
        expect_line("a\xff"
                    "b",
                    0, "a?b");
        expect_line("\xc2", 0, "?");
        expect_line("\xc2\xc2\x9b", 0, "??");
        expect_line("\xe2\x80", 0, "??");
        expect_line("\xc0\x9b[", 0, "??[");
        expect_line("\xed\xa0\x80", 0, "???");
        expect_line("\xe0\x81\x81", 0, "???");
        expect_line("\xf4\x90\x80\x80", 0, "????");
        expect_line("\xf4\x8f\xbf\xbf", 0, "\xf4\x8f\xbf\xbf");
}

static void test_cut_to_width(_unused_ void **state)
{
        expect_line("abcdef", 6, "abcdef");
        expect_line("abcdefg", 6, "abc...");
        expect_line("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4", 4, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4");
        expect_line("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6", 4, "\xc3\xa4...");
        expect_line("abcd", 3, "...");
        expect_line("abcd", 2, "..");
        expect_line("abcd", 1, ".");
        assert_int_equal(terminal_width("\xc3\xa4"
                                        "b"),
                         2);
}

static void test_text_keeps_lines_and_tabs(_unused_ void **state)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        assert_int_equal(terminal_text(&out, "one\r\n\ttwo\x1b\n\nthree\n", "  "), 0);
        assert_string_equal(text_of(&out), "  one\n  \ttwo?\n  \n  three\n");
}

static void test_json_is_escaped_not_changed(_unused_ void **state)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        assert_int_equal(terminal_json(&out, "{\"a\":\"\x7f\xc2\x9b\xe2\x80\xae\xc3\xa4\\u001b\"}"), 0);
        assert_string_equal(text_of(&out), "{\"a\":\"\\u007f\\u009b\\u202e\xc3\xa4\\u001b\"}");
        buf_clear(&out);
        assert_int_equal(terminal_json(&out, "{\"a\"\t:\r\n1}"), 0);
        assert_string_equal(text_of(&out), "{\"a\" : \n1}");
        buf_clear(&out);
        assert_int_equal(terminal_json_string(&out, "a\0\t\"\\\xc2\x9b\xff\xc3\xa4\xc3\n", 11), 0);
        assert_string_equal(text_of(&out), "\"a\\u0000\\u0009\\\"\\\\\\u009b?\xc3\xa4?\"");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_controls_are_shown_as_question_marks),
                cmocka_unit_test(test_only_the_first_line),
                cmocka_unit_test(test_bad_utf8_is_no_harm),
                cmocka_unit_test(test_cut_to_width),
                cmocka_unit_test(test_text_keeps_lines_and_tabs),
                cmocka_unit_test(test_json_is_escaped_not_changed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
