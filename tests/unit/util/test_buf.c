/* The buffer: growth, failure, and handing over. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/buf.h"

static void grows(void **state)
{
        (void)state;
        struct buf b = { 0 };
        for (int i = 0; i < 5000; i++)
                assert_int_equal(buf_append_char(&b, (char)('a' + i % 26)), 0);
        assert_int_equal(b.len, 5000);
        assert_true(b.cap >= 5000 && b.cap <= 10000);
        for (int i = 0; i < 5000; i++)
                assert_int_equal(b.data[i], 'a' + i % 26);
        buf_done(&b);
        assert_null(b.data);
        assert_int_equal(b.len, 0);
        assert_int_equal(buf_append_str(&b, "again"), 0);
        assert_memory_equal(b.data, "again", 5);
        buf_done(&b);
}

static void reserve_is_exactly_enough(void **state)
{
        (void)state;
        static const size_t sizes[] = { 0, 1, 63, 64, 65, 127, 128, 129, 100000 };
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct buf b = { 0 };
                assert_int_equal(buf_reserve(&b, sizes[i]), 0);
                assert_true(b.cap - b.len >= sizes[i]);
                uint8_t *before = b.data;
                memset(b.data ? b.data : (uint8_t[1]){ 0 }, 'x', sizes[i]);
                b.len = sizes[i];
                assert_int_equal(buf_reserve(&b, 0), 0);
                assert_ptr_equal(b.data, before);
                assert_int_equal(buf_reserve(&b, 1), 0);
                buf_done(&b);
        }
}

static void a_failure_changes_nothing(void **state)
{
        (void)state;
        struct buf b = { 0 };
        assert_int_equal(buf_append_str(&b, "kept"), 0);
        struct buf before = b;
        assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM);
        assert_int_equal(buf_reserve(&b, SIZE_MAX - 4), -ENOMEM);
        assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
        assert_int_equal(buf_append(&b, "", SIZE_MAX / 2), -ENOMEM);
        assert_ptr_equal(b.data, before.data);
        assert_int_equal(b.len, 4);
        assert_memory_equal(b.data, "kept", 4);
        buf_done(&b);
}

static void an_error_sticks(void **state)
{
        (void)state;
        struct buf b = { 0 };
        assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM); /* this one does not */
        assert_int_equal(buf_append_str(&b, "kept"), 0);
        assert_int_equal(buf_append(&b, "", SIZE_MAX / 2), -ENOMEM);
        assert_int_equal(b.error, -ENOMEM);
        assert_int_equal(buf_append_str(&b, "lost"), -ENOMEM);
        assert_int_equal(buf_append(&b, "", 0), -ENOMEM);
        assert_int_equal(buf_append_char(&b, 'x'), -ENOMEM);
        assert_int_equal(buf_printf(&b, "%d", 1), -ENOMEM);
        assert_int_equal(buf_read_fd(&b, -1, 1), -ENOMEM);
        assert_null(buf_take_str(&b));
        assert_int_equal(b.len, 4);
        buf_clear(&b);
        assert_int_equal(b.len, 0);
        assert_int_equal(buf_append_str(&b, "again"), 0);
        buf_done(&b);
}

static void prints(void **state)
{
        (void)state;
        struct buf b = { 0 };
        char longest[1001];
        memset(longest, 'y', 1000);
        longest[1000] = '\0';
        assert_int_equal(buf_printf(&b, "%d-%s", 42, "x"), 0);
        assert_int_equal(buf_printf(&b, "%s", ""), 0);
        assert_int_equal(buf_printf(&b, "%s", longest), 0);
        assert_int_equal(b.len, 4 + 1000);
        assert_memory_equal(b.data, "42-xyyy", 7);
        buf_done(&b);
}

static void consumes(void **state)
{
        (void)state;
        struct buf b = { 0 };
        buf_consume(&b, 0);
        assert_int_equal(buf_append_str(&b, "abcdef"), 0);
        buf_consume(&b, 2);
        assert_int_equal(b.len, 4);
        assert_memory_equal(b.data, "cdef", 4);
        buf_consume(&b, 4);
        assert_int_equal(b.len, 0);
        buf_done(&b);
}

static void hands_over(void **state)
{
        (void)state;
        struct buf b = { 0 };
        char *s = buf_take_str(&b);
        assert_string_equal(s, "");
        free(s);
        for (int i = 0; i < 64; i++) /* full to the last byte: the NUL needs more */
                assert_int_equal(buf_append_char(&b, 'z'), 0);
        s = buf_take_str(&b);
        assert_int_equal(strlen(s), 64);
        assert_null(b.data);
        free(s);
}

/* From a pipe, which knows no size: all of it, and no more than allowed. */
static void reads_a_descriptor(void **state)
{
        (void)state;
        for (size_t len = 99; len <= 101; len++) {
                struct buf b = { 0 };
                char text[101];
                int ends[2];
                memset(text, 'x', sizeof(text));
                assert_int_equal(pipe(ends), 0);
                assert_int_equal(write(ends[1], text, len), len);
                close(ends[1]);
                assert_int_equal(buf_append_str(&b, "before"), 0);
                assert_int_equal(buf_read_fd(&b, ends[0], 100), len > 100 ? -EFBIG : 0);
                if (len <= 100)
                        assert_int_equal(b.len, strlen("before") + len);
                assert_int_equal(buf_read_fd(&b, -1, 100), -EBADF);
                close(ends[0]);
                buf_done(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(grows),
                cmocka_unit_test(reserve_is_exactly_enough),
                cmocka_unit_test(a_failure_changes_nothing),
                cmocka_unit_test(an_error_sticks),
                cmocka_unit_test(prints),
                cmocka_unit_test(consumes),
                cmocka_unit_test(reads_a_descriptor),
                cmocka_unit_test(hands_over),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
