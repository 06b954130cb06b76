/* Values that people type, pages of lists, questions and receipts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "captured.h"
#include "detritusctl/access/paging.h"
#include "detritusctl/access/receipt.h"
#include "detritusctl/access/row.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "protocol/json/json_read.h"

static void test_counts(_unused_ void **state)
{
        static const char *const wrong[] = { "", "-1", "+1", " 1", "1x", "1.5", "0x1", "11", "18446744073709551616" };
        uint64_t n = 7;
        assert_int_equal(arg_count("--limit", "0", 10, &n), CTL_OK);
        assert_int_equal(n, 0);
        assert_int_equal(arg_count("--limit", "10", 10, &n), CTL_OK);
        assert_int_equal(n, 10);
        assert_int_equal(arg_count("--limit", "18446744073709551615", UINT64_MAX, &n), CTL_OK);
        assert_true(n == UINT64_MAX);
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                captured_begin(STDERR_FILENO);
                int status = arg_count("--limit", wrong[i], 10, &n);
                const char *message = captured_end();
                assert_int_equal(status, CTL_USAGE);
                assert_true(strncmp(message, "detritusctl: --limit: ", 22) == 0);
        }
        assert_true(n == UINT64_MAX);
}

static void test_times(_unused_ void **state)
{
        struct moment at = { 0 };
        assert_int_equal(arg_moment("--since", "2026-05-19", &at), CTL_OK);
        assert_int_equal(at.sec, 1779148800);
        captured_begin(STDERR_FILENO);
        int status = arg_moment("--since", "monday\x1b", &at);
        assert_string_equal(
                captured_end(),
                "detritusctl: --since: \"monday?\" is not a time; use a time like 2026-05-19T08:30:00Z, a day "
                "like 2026-05-19, or how long ago, like 2h or 3d (see --help)\n");
        assert_int_equal(status, CTL_USAGE);
}

static void test_ids(_unused_ void **state)
{
        assert_int_equal(arg_id("0"), 0);
        assert_true(arg_id("999999999999999999") == INT64_C(999999999999999999));
        assert_int_equal(arg_id("1000000000000000000"), -1);
        assert_int_equal(arg_id(""), -1);
        assert_int_equal(arg_id("-1"), -1);
        assert_int_equal(arg_id("1 "), -1);
}

static void test_cursors(_unused_ void **state)
{
        static const char *const wrong[] = { "",   "2026-05-19T08:30:00.000Z",   "2026-05-19T08:30:00.000Z,",
                                             "42", "2026-05-19T08:30:00.000Z,x", "2026-05-19T08:30:99.000Z,42" };
        struct index_cursor cursor = { 0 };
        assert_int_equal(paging_cursor("2026-05-19T08:30:00.000Z,42", &cursor), CTL_OK);
        assert_string_equal(cursor.at, "2026-05-19T08:30:00.000Z");
        assert_int_equal(cursor.id, 42);
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                captured_begin(STDERR_FILENO);
                int status = paging_cursor(wrong[i], &cursor);
                assert_non_null(strstr(captured_end(), "is not the end of a page"));
                assert_int_equal(status, CTL_USAGE);
        }
}

static void test_rows(_unused_ void **state)
{
        struct json_object *row = NULL;
        assert_int_equal(row_parse("{\"id\":17}", &row), 0);
        assert_int_equal(json_read_u64(row, "id"), 17);
        json_read_free(row);
        assert_int_equal(row_parse("{\"id\":", &row), -EBADMSG);
}

/* Without a terminal nobody is asked, and nothing is done. */
static void test_nobody_to_ask(_unused_ void **state)
{
        const struct ctl ctl = { 0 }, sure = { .yes = true };
        int input = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(input >= 0 && dup2(null, STDIN_FILENO) == STDIN_FILENO);
        captured_begin(STDERR_FILENO);
        int status = confirm(&ctl, "delete %d crashes", 3);
        assert_string_equal(captured_end(),
                            "detritusctl: there is no terminal to ask on; use --yes to delete 3 crashes\n");
        assert_int_equal(status, CTL_FAILED);
        assert_int_equal(confirm(&sure, "delete %d crashes", 3), CTL_OK);
        assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
        close(input);
        close(null);
}

static void expect_receipt(const struct ctl *ctl, const char *answer, const char *expected)
{
        struct json_object *tree = NULL;
        assert_int_equal(row_parse(answer, &tree), 0);
        captured_begin(STDOUT_FILENO);
        int r = receipt_print(ctl, "purged: a\x1b", tree);
        assert_string_equal(captured_end(), expected);
        assert_int_equal(r, 0);
        json_read_free(tree);
}

static void test_receipts(_unused_ void **state)
{
        const struct ctl people = { 0 }, script = { .json = true };
        static const char answer[] = "{\"ok\":true,\"crashes\":2,\"blobs\":3,\"blob_bytes\":2048,\"held_kept\":0}";
        expect_receipt(
                &people, answer,
                "purged: a?\n  crashes             2\n  blobs               3  2.0 KiB\n  held, kept          0\n");
        expect_receipt(&people, "{\"error\":\"no\"}", "");
        expect_receipt(&script, answer,
                       "{\"ok\":true,\"crashes\":2,\"blobs\":3,\"blob_bytes\":2048,\"held_kept\":0}\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counts),   cmocka_unit_test(test_times), cmocka_unit_test(test_ids),
                cmocka_unit_test(test_cursors),  cmocka_unit_test(test_rows),  cmocka_unit_test(test_nobody_to_ask),
                cmocka_unit_test(test_receipts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
