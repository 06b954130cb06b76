/* The board: what is on it, for how long, what it stops, and how long one source's trouble counts for health. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/troubles.h"

static void test_set_and_clear(_unused_ void **state)
{
        _cleanup_(troubles_freep) struct troubles *t = troubles_new();
        struct trouble list[TROUBLE_KIND_MAX_], one;
        assert_int_equal(troubles_read(t, list), 0);
        assert_false(troubles_get(t, TROUBLE_LOGS_DENIED, &one));
        troubles_set(t, TROUBLE_RETENTION_CLOCK, NULL, "the clock jumped by %d s", 5);
        troubles_set(t, TROUBLE_LOGS_DENIED, "logs/acme", "permission denied");
        assert_int_equal(troubles_read(t, list), 2);
        assert_int_equal(list[0].kind, TROUBLE_LOGS_DENIED);
        assert_string_equal(list[0].path, "logs/acme");
        assert_string_equal(list[1].reason, "the clock jumped by 5 s");
        assert_string_equal(list[1].path, "");
        troubles_clear(t, TROUBLE_LOGS_DENIED);
        troubles_clear(t, TROUBLE_LOGS_DENIED);
        assert_false(troubles_has(t, TROUBLE_LOGS_DENIED));
        assert_int_equal(troubles_read(t, list), 1);
}

static void test_again_keeps_when_it_began(_unused_ void **state)
{
        _cleanup_(troubles_freep) struct troubles *t = troubles_new();
        struct trouble before, after;
        troubles_set(t, TROUBLE_LOGS_DENIED, "logs", "permission denied");
        assert_true(troubles_get(t, TROUBLE_LOGS_DENIED, &before));
        troubles_set(t, TROUBLE_LOGS_DENIED, "journal", "not permitted");
        assert_true(troubles_get(t, TROUBLE_LOGS_DENIED, &after));
        assert_string_equal(after.path, "journal");
        assert_string_equal(after.reason, "not permitted");
        assert_int_equal(after.since_ns, before.since_ns);
        assert_int_equal(after.since.nsec, before.since.nsec);
}

static void test_what_it_stops(_unused_ void **state)
{
        for (unsigned k = 0; k < TROUBLE_KIND_MAX_; k++) {
                _cleanup_(troubles_freep) struct troubles *t = troubles_new();
                struct trouble one;
                troubles_set(t, k, NULL, "for a reason");
                bool stops = trouble_stops_logs(k) || trouble_stops_crashes(k) || k == TROUBLE_SOURCE_DENIED ||
                             k == TROUBLE_FILES_DENIED;
                assert_int_equal(troubles_unhealthy(t, clock_monotonic_ns(), &one), stops);
                if (stops)
                        assert_int_equal(one.kind, k);
                for (unsigned other = 0; other < k; other++)
                        assert_string_not_equal(trouble_name(k), trouble_name(other));
        }
}

static void test_one_source_does_not_count_for_ever(_unused_ void **state)
{
        _cleanup_(troubles_freep) struct troubles *t = troubles_new();
        struct trouble one;
        troubles_set(t, TROUBLE_SOURCE_DENIED, "logs/acme/dev-1", "permission denied");
        assert_true(troubles_get(t, TROUBLE_SOURCE_DENIED, &one));
        uint64_t began = one.since_ns;
        assert_true(troubles_unhealthy(t, began + TROUBLE_WARNING_NS, &one));
        assert_false(troubles_unhealthy(t, began + TROUBLE_WARNING_NS + 1, &one));
        troubles_set(t, TROUBLE_CRASHES_DENIED, "crashes/by-hash", "permission denied");
        assert_true(troubles_unhealthy(t, began + TROUBLE_WARNING_NS + 1, &one));
        assert_string_equal(one.path, "crashes/by-hash");
}

static void test_texts_are_cut(_unused_ void **state)
{
        _cleanup_(troubles_freep) struct troubles *t = troubles_new();
        struct trouble one;
        char text[2 * TROUBLE_PATH_SIZE];
        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        troubles_set(t, TROUBLE_LOGS_DENIED, text, "%s", text);
        assert_true(troubles_get(t, TROUBLE_LOGS_DENIED, &one));
        assert_int_equal(strlen(one.path), TROUBLE_PATH_SIZE - 1);
        assert_int_equal(strlen(one.reason), TROUBLE_REASON_SIZE - 1);
}

static void test_without_a_board(_unused_ void **state)
{
        struct trouble one;
        troubles_set(NULL, TROUBLE_LOGS_DENIED, NULL, "nobody reads it");
        troubles_clear(NULL, TROUBLE_LOGS_DENIED);
        assert_false(troubles_get(NULL, TROUBLE_LOGS_DENIED, &one));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_set_and_clear), cmocka_unit_test(test_again_keeps_when_it_began),
                cmocka_unit_test(test_what_it_stops), cmocka_unit_test(test_one_source_does_not_count_for_ever),
                cmocka_unit_test(test_texts_are_cut), cmocka_unit_test(test_without_a_board),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
