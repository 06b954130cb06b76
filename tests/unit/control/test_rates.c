/* What came in over the last minutes, with a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/rates.h"
#include "util/clock.h"

#define SECOND UINT64_C(1000000000)

static uint64_t now_ns;
static struct metrics *metrics;

uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
        return now_ns;
}

static int setup(_unused_ void **state)
{
        now_ns = 1000 * SECOND;
        metrics = metrics_new();
        return metrics ? 0 : -1;
}

static int teardown(_unused_ void **state)
{
        metrics = metrics_free(metrics);
        return 0;
}

static void expect(struct rates *r, unsigned secs, uint64_t over_secs, uint64_t crashes)
{
        struct rates_sum sum;
        rates_since(r, secs, &sum);
        assert_int_equal(sum.over_ms, over_secs * 1000);
        assert_int_equal(sum.crashes, crashes);
}

static void test_it_knows_only_what_it_saw(_unused_ void **state)
{
        metrics_request(metrics, METRICS_CRASHES, 201, 1);
        struct rates *r = rates_new(metrics);
        expect(r, 60, 0, 0); /* what came before does not count */
        metrics_request(metrics, METRICS_CRASHES, 201, 1);
        metrics_request(metrics, METRICS_CRASHES, 503, 1);
        metrics_request(metrics, METRICS_LOGS, 200, 1);
        metrics_count(metrics, METRICS_LOG_RECORDS, 256);
        metrics_bytes(metrics, METRICS_LOGS, 1000);
        now_ns += 3 * SECOND;
        struct rates_sum sum;
        rates_since(r, 60, &sum);
        assert_int_equal(sum.over_ms, 3000);
        assert_int_equal(sum.crashes, 1);
        assert_int_equal(sum.log_requests, 1);
        assert_int_equal(sum.log_records, 256);
        assert_int_equal(sum.log_bytes, 1000);
        assert_int_equal(sum.crash_bytes, 0);
        rates_free(r);
}

static void test_the_ring_is_bounded(_unused_ void **state)
{
        struct rates *r = rates_new(metrics);
        for (unsigned second = 1; second <= 3600; second++) {
                now_ns += SECOND;
                metrics_request(metrics, METRICS_CRASHES, 201, 1);
                rates_look(r);
        }
        expect(r, 60, 60, 60);
        expect(r, 62, 65, 65); /* the next look behind */
        expect(r, 300, 300, 300);
        expect(r, 3600, 300, 300); /* as far as it goes */
        now_ns += 4 * SECOND;
        expect(r, 300, 304, 300);
        rates_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_it_knows_only_what_it_saw, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_ring_is_bounded, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
