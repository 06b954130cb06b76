/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/files/path.h"

static void test_endings(_unused_ void **state)
{
        assert_true(path_ends_with("a.zst", ".zst"));
        assert_true(path_ends_with("logs/a.zst.zst", ".zst"));
        assert_false(path_ends_with(".zst", ".zst"));
        assert_false(path_ends_with("st", ".zst"));
        assert_false(path_ends_with("a.zst.new", ".zst"));
}

static void test_parents(_unused_ void **state)
{
        char parent[PATH_MAX], path[PATH_MAX + 8];
        static const char *const cases[][2] = { { "a", "." }, { "/a", "/" }, { "a/b", "a" }, { "/a/b/c", "/a/b" } };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                assert_int_equal(path_parent(cases[i][0], parent), 0);
                assert_string_equal(parent, cases[i][1]);
        }
        memset(path, 'x', sizeof(path));
        strcpy(path + PATH_MAX - 1, "/y");
        assert_int_equal(path_parent(path, parent), 0); /* PATH_MAX - 1 and the NUL */
        strcpy(path + PATH_MAX - 1, "x/y");
        assert_int_equal(path_parent(path, parent), -ENAMETOOLONG);
}

static void test_unfinished_names(_unused_ void **state)
{
        char first[PATH_MAX], second[PATH_MAX], path[PATH_MAX + 8];
        assert_int_equal(path_unfinished("dir/name", first), 0);
        assert_int_equal(path_unfinished("dir/name", second), 0);
        assert_int_equal(strncmp(first, "dir/" PATH_UNFINISHED, strlen("dir/" PATH_UNFINISHED)), 0);
        assert_string_not_equal(first, second);
        memset(path, 'x', sizeof(path));
        strcpy(path + PATH_MAX - 3, "/y");
        assert_int_equal(path_unfinished(path, first), -ENAMETOOLONG);
}

static void test_remove(_unused_ void **state)
{
        char dir[] = "/tmp/detritus-test-XXXXXX";
        assert_non_null(mkdtemp(dir));
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(openat(fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        assert_int_equal(path_remove(fd, "f"), 0);
        assert_int_equal(faccessat(fd, "f", F_OK, 0), -1);
        assert_int_equal(path_remove(fd, "f"), 0);
        assert_int_equal(path_remove(fd, "."), -EISDIR);
        close(fd);
        rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_endings),
                cmocka_unit_test(test_parents),
                cmocka_unit_test(test_unfinished_names),
                cmocka_unit_test(test_remove),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
