/* What `crashes list` and `crashes show` make of the index's rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "captured.h"
#include "detritusctl/crashes/crash_page.h"
#include "detritusctl/crashes/crash_table.h"
#include "util/buf.h"

#define ROW(id, panic)                                                                                                 \
        "{\"id\":" id ",\"project\":\"acme\",\"install_id\":\"i\",\"platform\":null,\"version\":\"1.7\",\"kind\":"     \
        "\"Minidump\",\"crashed_at\":\"2026-05-19T08:30:00.123Z\",\"dump_len\":20004,\"attachments\":1,"               \
        "\"panic_text\":" panic "}"

/* Rust's place and message come on one line; of other texts the first line. */
static void test_table(_unused_ void **state)
{
        static const char *const rows[] = {
                ROW("7", "\"thread 'main' panicked at src/x.rs:1:2:\\nboom\\nmore\""),
                ROW("12", "\"thread 'main' panicked at 'boom', src/x.rs:1:2\""),
                ROW("13", "\"one\\u001b\\ntwo\""),
                ROW("14", "null"),
        };
        struct table *t;
        captured_begin(STDOUT_FILENO);
        assert_int_equal(crash_table_new(&t), 0);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                assert_int_equal(crash_table_add(t, rows[i]), 0);
        assert_int_equal(crash_table_add(t, "{\"id\":"), -EBADMSG);
        assert_int_equal(table_finish(t), 0);
        table_free(t);
        assert_string_equal(
                captured_end(),
                "ID  CRASHED               PROJECT  INSTALL  VERSION  KIND          SIZE  FILES  PANIC\n"
                " 7  2026-05-19T08:30:00Z  acme     i        1.7      Minidump  19.5 KiB      1  src/x.rs:1:2: boom\n"
                "12  2026-05-19T08:30:00Z  acme     i        1.7      Minidump  19.5 KiB      1  'boom', src/x.rs:1:2\n"
                "13  2026-05-19T08:30:00Z  acme     i        1.7      Minidump  19.5 KiB      1  one?\n"
                "14  2026-05-19T08:30:00Z  acme     i        1.7      Minidump  19.5 KiB      1  \n");
}

static void test_page(_unused_ void **state)
{
        captured_begin(STDOUT_FILENO);
        int r = crash_page_print(
                NULL,
                "{\"id\":7,\"project\":\"acme\",\"version\":null,\"crashed_at\":\"2026-05-19T08:30:00Z\",\"held\":"
                "false,\"dump\":{\"sha256\":\"ab\",\"len\":20004},\"attachments\":[{\"key\":\"log\",\"len\":3}],"
                "\"panic_text\":\"one\\ntwo\\u009b\",\"context\":{\"a\":[1,\"x/y\"]}}");
        assert_string_equal(captured_end(), "Crash 7\n"
                                            "  project           acme\n"
                                            "  crashed_at        2026-05-19T08:30:00Z\n"
                                            "  held              false\n"
                                            "\nDump\n"
                                            "  sha256            ab\n"
                                            "  size              20004 bytes (19.5 KiB)\n"
                                            "\nAttachment 1\n"
                                            "  key               log\n"
                                            "  size              3 B\n"
                                            "\nPanic\n  one\n  two?\n"
                                            "\nContext\n  {\n    \"a\": [\n      1,\n      \"x/y\"\n    ]\n  }\n");
        assert_int_equal(r, 0);
}

/* As deep as a client may send it. */
static void test_a_deep_context(_unused_ void **state)
{
        enum { DEPTH = 31 }; /* and the object around it */
        _cleanup_(buf_done) struct buf json = { 0 };
        buf_append_str(&json, "{\"id\":7,\"context\":");
        for (int i = 0; i < DEPTH; i++)
                buf_append_str(&json, "{\"a\":");
        buf_append_str(&json, "\"bottom\"");
        for (int i = 0; i <= DEPTH; i++)
                buf_append_char(&json, '}');
        assert_int_equal(buf_append_char(&json, '\0'), 0);
        captured_begin(STDOUT_FILENO);
        int r = crash_page_print(NULL, (const char *)json.data);
        assert_non_null(strstr(captured_end(), "\"a\": \"bottom\"\n"));
        assert_int_equal(r, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_page),
                cmocka_unit_test(test_a_deep_context),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
