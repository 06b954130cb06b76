/* Who gets how many descriptors, at every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "config/descriptors.h"
#include "util/cleanup.h"

static const struct config_limits limits = {
        .connections = 8192, .log_files_open = 16384, .uploads = 64, .multipart_parts = 64
};

static void test_never_more_than_there_are(_unused_ void **state)
{
        for (uint64_t n = DESCRIPTORS_MIN; n < 100000; n = n * 9 / 8) {
                struct descriptors d;
                assert_int_equal(descriptors_share(&limits, n, &d, NULL), 0);
                assert_true(DESCRIPTORS_FIXED + d.log_files + d.uploads + d.connections <= n);
                assert_true(d.connections >= 32 && d.log_files >= 80 && d.uploads >= 80);
        }
}

static void test_enough_for_all(_unused_ void **state)
{
        struct descriptors d;
        assert_int_equal(descriptors_share(&limits, UINT64_MAX, &d, NULL), 0);
        assert_int_equal(d.connections, limits.connections);
        assert_int_equal(d.log_files, limits.log_files_open);
        assert_int_equal(d.uploads, 64 * 66);
}

static void test_too_few(_unused_ void **state)
{
        struct descriptors d;
        struct error err = { "" };
        assert_int_equal(descriptors_share(&limits, DESCRIPTORS_MIN - 1, &d, &err), -EMFILE);
        assert_non_null(strstr(err.text, "at most 319 files may be open, and at least 320 are needed"));
        assert_int_equal(descriptors_share(&limits, DESCRIPTORS_MIN, &d, &err), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_never_more_than_there_are),
                cmocka_unit_test(test_enough_for_all),
                cmocka_unit_test(test_too_few),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
