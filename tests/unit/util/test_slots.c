/* Limits at N and N + 1, in all and by key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/slots.h"

static void test_the_total(_unused_ void **state)
{
        _cleanup_(slots_freep) struct slots *s = slots_new(2, 1);
        assert_true(slots_take(s));
        assert_true(slots_take(s));
        assert_false(slots_take(s));
        slots_give(s);
        assert_true(slots_take(s));
        assert_false(slots_take(s));
}

static void test_each_key(_unused_ void **state)
{
        _cleanup_(slots_freep) struct slots *s = slots_new(0, 2);
        for (int i = 0; i < 2; i++) {
                assert_true(slots_take_key(s, "a", 1));
                assert_true(slots_take_key(s, "a\0b", 3)); /* another key */
        }
        assert_false(slots_take_key(s, "a", 1));
        assert_false(slots_take_key(s, "a\0b", 3));
        slots_give_key(s, "a", 1);
        assert_false(slots_take_key(s, "a\0b", 3));
        assert_true(slots_take_key(s, "a", 1));
        assert_false(slots_take_key(s, "a", 1));
}

static void test_a_key_that_nobody_has_is_forgotten(_unused_ void **state)
{
        _cleanup_(slots_freep) struct slots *s = slots_new(0, 1);
        for (unsigned i = 0; i < 1000; i++) {
                assert_true(slots_take_key(s, &i, sizeof(i)));
                slots_give_key(s, &i, sizeof(i));
                assert_true(slots_take_key(s, &i, sizeof(i)));
                if (i % 2)
                        slots_give_key(s, &i, sizeof(i));
        }
}

static void test_no_slots_for_keys(_unused_ void **state)
{
        _cleanup_(slots_freep) struct slots *s = slots_new(1, 0);
        assert_false(slots_take_key(s, "a", 1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_total),
                cmocka_unit_test(test_each_key),
                cmocka_unit_test(test_a_key_that_nobody_has_is_forgotten),
                cmocka_unit_test(test_no_slots_for_keys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
