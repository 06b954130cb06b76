#include "http/http1_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "util/cleanup.h"

#define MAX 256

/* Feeds the head in two pieces, cut at every byte; the outcome must not depend on the cut. */
static int check_cut(const char *head, size_t len, size_t cut, size_t *ret_end, const char **ret_reason)
{
        size_t checked = 0;
        int status = http1_head_check((const uint8_t *)head, cut, MAX, &checked, ret_end, ret_reason);
        if (status != 0 || *ret_end > 0)
                return status;
        return http1_head_check((const uint8_t *)head, len, MAX, &checked, ret_end, ret_reason);
}

static void good_heads(void **state)
{
        static const char *const heads[] = {
                "GET / HTTP/1.1\r\n\r\n",
                "POST /v1/crashes?x=1 HTTP/1.1\r\nhost: x\r\nX-A:\r\nx_b: \t y \r\n\r\n",
                "GET /\xc3\xa9 HTTP/1.0\r\nhost: \xff\r\n\r\n",
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
                size_t len = strlen(heads[i]);
                for (size_t cut = 0; cut <= len; cut++) {
                        const char *reason = NULL;
                        size_t end = 0;
                        assert_int_equal(check_cut(heads[i], len, cut, &end, &reason), 0);
                        assert_int_equal(end, len);
                        assert_null(reason);
                }
        }
}

static void bad_heads(void **state)
{
        static const struct {
                const char *head, *reason;
        } cases[] = {
                { "GET / HTTP/1.1\n\n", "bare LF" },
                { "GET / HTTP/1.1\r\nhost: x\n\r\n", "bare LF" },
                { "\nGET / HTTP/1.1\r\n\r\n", "" },
                { "GET / HTTP/1.1\r\na: \r b\r\n\r\n", "bare CR" },
                { "GET / HTTP/1.1\r\na: x\r\n b\r\n\r\n", "folded" },
                { "GET / HTTP/1.1\r\na: x\r\n\tb\r\n\r\n", "folded" },
                { "GET / HTTP/1.1\r\na : x\r\n\r\n", "bad header field" },
                { "GET / HTTP/1.1\r\n: x\r\n\r\n", "bad header field" },
                { "GET / HTTP/1.1\r\nno colon\r\n\r\n", "bad header field" },
                { "GET  / HTTP/1.1\r\n\r\n", "bad request line" },
                { "GET / /x HTTP/1.1\r\n\r\n", "bad request line" },
                { "GET /\r\n\r\n", "bad request line" },
                { " GET / HTTP/1.1\r\n\r\n", "bad request line" },
                { "GET / FTP/1.1\r\n\r\n", "bad HTTP version" },
                { "GET / HTTP/\r\n\r\n", "bad HTTP version" },
                { "GET / HTTP/1\r\n\r\n", "bad HTTP version" },
                { "GET / HTTP/11\r\n\r\n", "bad HTTP version" },
                { "GET / HTTP/1.10\r\n\r\n", "bad HTTP version" },
                { "GET / HTTP/1.x\r\n\r\n", "bad HTTP version" },
                { "GET / http/1.1\r\n\r\n", "bad HTTP version" },
                { "GET / HTTP/1.1 \r\n\r\n", "bad request line" },
                { "\x16\x03\x01", "bad request line" },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                size_t len = strlen(cases[i].head);
                for (size_t cut = 0; cut <= len; cut++) {
                        const char *reason = "";
                        size_t end = 0;
                        assert_int_equal(check_cut(cases[i].head, len, cut, &end, &reason), 400);
                        assert_non_null(strstr(reason, cases[i].reason));
                }
        }
}

/* RFC 9110 §2.5: another major version is refused, a higher minor version is not. */
static void versions(void **state)
{
        static const struct {
                const char *head;
                int status;
        } cases[] = {
                { "GET / HTTP/0.9\r\n\r\n", 505 }, { "GET / HTTP/1.0\r\n\r\n", 0 },   { "GET / HTTP/1.1\r\n\r\n", 0 },
                { "GET / HTTP/1.9\r\n\r\n", 0 },   { "GET / HTTP/2.0\r\n\r\n", 505 }, { "GET / HTTP/3.0\r\n\r\n", 505 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                const char *reason = "";
                size_t checked = 0, end;
                assert_int_equal(http1_head_check((const uint8_t *)cases[i].head, strlen(cases[i].head), MAX, &checked,
                                                  &end, &reason),
                                 cases[i].status);
        }
}

static void nul_is_refused(void **state)
{
        static const char head[] = "GET / HTTP/1.1\r\na: \0\r\n\r\n";
        const char *reason = "";
        size_t checked = 0, end;
        (void)state;
        assert_int_equal(http1_head_check((const uint8_t *)head, sizeof(head) - 1, MAX, &checked, &end, &reason), 400);
        assert_non_null(strstr(reason, "NUL"));
}

/* A head of exactly max bytes is taken, one more byte is not, whether its end has come or not. */
static void size_is_bounded(void **state)
{
        char head[MAX + 2];
        const char *reason;
        size_t checked = 0, end;
        (void)state;
        memset(head, 'a', sizeof(head));
        memcpy(head, "GET / HTTP/1.1\r\na:", 18);
        memcpy(head + MAX - 4, "\r\n\r\n", 4);
        assert_int_equal(http1_head_check((uint8_t *)head, MAX, MAX, &checked, &end, &reason), 0);
        assert_int_equal(end, MAX);

        memset(head + MAX - 4, 'a', 4);
        checked = 0;
        assert_int_equal(http1_head_check((uint8_t *)head, MAX, MAX, &checked, &end, &reason), 0);
        assert_int_equal(end, 0);
        assert_int_equal(http1_head_check((uint8_t *)head, MAX + 1, MAX, &checked, &end, &reason), 431);

        memcpy(head + MAX - 3, "\r\n\r\n", 4);
        checked = 0;
        assert_int_equal(http1_head_check((uint8_t *)head, MAX + 1, MAX, &checked, &end, &reason), 431);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(good_heads),     cmocka_unit_test(bad_heads),       cmocka_unit_test(versions),
                cmocka_unit_test(nul_is_refused), cmocka_unit_test(size_is_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
