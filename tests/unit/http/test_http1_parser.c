#include "http/http1_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "http/http1_head.h"

struct fixture {
        struct config *config;
        struct http_request request;
        struct http1_parser *parser;
        struct buf body;
        unsigned ends;
};

static struct fixture *fixture_of(struct http_request *r)
{
        return container_of(r, struct fixture, request);
}

static void keep_body(struct http_request *r, const uint8_t *data, size_t len)
{
        assert_int_equal(buf_append(&fixture_of(r)->body, data, len), 0);
        http_request_consume(r, len);
}

static void count_end(struct http_request *r)
{
        fixture_of(r)->ends++;
}

static void consumed(struct http_request *r _unused_, size_t n _unused_)
{
}

static const struct http_request_ops ops = { .data = keep_body, .end = count_end };
static const struct http_transport transport = { .consume = consumed };

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        assert_non_null(f);
        assert_int_equal(config_new(&f->config), 0);
        f->parser = http1_parser_new(&f->request, &f->config->limits);
        assert_non_null(f->parser);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        http_request_abort(&f->request);
        http_request_done(&f->request);
        http1_parser_free(f->parser);
        config_free(f->config);
        buf_done(&f->body);
        free(f);
        return 0;
}

/* As http1.c does it: the head in one piece, the body cut into two. What the parser returned; *ret_used bytes of
 * all. */
static int run(struct fixture *f, const char *text, size_t len, size_t cut, size_t *ret_used)
{
        size_t checked = 0, end = 0, used = 0;
        const char *reason;
        _cleanup_(freep) uint8_t *bytes = malloc(len);
        assert_non_null(bytes);
        memcpy(bytes, text, len);
        buf_clear(&f->body);
        f->ends = 0;
        http_request_abort(&f->request);
        http_request_reset(&f->request);
        f->request.transport = &transport;

        assert_int_equal(http1_head_check(bytes, len, f->config->limits.head_bytes, &checked, &end, &reason), 0);
        assert_true(end > 0);
        int r = http1_parser_head(f->parser, bytes, end, 1);
        *ret_used = end;
        if (r != 0)
                return r;
        http_request_begin(&f->request);
        f->request.ops = &ops;
        const size_t stops[] = { cut > end ? cut : end, len };
        for (size_t i = 0; i < ARRAY_LEN(stops) && r == 0 && !http1_parser_is_complete(f->parser); i++) {
                size_t n = stops[i] - *ret_used;
                _cleanup_(freep) uint8_t *piece = malloc(n + 1); /* its own, so that a sanitizer sees its end */
                memcpy(piece, bytes + *ret_used, n);
                r = http1_parser_body(f->parser, piece, n, 1, &used);
                *ret_used += used;
        }
        if (http1_parser_is_complete(f->parser) && r == 0)
                http_request_deliver_end(&f->request);
        return r;
}

#define HEAD "POST /a?b=c HTTP/1.1\r\nhost: x\r\nX-Y:  z \r\n"
#define NEXT "GET / HTTP/1.1\r\n"

static void good_requests(void **state)
{
        static const struct {
                const char *text, *body;
        } cases[] = {
                { HEAD "\r\n", "" },
                { HEAD "content-length: 0\r\n\r\n", "" },
                { HEAD "content-length: 5\r\n\r\nhello", "hello" },
                { HEAD "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", "" },
                { HEAD "transfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello" },
                { HEAD "transfer-encoding: chunked\r\n\r\n3;a\r\nhel\r\n02;b=\"c\"\r\nlo\r\n000\r\nt: u\r\n\r\n",
                  "hello" },
                { HEAD "connection: upgrade\r\nupgrade: h2c\r\n\r\n", "" },
                { "POST /a?b=c HTTP/1.7\r\nhost: x\r\nx-y:z\r\n\r\n", "" },
        };
        struct fixture *f = *state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char text[512];
                size_t len = strlen(cases[i].text), used;
                strcpy(text, cases[i].text);
                strcat(text, NEXT);
                for (size_t cut = 0; cut <= strlen(text); cut++) {
                        assert_int_equal(run(f, text, strlen(text), cut, &used), 0);
                        assert_true(http1_parser_is_complete(f->parser));
                        assert_int_equal(used, len);
                        assert_int_equal(f->ends, 1);
                        assert_int_equal(f->body.len, strlen(cases[i].body));
                        assert_memory_equal(f->body.len ? (char *)f->body.data : "", cases[i].body, f->body.len);
                        assert_string_equal(f->request.method, "POST");
                        assert_string_equal(f->request.path, "/a");
                        assert_string_equal(f->request.query, "b=c");
                        assert_string_equal(http_request_field(&f->request, "x-y"), "z");
                        assert_int_equal(f->request.version, 11);
                        assert_true(http1_parser_keeps_alive(f->parser));
                }
        }
}

static void bad_requests(void **state)
{
        static const char chunked[] = HEAD "transfer-encoding: chunked\r\n\r\n";
        static const char *const heads[] = {
                "BREW / HTTP/1.1\r\nhost: x\r\n\r\n",
                "SETUP / HTTP/1.1\r\nhost: x\r\n\r\n",
                "PRI * HTTP/1.1\r\nhost: x\r\n\r\n",
                "GET x HTTP/1.1\r\nhost: x\r\n\r\n",
                "GET / HTTP/1.1\r\n\r\n",
                HEAD "content-length:\r\n\r\n",
                HEAD "content-length: 1 2\r\n\r\n",
                HEAD "content-length: 1\r\ncontent-length: 1\r\n\r\n",
                HEAD "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                HEAD "content-length: 1\r\ntransfer-encoding:\r\n\r\n",
                HEAD "transfer-encoding:\r\n\r\n",
                HEAD "transfer-encoding: gzip\r\n\r\n",
                HEAD "transfer-encoding: chunked, gzip\r\n\r\n",
                HEAD "a: \x01\r\n\r\n",
        };
        static const char *const bodies[] = {
                "x\r\n",          "3 \r\nabc",     "3\nabc",         "3\rabc",          "3\r\nabcXX0\r\n\r\n",
                "3\r\nabc\n0",    "3\r\nabc\r0",   "0\r\n\n",        "0\r\nt: u\n\r\n", "0\r\nt:\ru: v\r\n\r\n",
                "0\r\nt: u\r\rx", "3;a\nabc\r\n0", "0\r\nt : u\r\n", "0\r\nt\r\n\r\n",  "fffffffffffffffff\r\n",
        };
        struct fixture *f = *state;
        size_t used;
        for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
                assert_int_equal(run(f, heads[i], strlen(heads[i]), 0, &used), HTTP1_PARSER_REFUSED);
                assert_int_equal(http1_parser_refusal(f->parser).status, 400);
                assert_non_null(http1_parser_refusal(f->parser).reason);
        }
        for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
                char text[256];
                strcpy(text, chunked);
                strcat(text, bodies[i]);
                for (size_t cut = sizeof(chunked) - 1; cut <= strlen(text); cut++) {
                        assert_int_equal(run(f, text, strlen(text), cut, &used), HTTP1_PARSER_REFUSED);
                        assert_int_equal(http1_parser_refusal(f->parser).status, 400);
                        assert_int_equal(f->ends, 0);
                }
        }
}

static void connections_end(void **state)
{
        static const char *const heads[] = {
                HEAD "connection: close\r\n\r\n",
                HEAD "connection: keep-alive, close\r\n\r\n",
                "GET / HTTP/1.0\r\n\r\n",
                "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        };
        struct fixture *f = *state;
        size_t used;
        for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
                assert_int_equal(run(f, heads[i], strlen(heads[i]), 0, &used), 0);
                assert_false(http1_parser_keeps_alive(f->parser));
        }
}

static void fields_are_bounded(void **state)
{
        struct fixture *f = *state;
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_done) struct buf head = { 0 };
                size_t used;
                buf_append_str(&head, "GET / HTTP/1.1\r\nhost: x\r\n");
                for (unsigned i = 1; i < f->config->limits.head_fields + extra; i++)
                        buf_append_str(&head, "a: b\r\n");
                buf_append_str(&head, "\r\n");
                assert_int_equal(head.error, 0);
                int r = run(f, (const char *)head.data, head.len, 0, &used);
                assert_int_equal(r, extra ? HTTP1_PARSER_REFUSED : 0);
                if (extra)
                        assert_int_equal(http1_parser_refusal(f->parser).status, 431);
        }
}

/* Wherever the pieces are cut; between two pieces of body, and behind the last. */
static void framing_is_bounded(void **state)
{
        static const char *const shapes[][2] = { { "3;", "\r\nabc\r\n0\r\n\r\n" }, { "0\r\nt:", "\r\n\r\n" } };
        static const char head[] = HEAD "transfer-encoding: chunked\r\n\r\n";
        struct fixture *f = *state;
        for (size_t shape = 0; shape < ARRAY_LEN(shapes); shape++) {
                for (size_t extra = 0; extra < 2; extra++) {
                        _cleanup_(buf_done) struct buf text = { 0 };
                        size_t used, around = shape == 0 ? strlen("3;\r\n") : strlen("0\r\nt:\r\n\r\n");
                        buf_append_str(&text, head);
                        buf_append_str(&text, shapes[shape][0]);
                        for (size_t i = around; i < HTTP1_FRAMING_BYTES + extra; i++)
                                buf_append_char(&text, 'x');
                        buf_append_str(&text, shapes[shape][1]);
                        assert_int_equal(text.error, 0);
                        for (size_t cut = sizeof(head) - 1; cut <= text.len; cut += 13) {
                                int r = run(f, (const char *)text.data, text.len, cut, &used);
                                assert_int_equal(r, extra ? HTTP1_PARSER_REFUSED : 0);
                                assert_int_equal(f->ends, !extra);
                                if (extra)
                                        assert_int_equal(http1_parser_refusal(f->parser).status, 431);
                        }
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(good_requests, set_up, tear_down),
                cmocka_unit_test_setup_teardown(bad_requests, set_up, tear_down),
                cmocka_unit_test_setup_teardown(connections_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(fields_are_bounded, set_up, tear_down),
                cmocka_unit_test_setup_teardown(framing_is_bounded, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
