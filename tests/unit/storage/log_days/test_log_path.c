/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "storage/log_days/log_path.h"
#include "util/cleanup.h"

static void test_parse(_unused_ void **state)
{
        struct source source;
        char day[CLOCK_DAY_SIZE];
        bool compressed;
        assert_true(log_path_parse("logs/acme/i-1/2026-05-19.ndjson", &source, day, &compressed));
        assert_string_equal(source.project, "acme");
        assert_string_equal(source.install_id, "i-1");
        assert_string_equal(day, "2026-05-19");
        assert_false(compressed);
        assert_true(log_path_parse("logs/acme/i-1/2026-05-19.ndjson.zst", &source, day, &compressed));
        assert_true(compressed);
        static const char *const others[] = { "logs/acme/2026-05-19.ndjson",     "logs/.a/i/2026-05-19.ndjson",
                                              "logs/a/i/2026-05-19.ndjson.torn", "logs/a/i/2026-5-19.ndjson",
                                              "crashes/a/i/2026-05-19.ndjson",   "logs/a/../2026-05-19.ndjson" };
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
                assert_false(log_path_parse(others[i], &source, day, &compressed));
}

/* The longest names there can be still fit, and come back. */
static void test_format_is_what_parse_reads(_unused_ void **state)
{
        struct source source = { 0 }, found;
        char path[LOG_PATH_SIZE], day[CLOCK_DAY_SIZE];
        bool compressed;
        memset(source.project, 'p', SOURCE_COMPONENT_MAX);
        memset(source.install_id, 'i', SOURCE_COMPONENT_MAX);
        for (int zst = 0; zst < 2; zst++) {
                log_path_format(source.project, source.install_id, "2026-05-19", zst, path);
                assert_true(log_path_parse(path, &found, day, &compressed));
                assert_memory_equal(&found, &source, sizeof(source));
                assert_string_equal(day, "2026-05-19");
                assert_int_equal(compressed, zst);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_format_is_what_parse_reads),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
