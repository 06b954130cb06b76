#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "http/request_internal.h"

/* What the transport and the handler saw, one letter each. */
static char seen[32];

static void note(char c)
{
        size_t n = strlen(seen);
        assert_true(n + 1 < sizeof(seen));
        seen[n] = c;
        seen[n + 1] = '\0';
}

static void on_respond(struct http_request *r _unused_, const struct http_response *response)
{
        note(response->status == 200 ? 'A' : 'R');
}

static void on_consume(struct http_request *r _unused_, size_t n _unused_)
{
        note('c');
}

static void on_accept(struct http_request *r _unused_, unsigned window_bytes _unused_)
{
        note('w');
}

static void on_data(struct http_request *r _unused_, const uint8_t *data _unused_, size_t len _unused_)
{
        note('d');
}

static void on_end(struct http_request *r _unused_)
{
        note('e');
}

static void on_close(struct http_request *r _unused_)
{
        note('x');
}

static const struct http_transport transport = { on_respond, on_consume, on_accept };
static const struct http_request_ops ops = { .data = on_data, .end = on_end, .close = on_close };

static void start(struct http_request *r, const char *target)
{
        const char *reason = NULL;
        seen[0] = '\0';
        http_request_reset(r);
        r->transport = &transport;
        assert_int_equal(http_request_set_method(r, "POST", 4), 0);
        assert_int_equal(http_request_set_target(r, target, strlen(target)), 0);
        assert_int_equal(http_request_finish_head(r, 1, &reason), *target == '/' ? 0 : HTTP_HEAD_BAD);
        assert_int_equal(r->progress, HTTP_REQUEST_HEAD);
}

static void begin(struct http_request *r)
{
        start(r, "/");
        http_request_begin(r);
        r->ops = &ops;
}

static void answer(struct http_request *r)
{
        http_respond(r, &(struct http_response){ .status = 200 });
}

static void an_exchange(void **state _unused_)
{
        struct http_request r = { 0 };
        begin(&r);
        http_request_accept_body(&r, 0);
        http_request_deliver(&r, (const uint8_t *)"ab", 2, 1);
        http_request_deliver(&r, (const uint8_t *)"c", 1, 1);
        http_request_consume(&r, 3);
        http_request_deliver_end(&r);
        assert_int_equal(r.progress, HTTP_REQUEST_ENDED);
        answer(&r);
        assert_int_equal(r.progress, HTTP_REQUEST_OVER);
        assert_string_equal(seen, "wddceAx");
        http_request_done(&r);
}

/* What a peer still sends after the answer reaches nobody, and its window opens again. */
static void a_body_after_the_answer(void **state _unused_)
{
        struct http_request r = { 0 };
        begin(&r);
        http_request_deliver(&r, (const uint8_t *)"ab", 2, 1);
        answer(&r);
        http_request_deliver(&r, (const uint8_t *)"cd", 2, 1);
        http_request_deliver_end(&r);
        http_request_deliver_end(&r);
        http_request_deliver(&r, (const uint8_t *)"e", 1, 1);
        http_request_abort(&r);
        assert_string_equal(seen, "dcAxcc");
        assert_int_equal(r.unconsumed, 0);
        http_request_done(&r);
}

/* A stream may die at any time; the handler hears of it once, if it has the request. */
static void a_stream_that_dies(void **state _unused_)
{
        struct http_request r = { 0 };
        start(&r, "/");
        http_request_abort(&r);
        assert_string_equal(seen, "");

        begin(&r);
        http_request_deliver(&r, (const uint8_t *)"ab", 2, 1);
        http_request_abort(&r);
        http_request_abort(&r);
        assert_string_equal(seen, "dcx");
        assert_int_equal(r.progress, HTTP_REQUEST_OVER);

        begin(&r);
        http_request_deliver_end(&r);
        http_request_abort(&r);
        assert_string_equal(seen, "ex");
        http_request_done(&r);
}

static void refusals(void **state _unused_)
{
        struct http_request r = { 0 };
        start(&r, "no slash");
        http_request_refuse(&r, 400, "bad request target"); /* before a handler has it */
        assert_string_equal(seen, "R");
        http_request_deliver(&r, (const uint8_t *)"ab", 2, 1);
        http_request_deliver_end(&r);
        assert_string_equal(seen, "Rc");

        begin(&r);
        http_request_deliver(&r, (const uint8_t *)"ab", 2, 1);
        http_request_refuse(&r, 400, "bad chunk size"); /* the handler loses it first */
        assert_string_equal(seen, "dcxR");
        assert_int_equal(r.progress, HTTP_REQUEST_OVER);
        http_request_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_exchange),
                cmocka_unit_test(a_body_after_the_answer),
                cmocka_unit_test(a_stream_that_dies),
                cmocka_unit_test(refusals),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
