/* The arena's ceiling, alignment and reuse. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/arena.h"

static void the_ceiling_counts_rounded_sizes(void **state)
{
        (void)state;
        struct arena *a = arena_new(64);
        assert_non_null(arena_alloc(a, 16));
        assert_non_null(arena_alloc(a, 1)); /* 16 */
        assert_non_null(arena_alloc(a, 0)); /* 16 */
        assert_null(arena_alloc(a, 17));
        assert_non_null(arena_alloc(a, 16));
        assert_null(arena_alloc(a, 0));
        arena_reset(a);
        assert_null(arena_alloc(a, 65));
        assert_non_null(arena_alloc(a, 64));
        arena_free(a);
        assert_null(arena_free(NULL));
}

static void absurd_sizes_do_not_wrap(void **state)
{
        (void)state;
        struct arena *a = arena_new(SIZE_MAX);
        for (size_t less = 0; less < 64; less++)
                assert_null(arena_alloc(a, SIZE_MAX - less));
        assert_null(arena_alloc(a, SIZE_MAX / 2 + 1));
        arena_free(a);
        a = arena_new(0);
        assert_false(arena_is_full(a));
        assert_null(arena_alloc(a, 0));
        assert_true(arena_is_full(a));
        arena_reset(a);
        assert_false(arena_is_full(a));
        arena_free(a);
}

/* Sizes around the block size, over and over: aligned, apart, and intact. */
static void allocations_do_not_overlap(void **state)
{
        (void)state;
        static const size_t sizes[] = { 1, 15, 16, 17, 1000, 30000, 65535, 65536, 65537, 200000, 8 };
        enum { N = 60 };
        uint8_t *at[N];
        struct arena *a = arena_new(64 << 20);
        for (int round = 0; round < 4; round++) {
                for (size_t i = 0; i < N; i++) {
                        size_t n = sizes[(i * 7 + (size_t)round) % (sizeof(sizes) / sizeof(sizes[0]))];
                        at[i] = arena_alloc(a, n);
                        assert_non_null(at[i]);
                        assert_int_equal((uintptr_t)at[i] % 16, 0);
                        memset(at[i], (int)i, n);
                }
                for (size_t i = 0; i < N; i++) {
                        size_t n = sizes[(i * 7 + (size_t)round) % (sizeof(sizes) / sizeof(sizes[0]))];
                        for (size_t k = 0; k < n; k += n / 8 + 1)
                                assert_int_equal(at[i][k], i);
                        assert_int_equal(at[i][n - 1], i);
                }
                arena_reset(a);
        }
        arena_free(a);
}

static void reset_keeps_blocks(void **state)
{
        (void)state;
        struct arena *a = arena_new(64 << 20);
        arena_reset(a); /* of nothing */
        void *first = arena_alloc(a, 100), *second = arena_alloc(a, 65500);
        arena_alloc(a, 1 << 20); /* a block of its own, not kept */
        arena_reset(a);
        assert_ptr_equal(arena_alloc(a, 100), first);
        assert_ptr_equal(arena_alloc(a, 65500), second);
        arena_reset(a);
        assert_non_null(arena_alloc(a, 1 << 20)); /* in front of those that were kept */
        assert_ptr_equal(arena_alloc(a, 100), first);
        arena_free(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_ceiling_counts_rounded_sizes),
                cmocka_unit_test(absurd_sizes_do_not_wrap),
                cmocka_unit_test(allocations_do_not_overlap),
                cmocka_unit_test(reset_keeps_blocks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
