/* How calls end: the answers to our own failures in each way to answer, and a call that another thread has. */
#include "ingest_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "protocol/grpc.h"

static unsigned releases, resumes;

static void release(struct call *c)
{
        releases++;
        call_done(c);
}

static const struct call_type type = { METRICS_CRASHES,
                                       { .timeout = call_on_timeout, .close = call_on_close },
                                       release };

static void start(struct call *c, const struct reply *reply)
{
        *c = (struct call){ 0 };
        releases = resumes = 0;
        call_start(c, &fixture_loop, fixture_request("/v1/crashes", 20, NULL), &type, reply);
        assert_int_equal(fixture_requests_in_flight(), 1);
}

static void expect_released(void)
{
        assert_int_equal(releases, 1);
        assert_int_equal(fixture_requests_in_flight(), 0);
}

static void expect_body(const char *body)
{
        assert_string_equal((char *)fixture_answer.body.data, body);
}

#define PASSING(text) "{\"error\":{\"code\":503,\"message\":\"crash store: " text "\"}}"

static const struct {
        int error;
        const char *json, *grpc_message;
} failures[] = {
        { -ENOMEM, PASSING("out of memory"), "crash store: out of memory" },
        { -EMFILE, PASSING("too many files are open"), "crash store: too many files are open" },
        { -ENFILE, PASSING("too many files are open"), "crash store: too many files are open" },
        { -EBUSY, PASSING("the store is busy"), "crash store: the store is busy" },
        { -EIO, PASSING("the server's disk failed"), "crash store: the server's disk failed" },
        { -EROFS, PASSING("the store does not take writes"), "crash store: the store does not take writes" },
        { -EACCES, PASSING("the server may not use files of its own"),
          "crash store: the server may not use files of its own" },
        { -EPERM, PASSING("the server may not use files of its own"),
          "crash store: the server may not use files of its own" },
        { -ESTALE, PASSING("Stale file handle"), "crash store: Stale file handle" },
        { -EINVAL, NULL, "crash store: internal error" },
        { -ENAMETOOLONG, NULL, "crash store: internal error" },
};

/* What may pass is retryable. What is wrong with the request itself is not: a client that came again would meet it
 * again. */
static void test_failures_in_json(_unused_ void **state)
{
        for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
                struct call c;
                start(&c, &reply_json);
                int status = failures[i].json ? 503 : 500;
                uint64_t before = metrics_requests_get(fixture_ingest.metrics, METRICS_CRASHES, status);
                call_fail(&c, failures[i].error, "crash store");
                expect_released();
                assert_int_equal(fixture_answer.answers, 1);
                assert_int_equal(fixture_answer.status, status);
                fixture_expect_field("content-type: application/json");
                if (failures[i].json) {
                        expect_body(failures[i].json);
                        fixture_expect_field("retry-after: 5");
                } else {
                        expect_body("{\"error\":{\"code\":500,\"message\":\"crash store: internal error\"}}");
                        fixture_expect_no_field("retry-after");
                }
                assert_int_equal(metrics_requests_get(fixture_ingest.metrics, METRICS_CRASHES, status), before + 1);
        }
}

static void test_failures_in_grpc(_unused_ void **state)
{
        for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
                _cleanup_(buf_done) struct buf line = { 0 };
                struct call c;
                start(&c, &reply_grpc);
                call_fail(&c, failures[i].error, "crash store");
                expect_released();
                assert_int_equal(fixture_answer.status, 200);
                assert_int_equal(fixture_answer.body.len, 1); /* trailers only: no byte but the fixture's NUL */
                fixture_expect_field("content-type: application/grpc");
                fixture_expect_field(failures[i].json ? "grpc-status: 14" : "grpc-status: 13");
                assert_int_equal(buf_append_str(&line, "grpc-message: "), 0);
                assert_int_equal(grpc_encode_message(failures[i].grpc_message, &line), 0);
                assert_int_equal(buf_append_char(&line, '\0'), 0);
                fixture_expect_field((char *)line.data);
                if (failures[i].json)
                        assert_non_null(strstr((char *)fixture_answer.fields.data, "grpc-status-details-bin: "));
                else
                        fixture_expect_no_field("grpc-status-details-bin");
        }
}

/* The disk governor hears of it, so that the next requests are refused before they write. */
static void test_a_full_disk_is_seen(_unused_ void **state)
{
        struct space *space = store_space(fixture_ingest.store);
        const int errors[] = { -ENOSPC, -EDQUOT };
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
                struct refusal r = { 0 };
                struct call c;
                start(&c, &reply_json);
                call_fail(&c, errors[i], "crash store");
                expect_body(PASSING("no space left on the server's disk"));
                fixture_expect_field("retry-after: 5");
                assert_int_equal(space_check(space, SPACE_UPLOADS, 0, &r), ANSWER_UNAVAILABLE);
        }
}

static void test_no_memory_for_a_call(_unused_ void **state)
{
        struct http_request *r = fixture_request("/v1/crashes", 11, NULL);
        uint64_t before = metrics_requests_get(fixture_ingest.metrics, METRICS_CRASHES, 503);
        call_refuse_unborn(&fixture_loop, r, METRICS_CRASHES);
        assert_int_equal(fixture_answer.answers, 1);
        assert_int_equal(fixture_answer.status, 503);
        expect_body("{\"error\":{\"code\":503,\"message\":\"out of memory\"}}");
        fixture_expect_field("content-type: application/json");
        fixture_expect_field("retry-after: 5");
        assert_int_equal(metrics_requests_get(fixture_ingest.metrics, METRICS_CRASHES, 503), before + 1);
        assert_int_equal(fixture_requests_in_flight(), 0);
}

/* ---- calls that another thread has ---- */

static void resumed(struct call *c)
{
        resumes++;
        call_answer_json(c, 201, "{}", 2);
}

static void test_resumed_with_its_client(_unused_ void **state)
{
        struct call c;
        start(&c, &reply_json);
        call_park(&c, resumed);
        assert_int_equal(c.state, CALL_PARKED);
        call_resume(&c);
        assert_int_equal(resumes, 1);
        assert_int_equal(fixture_answer.status, 201);
        expect_released();
}

static void test_the_client_leaves_meanwhile(_unused_ void **state)
{
        struct call c;
        start(&c, &reply_json);
        call_park(&c, resumed);
        http_request_abort(c.request);
        assert_int_equal(c.state, CALL_ORPHANED);
        assert_int_equal(releases, 0); /* the other thread still has it */
        call_resume(&c);
        assert_int_equal(resumes, 0);
        assert_int_equal(fixture_answer.answers, 0);
        expect_released();
}

static void test_answered_meanwhile(_unused_ void **state)
{
        struct call c;
        start(&c, &reply_json);
        call_park(&c, resumed);
        call_on_timeout(c.request);
        assert_int_equal(fixture_answer.status, 408);
        assert_int_equal(releases, 0);
        call_resume(&c);
        assert_int_equal(resumes, 0);
        assert_int_equal(fixture_answer.answers, 1);
        expect_released();
}

static void test_nobody_took_it_over(_unused_ void **state)
{
        struct call c;
        start(&c, &reply_json);
        call_park(&c, resumed);
        call_unpark(&c);
        http_request_abort(c.request);
        assert_int_equal(resumes, 0);
        expect_released();
}

static void *take(void *owner)
{
        thread_owner_take(owner);
        return NULL;
}

/* In a process of its own, since the assertion ends it. */
static void test_a_wrong_thread_is_caught(_unused_ void **state)
{
        struct call c;
        int status;
        pthread_t other;
        start(&c, &reply_json);
        assert_int_equal(pthread_create(&other, NULL, take, &fixture_loop.thread), 0);
        assert_int_equal(pthread_join(other, NULL), 0);
        pid_t child = fork();
        if (child == 0) {
                close(STDERR_FILENO);
                signal(SIGABRT, SIG_DFL);
                call_answer_json(&c, 201, "{}", 2);
                _exit(0);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
        atomic_store(&fixture_loop.thread.tid, 0);
        http_request_abort(c.request);
        expect_released();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_failures_in_json),
                cmocka_unit_test(test_failures_in_grpc),
                cmocka_unit_test(test_no_memory_for_a_call),
                cmocka_unit_test(test_resumed_with_its_client),
                cmocka_unit_test(test_the_client_leaves_meanwhile),
                cmocka_unit_test(test_answered_meanwhile),
                cmocka_unit_test(test_nobody_took_it_over),
                cmocka_unit_test(test_a_wrong_thread_is_caught),
                cmocka_unit_test(test_a_full_disk_is_seen),
        };
        return cmocka_run_group_tests(tests, ingest_setup, ingest_teardown);
}
