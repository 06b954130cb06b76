/* Opening a file: the unterminated line that a crash left is set aside, and what is in the way is no harm to others. */
#include "committer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/buf.h"

static void expect_repair(const char *content, size_t len)
{
        const char *newline = memrchr(content, '\n', len);
        size_t whole = newline ? (size_t)(newline - content) + 1 : 0;
        _cleanup_(buf_done) struct buf want = { 0 };
        assert_int_equal(buf_append(&want, content, whole), 0);
        assert_int_equal(buf_append(&want, "new\n", sizeof("new\n")), 0);

        plant("a", content, len);
        start();
        assert_int_equal(put("a", "new\n"), 0);
        expect_file("a", (const char *)want.data);
        _cleanup_(freep) char *torn = file_text("a", DAY_1, ".torn");
        if (whole == len) {
                assert_null(torn);
        } else {
                assert_non_null(torn);
                assert_int_equal(strlen(torn), len - whole);
                assert_memory_equal(torn, content + whole, len - whole);
        }
        stop();
}

static void test_torn_at_every_byte(void **state _unused_)
{
        static const char content[] = "{\"n\":1}\n{\"n\":22}\n\n{\"n\":333}\n";
        for (size_t len = 0; len < sizeof(content); len++)
                expect_repair(content, len);
}

/* The last newline before, on and behind the edges of the blocks that are read backwards. */
static void test_long_torn_lines(void **state _unused_)
{
        static const size_t lens[] = { 4095, 4096, 4097, 8192, 10000 };
        static const size_t newlines[] = { 0, 1, 903, 904, 4094, 4095, 4096, 4097, 5903, 5904, 5905, 8191, 9999 };
        char content[10000];
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                memset(content, 'x', sizeof(content));
                expect_repair(content, lens[i]);
                for (size_t j = 0; j < ARRAY_LEN(newlines) && newlines[j] < lens[i]; j++) {
                        memset(content, 'x', sizeof(content));
                        content[newlines[j]] = '\n';
                        expect_repair(content, lens[i]);
                }
        }
}

/* What was set aside before is kept. */
static void test_torn_twice(void **state _unused_)
{
        plant("a", "1\nha", 4);
        start();
        assert_int_equal(put("a", "2\n"), 0);
        stop();
        int fd = openat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson", O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_int_equal(write(fd, "lf", 2), 2);
        close(fd);
        start();
        assert_int_equal(put("a", "3\n"), 0);
        expect_file("a", "1\n2\n3\n");
        _cleanup_(freep) char *torn = file_text("a", DAY_1, ".torn");
        assert_string_equal(torn, "half");
}

static void test_failed_torn_sync_is_final(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "before\n"), 0);
        plant("b", "half", 4);
        atomic_store(&faults.sync_fails_at, 1);
        assert_int_equal(put("b", "x\n"), -EIO);
        assert_true(log_committer_failed(committer));
        expect_file("b", "half"); /* not cut before its tail is safe */
}

/* An operator removes, empties or adds to a file that is open: lines go where they can be seen, and whole. What the
 * journal still holds comes back, unless the file was removed. */
static void test_changed_behind_our_back(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(unlinkat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson", 0), 0);
        assert_int_equal(put("a", "2\n"), 0);
        expect_file("a", "2\n");

        int fd = openat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson", O_WRONLY | O_TRUNC | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(put("a", "3\n"), 0);
        expect_file("a", "2\n3\n");
        assert_int_equal(pwrite(fd, "4", 1, 4), 1);
        close(fd);
        assert_int_equal(put("a", "5\n"), 0);
        expect_file("a", "2\n3\n5\n");
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
        assert_int_equal(faults.dir_syncs, 1 + 1); /* of the journal, for .torn */
}

/* What is in the way of one file fails its batches alone. */
static void test_unusable_files(void **state _unused_)
{
        struct probe link = { 0 }, directory = { 0 }, torn = { 0 }, fine = { 0 };
        plant("a", "half", 4);
        assert_int_equal(mkdirat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson.torn", 0750), 0);
        mkdirat(fixture_config.datadir_fd, "logs/p/b", 0750);
        assert_int_equal(mkdirat(fixture_config.datadir_fd, "logs/p/b/" DAY_1 ".ndjson", 0750), 0);
        mkdirat(fixture_config.datadir_fd, "logs/p/c", 0750);
        assert_int_equal(symlinkat("/dev/null", fixture_config.datadir_fd, "logs/p/c/" DAY_1 ".ndjson"), 0);
        probe_add(&torn, "a", "x\n");
        probe_add(&directory, "b", "x\n");
        probe_add(&link, "c", "x\n");
        probe_add(&fine, "d", "x\n");
        start();
        hold();
        assert_int_equal(submit(&torn), 0);
        assert_int_equal(submit(&directory), 0);
        assert_int_equal(submit(&link), 0);
        assert_int_equal(submit(&fine), 0);
        release();
        assert_int_equal(await(&torn), -EISDIR);
        assert_int_equal(await(&directory), -EISDIR);
        assert_int_equal(await(&link), -ELOOP);
        assert_int_equal(await(&fine), 0);
        expect_file("a", "half");
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_torn_at_every_byte),        CASE(test_long_torn_lines), CASE(test_torn_twice),
                CASE(test_failed_torn_sync_is_final), CASE(test_unusable_files),  CASE(test_changed_behind_our_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
