/* UTF-8 validity against the definition: every code point, every pair of first bytes, at every place of a word. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/text/utf8.h"

/* A generic encoder that does not know what is allowed. */
static size_t encode(uint32_t c, size_t n, uint8_t *to)
{
        static const uint8_t leads[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
        if (n == 1) {
                to[0] = (uint8_t)c;
                return 1;
        }
        for (size_t i = n; i-- > 1; c >>= 6)
                to[i] = 0x80 | (c & 0x3F);
        to[0] = (uint8_t)(leads[n] | c);
        return n;
}

static size_t shortest(uint32_t c)
{
        return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static void every_code_point(void **state)
{
        (void)state;
        for (uint32_t c = 0; c < 0x200000; c++) {
                for (size_t n = shortest(c); n <= 4; n++) {
                        uint8_t bytes[4];
                        bool good = n == shortest(c) && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
                        if (utf8_valid(bytes, encode(c, n, bytes)) != good)
                                fail_msg("U+%04X in %zu bytes", (unsigned)c, n);
                }
        }
}

/* Unicode 15, tables 3-8 to 3-11: how many U+FFFD stand for what is not UTF-8. */
static void maximal_parts(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                size_t good, bad;
        } cases[] = {
                { "abc", 3, 0 },          { "ab\xff", 2, 1 },           { "\xc0\xaf", 0, 1 },
                { "\xe0\x80\xbf", 0, 1 }, { "\xed\xa0\x80", 0, 1 },     { "\xf4\x91\x92\x93", 0, 1 },
                { "\xe1\x80\xe2", 0, 2 }, { "\xf0\x91\x92\xf1", 0, 3 }, { "\xf0\x9f", 0, 2 },
                { "\xc3\xa9\xc3", 2, 1 }, { "12345678\x80", 8, 1 },     { "", 0, 0 },
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                size_t bad = 99;
                assert_int_equal(utf8_valid_part(cases[i].text, strlen(cases[i].text), &bad), cases[i].good);
                assert_int_equal(bad, cases[i].bad);
        }
}

static void cut_sequences(void **state)
{
        (void)state;
        static const char *const whole[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x80" };
        for (size_t i = 0; i < 3; i++) {
                for (size_t n = 1; n <= strlen(whole[i]); n++) {
                        uint8_t *exact = malloc(n); /* so that reading past it is seen */
                        memcpy(exact, whole[i], n);
                        assert_int_equal(utf8_valid(exact, n), n == strlen(whole[i]));
                        free(exact);
                }
        }
        assert_true(utf8_valid("", 0));
        assert_true(utf8_valid(NULL, 0));
}

static void anywhere_in_longer_text(void **state)
{
        (void)state;
        uint8_t text[40];
        for (size_t len = 1; len <= sizeof(text); len++) {
                for (size_t at = 0; at < len; at++) {
                        memset(text, 'a', sizeof(text));
                        text[at] = 0x80;
                        assert_false(utf8_valid(text, len));
                        text[at] = 0x00;
                        assert_true(utf8_valid(text, len));
                        memset(text, 'a', sizeof(text));
                        text[at] = 0xC3;
                        assert_false(utf8_valid(text, len));
                        if (at + 1 < sizeof(text)) {
                                text[at + 1] = 0xA9;
                                assert_int_equal(utf8_valid(text, len), at + 1 < len);
                        }
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_code_point),
                cmocka_unit_test(maximal_parts),
                cmocka_unit_test(cut_sequences),
                cmocka_unit_test(anywhere_in_longer_text),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
