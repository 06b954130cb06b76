/* A batch on its way to the real log committer and back: stored, stored for a client that is gone, and refused. */
#include "ingest_fixture.h"

#include <errno.h>
#include <string.h>

#include "ingest/log_handover.h"

int __real_log_committer_submit_list(struct log_committer *c, struct log_batch *list, struct log_batch **ret_rest);
int __wrap_log_committer_submit_list(struct log_committer *c, struct log_batch *list, struct log_batch **ret_rest);

static int refusal; /* the committer takes nothing, and this is why; 0: it does */

int __wrap_log_committer_submit_list(struct log_committer *c, struct log_batch *list, struct log_batch **ret_rest)
{
        if (refusal == 0)
                return __real_log_committer_submit_list(c, list, ret_rest);
        *ret_rest = list;
        return refusal;
}

static struct log_export export;
static unsigned releases, stored;

/* The end of every test: the loop has nothing more to wait for. */
static void release(struct call *c)
{
        assert_ptr_equal(c, &export.call);
        releases++;
        log_export_done(&export);
        loop_stop(fixture_loop.loop);
}

static const struct call_type type = { METRICS_LOGS, { .close = call_on_close }, release };

/* One ResourceLogs with one empty record; its source comes from the token and service.name. */
static const uint8_t message[] = "\x0a\x23"
                                 "\x0a\x1d\x0a\x1b\x0a\x0cservice.name\x12\x0b\x0a\x09"
                                 "installed"
                                 "\x12\x02\x12\x00";

static int begin(_unused_ void **state)
{
        struct refusal r = { 0 };
        if (fixture_new_loop() < 0)
                return -1;
        releases = stored = 0;
        log_export_reset(&export);
        call_start(&export.call, &fixture_loop, fixture_request("/", 20, NULL), &type, &reply_grpc);
        fixture_let_in(&export.call);
        rate_limit_free(fixture_ingest.rate_limit);
        fixture_ingest.rate_limit = rate_limit_new(1);
        return log_export_prepare(&export, message, sizeof(message) - 1, &r) == 0 && export.batch.n_appends == 1 ? 0
                                                                                                                 : -1;
}

static int end(_unused_ void **state)
{
        log_export_buffers_done(&export);
        return releases == 1 && fixture_requests_in_flight() == 0 &&
                               metrics_gauge_get(fixture_ingest.metrics, METRICS_DISK_IN_FLIGHT_BYTES) == 0
                       ? 0
                       : -1;
}

static void on_stored(struct call *c)
{
        stored++;
        call_answer_grpc(c, NULL, 0);
}

static uint64_t records(void)
{
        return metrics_counter_get(fixture_ingest.metrics, METRICS_LOG_RECORDS);
}

static void test_stored(_unused_ void **state)
{
        uint64_t before = records(), bytes = metrics_bytes_get(fixture_ingest.metrics, METRICS_LOGS);
        log_handover_submit(&export, on_stored);
        assert_int_equal(export.call.state, CALL_PARKED);
        assert_int_equal(loop_run(fixture_loop.loop), 0);
        assert_int_equal(stored, 1);
        assert_int_equal(records(), before + 1);
        assert_int_equal(metrics_bytes_get(fixture_ingest.metrics, METRICS_LOGS), bytes + sizeof(message) - 1);
        fixture_expect_field("grpc-status: 0");
        assert_int_equal(fixture_answer.body.len, 5 + 1); /* an empty message, and the fixture's NUL */
}

/* The batch is not even submitted yet. Its lines stay. */
static void test_the_client_leaves(_unused_ void **state)
{
        uint64_t before = records();
        log_handover_submit(&export, on_stored);
        http_request_abort(export.call.request);
        assert_int_equal(releases, 0);
        assert_int_equal(loop_run(fixture_loop.loop), 0);
        assert_int_equal(stored, 0);
        assert_int_equal(fixture_answer.answers, 0);
        assert_int_equal(records(), before + 1);
}

static void test_the_committer_refuses(_unused_ void **state)
{
        static const struct {
                int why;
                const char *message;
        } cases[] = {
                { WORK_QUEUE_FULL, "grpc-message: too many log batches are waiting for the disk" },
                { WORK_QUEUE_CLOSED, "grpc-message: shutting down" },
                { -EROFS, "grpc-message: log store: the store does not take writes" },
        };
        uint64_t before = records();
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                if (i > 0)
                        assert_int_equal(begin(state), 0);
                refusal = cases[i].why;
                log_handover_submit(&export, on_stored);
                assert_int_equal(fixture_answer.answers, 0); /* the pass is not over */
                assert_int_equal(loop_run(fixture_loop.loop), 0);
                assert_int_equal(releases, 1);
                assert_int_equal(stored, 0);
                fixture_expect_field("grpc-status: 14");
                fixture_expect_field(cases[i].message);
        }
        refusal = 0;
        assert_int_equal(records(), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_stored, begin, end),
                cmocka_unit_test_setup_teardown(test_the_client_leaves, begin, end),
                cmocka_unit_test_setup_teardown(test_the_committer_refuses, begin, end),
        };
        return cmocka_run_group_tests(tests, ingest_setup, ingest_teardown);
}
