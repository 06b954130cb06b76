/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include "auth/rate_limit.h"

#define MS UINT64_C(1000000)
#define START (UINT64_C(1000) * 1000 * MS)

/* One unit a second. */
static const struct tokens_rate_limit limits = {
        .logs_per_minute = 60, .logs_burst = 3, .crashes_per_minute = 60, .crashes_burst = 2
};

static struct source source_of(const char *install_id)
{
        struct source s = { .project = "acme" };
        snprintf(s.install_id, sizeof(s.install_id), "%s", install_id);
        return s;
}

static int take(struct rate_limit *r, enum rate_limit_kind kind, const struct tokens_rate_limit *l,
                const char *token_id, const struct source *const sources[], size_t n, uint64_t now_ns, unsigned *ret_ms)
{
        const struct rate_limit_charge charge = { kind, l, token_id, sources, n };
        return rate_limit_take(r, &charge, now_ns, ret_ms);
}

static void give_back(struct rate_limit *r, enum rate_limit_kind kind, const char *token_id,
                      const struct source *const sources[], size_t n)
{
        const struct rate_limit_charge charge = { kind, &limits, token_id, sources, n };
        rate_limit_give_back(r, &charge);
}

static int take_one(struct rate_limit *r, const struct source *s, uint64_t now_ns, unsigned *ret_ms)
{
        return take(r, RATE_LIMIT_LOGS, &limits, "token", &s, 1, now_ns, ret_ms);
}

static void burst_then_refill(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(16);
        const struct source a = source_of("a");
        unsigned ms = 0;
        assert_non_null(r);
        for (int i = 0; i < 3; i++)
                assert_int_equal(take_one(r, &a, START, &ms), 0);
        assert_int_equal(ms, 0); /* written only on refusal */
        assert_int_equal(take_one(r, &a, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(ms, 1000);
        assert_int_equal(take_one(r, &a, START + 400 * MS, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(ms, 600); /* refusals cost nothing */
        assert_int_equal(take_one(r, &a, START + 999 * MS, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(ms, 1);
        assert_int_equal(take_one(r, &a, START + 1000 * MS, &ms), 0); /* who waits as told gets it */
        assert_int_equal(take_one(r, &a, START + 1000 * MS, &ms), RATE_LIMIT_EMPTY);

        const uint64_t later = START + 3600 * 1000 * MS; /* never more than the burst */
        for (int i = 0; i < 3; i++)
                assert_int_equal(take_one(r, &a, later, &ms), 0);
        assert_int_equal(take_one(r, &a, later, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(take_one(r, &a, later - 10 * 1000 * MS, &ms), RATE_LIMIT_EMPTY); /* time runs backwards */
}

/* Waiting exactly as long as told must suffice whatever the rate: no rounding may refuse again. */
static void told_wait_suffices(void **state)
{
        (void)state;
        const unsigned rates[] = { 1, 7, 30, 59, 1000, 6000, 59999, 60000, 1000000000 };
        for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
                _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(1);
                const struct tokens_rate_limit l = { .logs_per_minute = rates[i], .logs_burst = 1 };
                const struct source a = source_of("a"), *list = &a;
                uint64_t now = START;
                for (int round = 0; round < 50; round++) {
                        unsigned ms = 0;
                        assert_int_equal(take(r, RATE_LIMIT_LOGS, &l, "t", &list, 1, now, &ms), 0);
                        assert_int_equal(take(r, RATE_LIMIT_LOGS, &l, "t", &list, 1, now, &ms), RATE_LIMIT_EMPTY);
                        assert_in_range(ms, 1, 60000);
                        now += ms * MS;
                }
        }
}

static void keys_are_apart(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(16);
        const struct source a = source_of("a"), b = source_of("b");
        const struct source *pa = &a, *pb = &b;
        unsigned ms = 0;
        const struct tokens_rate_limit one = {
                .logs_per_minute = 1, .logs_burst = 1, .crashes_per_minute = 1, .crashes_burst = 1
        };
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pa, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pa, 1, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(take(r, RATE_LIMIT_CRASHES, &one, "t", &pa, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "u", &pa, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pb, 1, START, &ms), 0);
}

static void all_or_none(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(16);
        const struct source a = source_of("a"), b = source_of("b"), c = source_of("c");
        const struct source *both[] = { &a, &b }, *four[] = { &c, &c, &c, &c };
        unsigned ms = 0;
        for (int i = 0; i < 3; i++)
                assert_int_equal(take_one(r, &b, START, &ms), 0);
        for (int i = 0; i < 5; i++)
                assert_int_equal(take(r, RATE_LIMIT_LOGS, &limits, "token", both, 2, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(ms, 1000);
        for (int i = 0; i < 3; i++)
                assert_int_equal(take_one(r, &a, START, &ms), 0); /* a lost nothing to the refusals */
        assert_int_equal(take_one(r, &a, START, &ms), RATE_LIMIT_EMPTY);

        /* one source many times is one unit, taken and given back */
        for (int i = 0; i < 3; i++)
                assert_int_equal(take(r, RATE_LIMIT_LOGS, &limits, "token", four, 4, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &limits, "token", four, 4, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(ms, 1000);
        give_back(r, RATE_LIMIT_LOGS, "token", four, 4);
        assert_int_equal(take_one(r, &c, START, &ms), 0);
        assert_int_equal(take_one(r, &c, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &limits, "token", four, 0, START, &ms), 0);
}

static void never_filling_buckets(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(16);
        const struct source a = source_of("a"), *list = &a;
        unsigned ms = 0;
        const struct tokens_rate_limit shut = { .logs_per_minute = 1000 };
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &shut, "t", &list, 1, START, &ms), RATE_LIMIT_EMPTY);
        assert_true(ms >= 1);
        const struct tokens_rate_limit once = { .logs_burst = 1 };
        const struct source b = source_of("b");
        list = &b;
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &once, "t", &list, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &once, "t", &list, 1, START * 100, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(ms, 3600000);

        /* a reload that lowers the burst counts at once */
        const struct source c = source_of("c");
        list = &c;
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &limits, "t", &list, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &once, "t", &list, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &once, "t", &list, 1, START, &ms), RATE_LIMIT_EMPTY);
}

static void table_is_bounded(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(2);
        const struct source a = source_of("a"), b = source_of("b"), c = source_of("c");
        const struct tokens_rate_limit one = { .logs_per_minute = 1, .logs_burst = 1 };
        const struct source *pa = &a, *pb = &b, *pc = &c, *all[] = { &a, &b, &c };
        unsigned ms = 0;
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pa, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pb, 1, START, &ms), 0);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pa, 1, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pc, 1, START, &ms), 0); /* b leaves, not a */
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pa, 1, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &one, "t", &pb, 1, START, &ms), 0);

        /* more sources in one call than there are buckets, refused: what left is not given back to */
        const struct tokens_rate_limit shut = { .logs_per_minute = 1 };
        assert_int_equal(take(r, RATE_LIMIT_LOGS, &shut, "t", all, 3, START, &ms), RATE_LIMIT_EMPTY);
}

static void many_sources(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(1000);
        for (int i = 0; i < 5000; i++) {
                char id[32];
                unsigned ms = 0;
                snprintf(id, sizeof(id), "host-%d", i);
                const struct source s = source_of(id);
                assert_int_equal(take_one(r, &s, START, &ms), 0);
        }
}

static void given_back(void **state)
{
        (void)state;
        _cleanup_(rate_limit_freep) struct rate_limit *r = rate_limit_new(2);
        const struct source a = source_of("a"), b = source_of("b"), c = source_of("c");
        const struct source *twice[] = { &a, &a }, *gone[] = { &c };
        unsigned ms = 0;
        for (int i = 0; i < 5; i++) {
                assert_int_equal(take(r, RATE_LIMIT_LOGS, &limits, "token", twice, 2, START, &ms), 0);
                give_back(r, RATE_LIMIT_LOGS, "token", twice, 2);
        }
        give_back(r, RATE_LIMIT_LOGS, "token", twice, 2); /* never more than the burst */
        for (int i = 0; i < 3; i++)
                assert_int_equal(take_one(r, &a, START, &ms), 0);
        assert_int_equal(take_one(r, &a, START, &ms), RATE_LIMIT_EMPTY);

        /* a bucket that left to make room has nothing to get back */
        assert_int_equal(take_one(r, &c, START, &ms), 0);
        assert_int_equal(take_one(r, &a, START, &ms), RATE_LIMIT_EMPTY);
        assert_int_equal(take_one(r, &b, START, &ms), 0);
        give_back(r, RATE_LIMIT_LOGS, "token", gone, 1);
        for (int i = 0; i < 2; i++)
                assert_int_equal(take_one(r, &b, START, &ms), 0);
        assert_int_equal(take_one(r, &b, START, &ms), RATE_LIMIT_EMPTY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(burst_then_refill), cmocka_unit_test(told_wait_suffices),
                cmocka_unit_test(keys_are_apart),    cmocka_unit_test(never_filling_buckets),
                cmocka_unit_test(all_or_none),       cmocka_unit_test(table_is_bounded),
                cmocka_unit_test(many_sources),      cmocka_unit_test(given_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
