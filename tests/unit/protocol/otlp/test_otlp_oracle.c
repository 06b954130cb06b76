/* The log path against its oracle (otlp_oracle.h): sources and lines, byte for byte, of a request with every field, of
 * that request with each byte damaged, and of thousands of random ones. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "otlp_compare.h"
#include "otlp_random.h"
#include "otlp_wire.h"

#define SEEDS 6000

static const struct otlp_limits defaults = {
        .depth = 32, .records = 65536, .submessages = 262144, .attributes = 1000, .line_bytes = 1 << 20
};

static struct otlp_compare_counts counts;

static int forget_counts(void **state)
{
        (void)state;
        counts = (struct otlp_compare_counts){ 0 };
        return 0;
}

static struct otlp_span span_of(const struct buf *b)
{
        return (struct otlp_span){ b->data, b->data + b->len };
}

/* In an allocation of its very size, so that a sanitizer sees a read past it. False when the scan refuses. */
static bool agree(const struct buf *b, const struct otlp_limits *limits, const char *which, uint64_t seed)
{
        struct refusal r = { 0 };
        unsigned records;
        _cleanup_(freep) uint8_t *exact = malloc(b->len + !b->len);
        assert_non_null(exact);
        memcpy(exact, b->data, b->len);
        struct otlp_span bytes = { exact, exact + b->len };
        if (otlp_scan(exact, b->len, limits, &records, NULL, &r) != 0)
                return false;
        const char *wrong = otlp_compare(bytes, bytes, limits, &counts);
        if (wrong)
                fail_msg("%s %llu: %s", which, (unsigned long long)seed, wrong);
        return true;
}

static void a_rich_request(void **state)
{
        (void)state;
        struct buf b = wire_rich_request();
        assert_true(agree(&b, &defaults, "rich", 0));
        assert_int_equal(counts.lines, 1);
        buf_done(&b);
}

/* Each byte with each value it can have: most requests are still ones that the scan passes. */
static void every_damage(void **state)
{
        (void)state;
        struct buf b = wire_rich_request();
        for (size_t i = 0; i < b.len; i++) {
                uint8_t was = b.data[i];
                for (unsigned value = 0; value < 256; value++) {
                        b.data[i] = (uint8_t)value;
                        agree(&b, &defaults, "damage at", i);
                }
                b.data[i] = was;
        }
        assert_in_range(counts.requests, 100 * b.len, 256 * b.len);
        buf_done(&b);
}

/* Of the record, whose length is right then. */
static void every_prefix(void **state)
{
        (void)state;
        struct buf whole = wire_rich_record();
        for (size_t len = 0; len <= whole.len; len++) {
                struct buf record = { 0 };
                wire_raw(&record, whole.data, len);
                struct buf b = wire_request(NULL, NULL, &record);
                agree(&b, &defaults, "prefix", len);
                buf_done(&b);
        }
        assert_int_equal(counts.requests, 1 + 14); /* with no field, and cut after each */
        buf_done(&whole);
}

static struct otlp_limits random_limits(uint64_t seed)
{
        static const size_t lines[] = { 1 << 20, 1 << 20, 4000, 600 }, outputs[] = { 0, 0, 20000, 2000 },
                            scratches[] = { 0, 0, (size_t)64 * 32, (size_t)7 * 32 };
        struct otlp_limits limits = defaults;
        uint64_t state = ~seed;
        limits.line_bytes = lines[otlp_random(&state, ARRAY_LEN(lines))];
        limits.output_bytes = outputs[otlp_random(&state, ARRAY_LEN(outputs))];
        limits.scratch_bytes = scratches[otlp_random(&state, ARRAY_LEN(scratches))];
        return limits;
}

/* And that they reach the cases that they are made for. */
static void random_requests(void **state)
{
        (void)state;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                struct buf b = otlp_random_request(seed);
                struct otlp_limits limits = random_limits(seed);
                assert_true(agree(&b, &limits, "seed", seed));
                buf_done(&b);
        }
        assert_int_equal(counts.requests, SEEDS);
        assert_in_range(counts.lines, SEEDS, UINT32_MAX);
        assert_in_range(counts.sources, SEEDS / 4, UINT32_MAX);
        assert_in_range(counts.sources_refused, SEEDS / 4, UINT32_MAX);
        assert_in_range(counts.long_lines, 100, UINT32_MAX);
        assert_in_range(counts.outputs, 100, UINT32_MAX);
        assert_in_range(counts.scratches, 100, UINT32_MAX);
}

static void damaged_random_requests(void **state)
{
        (void)state;
        for (uint64_t seed = SEEDS; seed < 2 * SEEDS; seed++) {
                struct buf b = otlp_random_request(seed);
                struct otlp_limits limits = random_limits(seed);
                uint64_t random = ~seed;
                for (unsigned i = 0; i < 4 && b.len > 0; i++) {
                        uint8_t *at = &b.data[otlp_random(&random, b.len)];
                        uint8_t was = *at;
                        *at = (uint8_t)(1u << otlp_random(&random, 8) ^ *at);
                        if (!agree(&b, &limits, "damage of seed", seed))
                                *at = was;
                }
                buf_done(&b);
        }
        assert_in_range(counts.requests, SEEDS, 4 * SEEDS);
}

/* ---- the comparison can fail ---- */

/* Requests of which no two give the same source and lines; the first is the plain one. */
enum { VARIANTS = 24 };

static struct buf variant(int v)
{
        struct buf resource = { 0 }, scope = { 0 }, record = { 0 }, body = { 0 };
        wire_attribute_str(&resource, 1, "host.name", v == 1 ? "other" : "one");
        wire_attribute_str(&resource, 1, "source.project", v == 2 ? "other" : "acme");
        wire_attribute_str(&resource, 1, "os.type", v == 3 ? "linux2" : "linux");
        wire_attribute_int(&resource, 1, "k", v == 4);
        wire_str(&scope, 1, v == 5 ? "" : "scope");
        wire_attribute_int(&scope, 3, v == 6 ? "n" : "m", 1);
        wire_fixed64(&record, 1, v == 7);
        wire_fixed64(&record, 11, v == 8);
        wire_int(&record, 2, v == 9 ? UINT64_MAX : 1);
        wire_str(&record, 3, v == 10 ? "INFO" : "info");
        if (v == 11)
                wire_bytes(&body, 7, "x", 1);
        else if (v == 12)
                wire_int(&body, 2, 1);
        else if (v == 13)
                wire_double(&body, 4, 1);
        else if (v != 14)
                wire_int(&body, 3, 1);
        if (v != 15)
                wire_attribute_int(&record, 6, "a", v == 16 ? 2 : 1);
        wire_attribute_int(&record, 6, v == 17 ? "a" : "b", 3);
        if (v == 15)
                wire_attribute_int(&record, 6, "a", 1); /* in another order */
        wire_int(&record, 7, v == 18);
        wire_fixed32(&record, 8, v == 19);
        wire_bytes(&record, 9, "\x01\x02", v == 20 ? 1 : 2);
        wire_bytes(&record, 10, "\x01\x02", v == 21 ? 1 : 2);
        wire_str(&record, 12, v == 22 ? "" : "event");
        wire_message(&record, 5, &body);
        struct buf b = wire_request(&resource, &scope, &record);
        if (v == 23) {
                struct buf empty = { 0 };
                wire_message(&b, 1, &empty);
        }
        return b;
}

static void differences_are_found(void **state)
{
        (void)state;
        struct buf b[VARIANTS];
        for (int i = 0; i < VARIANTS; i++)
                b[i] = variant(i);
        for (int i = 0; i < VARIANTS; i++) {
                for (int k = 0; k < VARIANTS; k++) {
                        const char *wrong = otlp_compare(span_of(&b[i]), span_of(&b[k]), &defaults, &counts);
                        if (!wrong != (i == k))
                                fail_msg("%d and %d: %s", i, k, wrong ? wrong : "no difference found");
                }
        }
        for (int i = 0; i < VARIANTS; i++)
                buf_done(&b[i]);
}

/* Both make the same line, but one needs more members at once. */
static void different_refusals_are_found(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        struct buf few = { 0 }, many = { 0 };
        for (int i = 0; i < 4; i++) {
                wire_attribute_int(i > 0 ? &few : &many, 6, "k", i);
                if (i > 0)
                        wire_attribute_int(&many, 6, "k", i);
        }
        struct buf a = wire_request(NULL, NULL, &few), b = wire_request(NULL, NULL, &many);
        limits.scratch_bytes = (size_t)4 * 32;
        assert_null(otlp_compare(span_of(&a), span_of(&b), &limits, &counts));
        limits.scratch_bytes = (size_t)3 * 32;
        assert_non_null(otlp_compare(span_of(&a), span_of(&b), &limits, &counts));
        assert_non_null(otlp_compare(span_of(&b), span_of(&a), &limits, &counts));
        assert_null(otlp_compare(span_of(&b), span_of(&b), &limits, &counts));
        buf_done(&a);
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(a_rich_request, forget_counts),
                cmocka_unit_test_setup(every_damage, forget_counts),
                cmocka_unit_test_setup(every_prefix, forget_counts),
                cmocka_unit_test_setup(random_requests, forget_counts),
                cmocka_unit_test_setup(damaged_random_requests, forget_counts),
                cmocka_unit_test_setup(differences_are_found, forget_counts),
                cmocka_unit_test_setup(different_refusals_are_found, forget_counts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
