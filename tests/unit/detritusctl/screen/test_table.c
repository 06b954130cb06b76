/* Tables: in a pipe, across pages, and on terminals that are too narrow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "captured.h"
#include "detritusctl/screen/table.h"

static const struct table_column columns[] = {
        { .title = "ID", .right = true },
        { .title = "NAME", .max = 12 },
        { .title = "KIND", .spare = 1 },
        { .title = "TEXT" },
};

static const char *const rows[][ARRAY_LEN(columns)] = {
        { "7", "short", "Minidump", "one\x1b[31m and more words\nsecond line" },
        { "12345", "a name that is long", "Minidump", NULL },
};

static const char *printed(unsigned terminal_columns)
{
        struct table *t;
        if (terminal_columns > 0)
                captured_begin_terminal(terminal_columns);
        else
                captured_begin(STDOUT_FILENO);
        assert_int_equal(table_new(columns, ARRAY_LEN(columns), &t), 0);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                assert_int_equal(table_add(t, rows[i]), 0);
        assert_int_equal(table_finish(t), 0);
        table_free(t);
        return captured_end();
}

static void test_in_a_pipe(_unused_ void **state)
{
        assert_string_equal(printed(0), "   ID  NAME          KIND      TEXT\n"
                                        "    7  short         Minidump  one?[31m and more words\n"
                                        "12345  a name th...  Minidump  \n");
}

static void test_without_rows(_unused_ void **state)
{
        struct table *t;
        captured_begin(STDOUT_FILENO);
        assert_int_equal(table_new(columns, ARRAY_LEN(columns), &t), 0);
        assert_int_equal(table_finish(t), 0);
        table_free(t);
        assert_string_equal(captured_end(), "ID  NAME  KIND  TEXT\n");
}

/* First columns shrink to 11 characters, then those that can be spared are left out; at last the text is cut, but
 * not below ten characters. */
static void test_on_a_narrow_terminal(_unused_ void **state)
{
        assert_string_equal(printed(54), "   ID  NAME          KIND      TEXT\n"
                                         "    7  short         Minidump  one?[31m and more words\n"
                                         "12345  a name th...  Minidump  \n");
        assert_string_equal(printed(53), "   ID  NAME         KIND      TEXT\n"
                                         "    7  short        Minidump  one?[31m and more words\n"
                                         "12345  a name t...  Minidump  \n");
        assert_string_equal(printed(52), "   ID  NAME         TEXT\n"
                                         "    7  short        one?[31m and more words\n"
                                         "12345  a name t...  \n");
        assert_string_equal(printed(20), "   ID  NAME         TEXT\n"
                                         "    7  short        one?[31...\n"
                                         "12345  a name t...  \n");
}

/* Titles are printed once, and a column only grows from page to page. */
static void test_pages(_unused_ void **state)
{
        static const struct table_column two[] = { { .title = "A" }, { .title = "B" } };
        struct table *t;
        captured_begin(STDOUT_FILENO);
        assert_int_equal(table_new(two, ARRAY_LEN(two), &t), 0);
        for (int i = 0; i < 501; i++)
                assert_int_equal(table_add(t, (const char *[]){ i == 0 ? "wide" : i == 500 ? "wider" : "x", "y" }), 0);
        assert_int_equal(table_finish(t), 0);
        table_free(t);
        const char *text = captured_end(), *end = text + strlen(text);
        assert_true(strncmp(text, "A     B\nwide  y\nx     y\n", 24) == 0);
        assert_null(strstr(text + 1, "A "));
        assert_string_equal(end - 17, "x     y\nwider  y\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in_a_pipe),
                cmocka_unit_test(test_without_rows),
                cmocka_unit_test(test_on_a_narrow_terminal),
                cmocka_unit_test(test_pages),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
