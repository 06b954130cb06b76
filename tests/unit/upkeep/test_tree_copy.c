/* Files that are copied, linked, kept, appended to, and held back until they are on the disk. from/ to to/. */
#include "upkeep_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "upkeep/tree_copy.h"

static struct tree_copy c;

static int setup(void **state)
{
        if (storage_setup(state) < 0)
                return -1;
        storage_make_dirs("from/dir");
        storage_make_dirs("to");
        c = (struct tree_copy){ .from_fd = openat(storage_fd, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                .to_fd = openat(storage_fd, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        return 0;
}

static int teardown(void **state)
{
        tree_copy_done(&c);
        close(c.from_fd);
        close(c.to_fd);
        return storage_teardown(state);
}

static struct stat stat_of(const char *path)
{
        struct stat st;
        assert_int_equal(fstatat(storage_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st;
}

static void make_old(const char *path)
{
        static const struct timespec old[2] = { { .tv_sec = 1600000000 }, { .tv_sec = 1600000000, .tv_nsec = 7 } };
        assert_int_equal(utimensat(storage_fd, path, old, 0), 0);
}

static void test_a_copy_keeps_its_mtime(_unused_ void **state)
{
        storage_put("from/dir/f", "content");
        make_old("from/dir/f");
        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0);
        upkeep_expect_text("to/dir/f", "content");
        assert_int_equal(stat_of("to/dir/f").st_mtim.tv_sec, 1600000000);
        assert_int_equal(stat_of("to/dir/f").st_mtim.tv_nsec, 7);
        assert_int_equal(stat_of("to/dir/f").st_nlink, 1);
        assert_int_equal(c.copied, 1);

        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0); /* again */
        assert_int_equal(c.copied, 1);
        assert_int_equal(c.kept, 1);
        assert_int_equal(storage_count("to"), 1);
}

static void test_same_length_may_be_the_same(_unused_ void **state)
{
        storage_put("from/dir/f", "content");
        storage_make_dirs("to/dir");
        storage_put("to/dir/f", "CONTENT");
        make_old("to/dir/f");
        assert_int_equal(tree_copy_file(&c, "dir/f", true), 0);
        upkeep_expect_text("to/dir/f", "CONTENT");
        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0); /* its mtime differs */
        upkeep_expect_text("to/dir/f", "content");
}

static void test_links(_unused_ void **state)
{
        storage_put("from/dir/f", "content");
        storage_make_dirs("to/dir");
        storage_put("to/dir/f", "longer than that");
        c.link = true;
        assert_int_equal(tree_copy_file(&c, "dir/f", true), 0);
        assert_int_equal(stat_of("to/dir/f").st_ino, stat_of("from/dir/f").st_ino);
        assert_int_equal(c.linked, 1);
        assert_int_equal(c.bytes, 0);
        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0);
        assert_int_equal(c.kept, 1);

        storage_put("from/dir/g", "may change");
        assert_int_equal(tree_copy_whole(&c, "dir/g"), 0);
        assert_int_not_equal(stat_of("to/dir/g").st_ino, stat_of("from/dir/g").st_ino);
        assert_true(c.link);
}

static void test_what_is_no_file(_unused_ void **state)
{
        assert_int_equal(tree_copy_file(&c, "absent", false), -ENOENT);
        assert_int_equal(tree_copy_lines(&c, "absent"), -ENOENT);
        assert_int_equal(tree_copy_file(&c, "dir", false), -EINVAL);
        assert_int_equal(tree_copy_lines(&c, "dir"), -EINVAL);
        assert_int_equal(symlinkat("dir", c.from_fd, "link"), 0);
        assert_int_equal(tree_copy_file(&c, "link", false), -ELOOP);
        assert_int_equal(storage_count("to"), 0);
}

static void copy_lines(const char *original, const char *expected)
{
        storage_put("from/dir/log", original);
        assert_int_equal(tree_copy_lines(&c, "dir/log"), 0);
        upkeep_expect_text("to/dir/log", expected);
        assert_int_equal(storage_count("to"), 1);
}

static void test_lines_are_appended(_unused_ void **state)
{
        copy_lines("one\ntwo\nthr", "one\ntwo\n");
        ino_t first = stat_of("to/dir/log").st_ino;
        assert_int_equal(c.bytes, 8);
        copy_lines("one\ntwo\nthree\nfo", "one\ntwo\nthree\n");
        assert_int_equal(stat_of("to/dir/log").st_ino, first);
        assert_int_equal(c.bytes, 14);
        copy_lines("one\ntwo\nthree\nfour", "one\ntwo\nthree\n");
        assert_int_equal(c.kept, 1);
}

/* What is there is another file, longer, or not a copy of its own: it is replaced. */
static void test_other_lines_are_replaced(_unused_ void **state)
{
        copy_lines("one\n", "one\n");
        ino_t first = stat_of("to/dir/log").st_ino;
        copy_lines("ONE\ntwo\n", "ONE\ntwo\n");
        assert_int_not_equal(stat_of("to/dir/log").st_ino, first);
        copy_lines("ONE\n", "ONE\n");
        assert_int_equal(linkat(c.to_fd, "dir/log", storage_fd, "older-backup", 0), 0);
        copy_lines("ONE\ntwo\n", "ONE\ntwo\n");
        upkeep_expect_text("older-backup", "ONE\n"); /* a second name of it, which must not grow */
}

static void test_held_files_get_their_names_together(_unused_ void **state)
{
        c.hold = true;
        storage_put("from/dir/f", "content");
        storage_put("from/dir/g", "more");
        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0);
        assert_int_equal(tree_copy_file(&c, "dir/g", false), 0);
        assert_false(storage_exists("to/dir/f") || storage_exists("to/dir/g"));
        assert_int_equal(atomic_load(&storage_faults.all_syncs), 0);
        assert_int_equal(tree_copy_release(&c), 0);
        assert_int_equal(atomic_load(&storage_faults.all_syncs), 1);
        upkeep_expect_text("to/dir/f", "content");
        upkeep_expect_text("to/dir/g", "more");
        assert_int_equal(storage_count("to"), 2);
        assert_int_equal(tree_copy_release(&c), 0); /* nothing waits */
        assert_int_equal(atomic_load(&storage_faults.all_syncs), 1);
}

static void test_held_files_that_fail_leave_nothing(_unused_ void **state)
{
        c.hold = true;
        storage_put("from/dir/f", "content");
        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0);
        atomic_store(&storage_faults.sync_all_error, EIO);
        atomic_store(&storage_faults.sync_all_fails_at, 1);
        assert_int_equal(tree_copy_release(&c), -EIO);
        assert_int_equal(storage_count("to"), 0);

        assert_int_equal(tree_copy_file(&c, "dir/f", false), 0);
        tree_copy_done(&c);
        assert_int_equal(storage_count("to"), 0);
}

/* One more than may wait: those before it get their names. */
static void test_no_more_wait_than_may(_unused_ void **state)
{
        char path[64];
        c.hold = true;
        for (unsigned i = 0; i <= TREE_COPY_HELD_MAX; i++) {
                snprintf(path, sizeof(path), "from/dir/%u", i);
                storage_put(path, "x");
                assert_int_equal(tree_copy_file(&c, path + strlen("from/"), false), 0);
        }
        assert_int_equal(c.n_held, 1);
        assert_true(storage_exists("to/dir/0"));
        snprintf(path, sizeof(path), "to/dir/%u", TREE_COPY_HELD_MAX);
        assert_false(storage_exists(path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_copy_keeps_its_mtime),
                TEST(test_same_length_may_be_the_same),
                TEST(test_links),
                TEST(test_what_is_no_file),
                TEST(test_lines_are_appended),
                TEST(test_other_lines_are_replaced),
                TEST(test_held_files_get_their_names_together),
                TEST(test_held_files_that_fail_leave_nothing),
                TEST(test_no_more_wait_than_may),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
