/* What a walk sees at each depth, what it passes over, and what ends it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/files/entries.h"

static char dir[64];
static int dir_fd;
static char seen[512], hidden[512]; /* paths in no order, each with a space after it */

static void put(const char *path)
{
        int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
}

static int setup(_unused_ void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/detritus-test-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        mkdirat(dir_fd, "top", 0700);
        mkdirat(dir_fd, "top/a", 0700);
        mkdirat(dir_fd, "top/.new-dir", 0700);
        put("top/file");
        put("top/a/one");
        put("top/a/.new-two");
        put("top/.new-dir/three");
        seen[0] = hidden[0] = '\0';
        return symlinkat("a", dir_fd, "top/link");
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *ftw)
{
        return remove(path);
}

static int teardown(_unused_ void **state)
{
        close(dir_fd);
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return 0;
}

static int note(char *list, size_t size, const char *path, const char *name)
{
        size_t n = strlen(list);
        assert_string_equal(strrchr(path, '/') + 1, name);
        snprintf(list + n, size - n, "%s ", path);
        return 0;
}

static int see(_unused_ void *userdata, const char *path, const char *name)
{
        return note(seen, sizeof(seen), path, name);
}

static int see_hidden(_unused_ void *userdata, const char *path, const char *name)
{
        return note(hidden, sizeof(hidden), path, name);
}

static void expect(const char *list, const char *const paths[], size_t n)
{
        size_t len = 0;
        for (size_t i = 0; i < n; i++) {
                char word[128];
                snprintf(word, sizeof(word), "%s ", paths[i]);
                if (!strstr(list, word))
                        fail_msg("%s was not seen, only: %s", paths[i], list);
                len += strlen(word);
        }
        assert_int_equal(strlen(list), len);
}
#define EXPECT(list, ...)                                                                                              \
        expect(list, (const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

static void test_each_depth(_unused_ void **state)
{
        assert_int_equal(entries_each(dir_fd, "top", see, NULL), 0);
        EXPECT(seen, "top/a", "top/file", "top/link");
        seen[0] = '\0';
        assert_int_equal(entries_each_below(dir_fd, "top", 1, see, NULL), 0);
        EXPECT(seen, "top/a/one");
        seen[0] = '\0';
        assert_int_equal(entries_each_below(dir_fd, ".", 2, see, NULL), 0);
        EXPECT(seen, "./top/a/one");
}

static void test_hidden_ones_at_each_level(_unused_ void **state)
{
        const struct entries_walk walk = { .dirfd = dir_fd, .depth = 1, .entry = see, .hidden = see_hidden };
        assert_int_equal(entries_walk(&walk, "top"), 0);
        EXPECT(seen, "top/a/one");
        EXPECT(hidden, "top/.new-dir", "top/a/.new-two");
}

static void test_what_is_no_directory_has_no_entries(_unused_ void **state)
{
        static const char *const paths[] = { "absent", "top/file", "top/link", "top/file/below" };
        for (size_t i = 0; i < ARRAY_LEN(paths); i++)
                assert_int_equal(entries_each(dir_fd, paths[i], see, NULL), 0);
        assert_string_equal(seen, "");
}

static int see_odd(_unused_ void *userdata, const char *path, int error)
{
        assert_int_equal(error, -ENOTDIR);
        return note(hidden, sizeof(hidden), path, strrchr(path, '/') + 1);
}

static void test_odd_directories_are_told(_unused_ void **state)
{
        struct entries_walk walk = { .dirfd = dir_fd, .depth = 1, .entry = see, .odd = see_odd };
        assert_int_equal(mkfifoat(dir_fd, "top/fifo", 0600), 0);
        alarm(30); /* rather than hang */
        assert_int_equal(entries_walk(&walk, "top"), 0);
        EXPECT(seen, "top/a/one");
        EXPECT(hidden, "top/file", "top/link", "top/fifo");
        hidden[0] = '\0';
        assert_int_equal(entries_walk(&walk, "top/absent"), 0);
        assert_int_equal(entries_walk(&walk, "top/file"), 0);
        EXPECT(hidden, "top/file");
        alarm(0);
}

static int stop(void *userdata, _unused_ const char *path, _unused_ const char *name)
{
        ++*(int *)userdata;
        return -ENOSPC;
}

static void test_a_callback_ends_the_walk(_unused_ void **state)
{
        int calls = 0;
        assert_int_equal(entries_each_below(dir_fd, "top", 1, stop, &calls), -ENOSPC);
        assert_int_equal(calls, 1);
        assert_int_equal(entries_each(dir_fd, "top", stop, &calls), -ENOSPC);
        assert_int_equal(calls, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_each_depth),
                TEST(test_hidden_ones_at_each_level),
                TEST(test_what_is_no_directory_has_no_entries),
                TEST(test_odd_directories_are_told),
                TEST(test_a_callback_ends_the_walk),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
