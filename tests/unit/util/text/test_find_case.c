/* Against the plain way, for texts and needles of all lengths around the size of a step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "util/text/eight.h"
#include "util/text/find_case.h"

static const char *find_slowly(const char *text, size_t len, const char *what, size_t what_len)
{
        for (size_t i = 0; i + what_len <= len; i++) {
                if (strncasecmp(text + i, what, what_len) == 0)
                        return text + i;
        }
        return NULL;
}

static void as_the_plain_way(void **state)
{
        (void)state;
        static const char alphabet[] = "aAbBzZ@[`{\xC3\xE9k";
        char text[80], what[20];
        srandom(7);
        for (int turn = 0; turn < 200000; turn++) {
                size_t len = (size_t)random() % sizeof(text), what_len = (size_t)random() % 5;
                for (size_t i = 0; i < len; i++)
                        text[i] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
                for (size_t i = 0; i < what_len; i++)
                        what[i] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
                char *exact = malloc(len > 0 ? len : 1); /* so that a sanitizer sees a look beyond the end */
                memcpy(exact, text, len);
                const char *found = find_case(exact, len, what, what_len);
                assert_ptr_equal(found, find_slowly(exact, len, what, what_len));
                free(exact);
        }
}

static void at_each_place(void **state)
{
        (void)state;
        char text[100];
        for (size_t at = 0; at + 6 <= sizeof(text); at++) {
                memset(text, 'n', sizeof(text));
                memcpy(text + at, "NeEdLe", 6);
                assert_ptr_equal(find_case(text, sizeof(text), "nEedle", 6), text + at);
                assert_null(find_case(text, at + 5, "needle", 6));
        }
}

static void eight_bytes(void **state)
{
        (void)state;
        for (int c = 0; c < 256; c++) {
                for (unsigned at = 0; at < 8; at++) {
                        char text[8];
                        memset(text, 'x', 8);
                        text[at] = (char)c;
                        uint64_t x = eight_load(text), quote = eight_equal(x, '"'), control = eight_below(x, 0x20);
                        assert_int_equal(quote != 0, c == '"');
                        assert_int_equal(control != 0, c < 0x20);
                        if (quote)
                                assert_int_equal(eight_first(quote), at);
                        if (control)
                                assert_int_equal(eight_first(control), at);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(as_the_plain_way),
                cmocka_unit_test(at_each_place),
                cmocka_unit_test(eight_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
