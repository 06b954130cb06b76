/* Strings against a byte-by-byte model, doubles against strtod and serde_json's layout. */

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "protocol/json/json_text.h"

static void assert_double(double v, const char *expected)
{
        char text[JSON_DOUBLE_SIZE + 1];
        *json_put_double((uint8_t *)text, v) = '\0';
        assert_string_equal(text, expected);
}

static void doubles_look_like_serde(void **state)
{
        (void)state;
        assert_double(0.0, "0.0");
        assert_double(-0.0, "-0.0");
        assert_double(1.0, "1.0");
        assert_double(-1.5, "-1.5");
        assert_double(0.1, "0.1");
        assert_double(12.62, "12.62");
        assert_double(123456.789, "123456.789");
        assert_double(1e15, "1000000000000000.0");
        assert_double(1e16, "1e16");
        assert_double(1e300, "1e300");
        assert_double(1.5e300, "1.5e300");
        assert_double(9007199254740993.0, "9007199254740992.0");
        assert_double(123456789012345680.0, "1.2345678901234568e17");
        assert_double(0.3 - 0.2, "0.09999999999999998");
        assert_double(0.1 + 0.2, "0.30000000000000004");
        assert_double(0.00001, "0.00001");
        assert_double(0.000001, "1e-6");
        assert_double(1.25e-7, "1.25e-7");
        assert_double(-2.5e-10, "-2.5e-10");
        assert_double(1e-5 / 3, "3.3333333333333337e-6");
        assert_double(5e-324, "5e-324");
        assert_double(DBL_MAX, "1.7976931348623157e308");
        assert_double(DBL_MIN, "2.2250738585072014e-308");
        assert_double(NAN, "\"NaN\"");
        assert_double(INFINITY, "\"Infinity\"");
        assert_double(-INFINITY, "\"-Infinity\"");
}

static uint64_t next_random(uint64_t *x)
{
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        return *x;
}

static void assert_reads_back(double v)
{
        char text[JSON_DOUBLE_SIZE + 1];
        uint8_t *end = json_put_double((uint8_t *)text, v);
        assert_in_range(end - (uint8_t *)text, 3, JSON_DOUBLE_SIZE);
        *end = '\0';
        assert_true(strpbrk(text, ".e") != NULL); /* remains a float */
        assert_true(strtod(text, NULL) == v);
}

static void doubles_read_back(void **state)
{
        (void)state;
        uint64_t x = 88172645463325252u;
        for (int i = 0; i < 20000; i++) {
                uint64_t bits = next_random(&x);
                double v;
                memcpy(&v, &bits, sizeof(v));
                if (isfinite(v))
                        assert_reads_back(v);
                assert_reads_back((double)(bits >> 20) / 1000);
                assert_reads_back((double)(bits % 1000003) * 0.37);
        }
        for (int e = -1074; e < 1024; e++) {
                assert_reads_back(ldexp(1, e));
                assert_reads_back(nextafter(ldexp(1, e), 0) + 0.0);
        }
}

/* Skips itself where no locale with a decimal comma is installed. */
static void doubles_ignore_the_locale(void **state)
{
        (void)state;
        if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
                skip();
        assert_double(0.1 + 0.2, "0.30000000000000004");
        assert_double(1e-5 / 3, "3.3333333333333337e-6");
        setlocale(LC_NUMERIC, "C");
}

static void integers(void **state)
{
        (void)state;
        char text[JSON_U64_SIZE + 2], expected[JSON_U64_SIZE + 2];
        for (uint64_t v = 1; v < UINT64_MAX / 10; v *= 10) {
                for (uint64_t d = 0; d < 3; d++) {
                        *json_put_u64((uint8_t *)text, v - 1 + d) = '\0';
                        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)(v - 1 + d));
                        assert_string_equal(text, expected);
                }
        }
        *json_put_u64((uint8_t *)text, UINT64_MAX) = '\0';
        assert_string_equal(text, "18446744073709551615");
        *json_put_i64((uint8_t *)text, INT64_MIN) = '\0';
        assert_string_equal(text, "-9223372036854775808");
        *json_put_i64((uint8_t *)text, -1) = '\0';
        assert_string_equal(text, "-1");
}

static size_t model(char *to, const uint8_t *s, size_t n)
{
        char *p = to;
        *p++ = '"';
        for (size_t i = 0; i < n; i++) {
                const char *found = strchr("\bb\ff\nn\rr\tt\"\"\\\\", s[i]);
                if (s[i] && found)
                        p += sprintf(p, "\\%c", found[1]);
                else if (s[i] < 0x20)
                        p += sprintf(p, "\\u%04x", s[i]);
                else
                        *p++ = (char)s[i];
        }
        *p++ = '"';
        return (size_t)(p - to);
}

static void assert_string(const uint8_t *s, size_t n)
{
        struct buf out = { 0 };
        struct json_text j = { .buf = &out, .end_max = SIZE_MAX };
        char *expected = malloc(6 * n + 2);
        size_t len = model(expected, s, n);
        json_text_string(&j, s, n);
        assert_int_equal(j.error, 0);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, expected, len);
        free(expected);
        buf_done(&out);
}

/* Each byte at each place of strings of up to 20 bytes. strchr finds the first of a pair above, so none of the second
 * ones may be looked up: they are plain letters but for the quote and the backslash, which are their own. */
static void strings_escape_each_byte_anywhere(void **state)
{
        (void)state;
        uint8_t s[20];
        for (size_t n = 0; n <= sizeof(s); n++) {
                memset(s, 0xC3, sizeof(s));
                assert_string(s, n);
                for (size_t at = 0; at < n; at++) {
                        for (int c = 0; c < 256; c++) {
                                if (c >= 'a' && c <= 'z')
                                        continue;
                                memset(s, 'Z', sizeof(s));
                                s[at] = (uint8_t)c;
                                assert_string(s, n);
                                s[n - 1] = (uint8_t)c;
                                assert_string(s, n);
                        }
                }
        }
}

static void strings_across_chunks(void **state)
{
        (void)state;
        static const size_t sizes[] = { 4095, 4096, 4097, 8192, 10000 };
        static const uint8_t fills[] = { 'X', '\n', 0, 0x7F, '"' };
        static uint8_t s[10000];
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                for (size_t f = 0; f < sizeof(fills); f++) {
                        memset(s, fills[f], sizeof(s));
                        assert_string(s, sizes[i]);
                }
        }
}

static void errors_stick(void **state)
{
        (void)state;
        struct buf out = { 0 };
        struct json_text j = { .buf = &out, .end_max = 10 };
        json_text_string(&j, "12345678", 8);
        json_text_literal(&j, "!");
        assert_int_equal(j.error, 0);
        json_text_literal(&j, "!");
        assert_int_equal(j.error, JSON_TEXT_TOO_LONG);
        size_t len = out.len;
        json_text_i64(&j, 1);
        json_text_double(&j, 1.5);
        json_text_hex(&j, "x", 1);
        json_text_string(&j, "", 0);
        assert_int_equal(out.len, len);
        j = (struct json_text){ .buf = &out, .end_max = len + 3 };
        json_text_string(&j, "1234", 4); /* seen before it is written */
        assert_int_equal(j.error, JSON_TEXT_TOO_LONG);
        assert_int_equal(out.len, len);
        buf_done(&out);
}

static void hex(void **state)
{
        (void)state;
        struct buf out = { 0 };
        struct json_text j = { .buf = &out, .end_max = SIZE_MAX };
        static uint8_t bytes[9000];
        memset(bytes, 0x5A, sizeof(bytes));
        json_text_hex(&j, bytes, sizeof(bytes));
        assert_int_equal(out.len, 2 * sizeof(bytes) + 2);
        assert_memory_equal(out.data + out.len - 5, "5a5a\"", 5);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(doubles_look_like_serde),
                cmocka_unit_test(doubles_read_back),
                cmocka_unit_test(doubles_ignore_the_locale),
                cmocka_unit_test(integers),
                cmocka_unit_test(strings_escape_each_byte_anywhere),
                cmocka_unit_test(strings_across_chunks),
                cmocka_unit_test(errors_stick),
                cmocka_unit_test(hex),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
