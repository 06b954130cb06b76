/* The table: what is final and what is not, by the kind of call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/files/failure.h"

/* What comes and goes, whichever call it is: a sync that says so could not open its directory. */
static void test_passing_everywhere(_unused_ void **state)
{
        static const int errors[] = { EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR, EACCES, EPERM, EBUSY };
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
                for (enum failure_call call = FAILURE_NAME; call <= FAILURE_SYNC; call++)
                        assert_int_equal(failure_of(call, -errors[i]), FAILURE_PASSING);
        }
}

static void test_what_the_kernel_says_of_written_data(_unused_ void **state)
{
        static const int errors[] = { EIO, ENOSPC, EDQUOT, EROFS };
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
                assert_int_equal(failure_of(FAILURE_SYNC, -errors[i]), FAILURE_FINAL);
                assert_int_equal(failure_of(FAILURE_NAME, -errors[i]), FAILURE_PASSING);
                assert_int_equal(failure_of(FAILURE_WRITE, -errors[i]),
                                 errors[i] == EIO ? FAILURE_FINAL : FAILURE_PASSING);
        }
}

static void test_what_a_request_cannot_have(_unused_ void **state)
{
        static const int errors[] = { EINVAL, ENAMETOOLONG, EILSEQ, E2BIG, EOVERFLOW };
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
                assert_int_equal(failure_of(FAILURE_NAME, -errors[i]), FAILURE_REQUEST);
                assert_int_equal(failure_of(FAILURE_WRITE, -errors[i]), FAILURE_REQUEST);
        }
}

/* Nothing is lost by what nobody has thought of. */
static void test_unknown(_unused_ void **state)
{
        assert_int_equal(failure_of(FAILURE_NAME, -ESTALE), FAILURE_PASSING);
        assert_int_equal(failure_of(FAILURE_WRITE, -ESTALE), FAILURE_PASSING);
        assert_int_equal(failure_of(FAILURE_SYNC, -ESTALE), FAILURE_FINAL);
}

static void test_words(_unused_ void **state)
{
        for (int e = 1; e < 134; e++)
                assert_true(strlen(failure_words(-e)) > 0);
        assert_string_equal(failure_words(-EMFILE), "too many files are open");
        assert_true(failure_is_denial(-EACCES) && failure_is_denial(-EPERM) && !failure_is_denial(-EIO));
        assert_true(failure_is_full(-EDQUOT) && !failure_is_full(-EIO));
        assert_true(failure_is_descriptors(-ENFILE) && !failure_is_descriptors(-ENOMEM));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_passing_everywhere),
                cmocka_unit_test(test_what_the_kernel_says_of_written_data),
                cmocka_unit_test(test_what_a_request_cannot_have),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
