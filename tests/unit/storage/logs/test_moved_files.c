/* Somebody renames, copies, empties, replaces or removes log files while they are written: each acknowledged line is in
 * one file, once, as long as the daemon lives, and after a kill at any moment. A kill is a copy of the data directory
 * that is recovered. What a power cut takes is taken from that copy. tests/fault/ has real power cuts. */
#include "committer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/logs/log_recovery.h"
#include "util/buf.h"

#define FILE_A "logs/p/a/" DAY_1 ".ndjson"
#define FILE_B "logs/p/b/" DAY_1 ".ndjson"

static void expect_at(int dirfd, const char *path, const char *text)
{
        _cleanup_(buf_done) struct buf got = { 0 };
        _cleanup_(closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
        if (!text) {
                assert_int_equal(fd, -1);
                return;
        }
        if (fd < 0)
                print_message("%s is missing\n", path);
        assert_true(fd >= 0);
        assert_int_equal(buf_read_fd(&got, fd, 1 << 30), 0);
        assert_int_equal(buf_append_char(&got, '\0'), 0);
        assert_string_equal((const char *)got.data, text);
}

static void expect(const char *path, const char *text)
{
        expect_at(fixture_config.datadir_fd, path, text);
}

static void run(const char *command)
{
        char line[1024];
        snprintf(line, sizeof(line), "cd /proc/%d/fd/%d && %s", getpid(), fixture_config.datadir_fd, command);
        assert_int_equal(system(line), 0);
}

static struct log_recovery_counts recover_at(int dirfd)
{
        struct log_recovery_counts counts;
        struct error err;
        int r = log_recovery_run(dirfd, &counts, &err);
        if (r != 0)
                print_message("%s\n", err.text);
        assert_int_equal(r, 0);
        return counts;
}

/* The directory as a kill now would leave it, after a command in it. */
static int killed(const char *command)
{
        char line[1024];
        run("rm -rf killed && mkdir killed && cp -a logs journal killed/");
        snprintf(line, sizeof(line), "cd killed && %s", command);
        run(line);
        int fd = openat(fixture_config.datadir_fd, "killed", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static int killed_and_recovered(const char *command)
{
        int fd = killed(command);
        recover_at(fd);
        return fd;
}

static void put_lines(const char *text)
{
        assert_int_equal(put("a", text), 0);
}

/* As logrotate does it. */
static void test_renamed(void **state _unused_)
{
        start();
        put_lines("1\n");
        put_lines("2\n");
        run("mv " FILE_A " " FILE_A ".1");
        {
                _cleanup_(closep) int dir = killed_and_recovered("true");
                expect_at(dir, FILE_A, NULL);
                expect_at(dir, FILE_A ".1", "1\n2\n");
        }
        put_lines("3\n");
        put_lines("4\n");
        expect(FILE_A, "3\n4\n");
        expect(FILE_A ".1", "1\n2\n");
        {
                _cleanup_(closep) int dir = killed_and_recovered("true");
                expect_at(dir, FILE_A, "3\n4\n");
                expect_at(dir, FILE_A ".1", "1\n2\n");
        }
        {
                _cleanup_(closep) int dir = killed_and_recovered(": > " FILE_A);
                expect_at(dir, FILE_A, "3\n4\n");
        }
        stop();
        expect(FILE_A, "3\n4\n");
        expect(FILE_A ".1", "1\n2\n");
}

/* Before the daemon saw the rename, a power cut took what was not synced: the new name, or the lines. */
static void test_renamed_and_lost(void **state _unused_)
{
        start();
        put_lines("base\n");
        stop();
        start();
        put_lines("1\n");
        put_lines("2\n");
        run("mv " FILE_A " " FILE_A ".1");
        {
                _cleanup_(closep) int dir = killed_and_recovered("printf 'base\\n1' > " FILE_A ".1");
                expect_at(dir, FILE_A, "1\n2\n");
        }
        {
                _cleanup_(closep) int dir = killed_and_recovered("rm " FILE_A ".1");
                expect_at(dir, FILE_A, "1\n2\n");
        }
        {
                _cleanup_(closep) int dir = killed_and_recovered("mv " FILE_A ".1 " FILE_A);
                expect_at(dir, FILE_A, "base\n1\n2\n");
        }
        put_lines("3\n"); /* the journal now also has a line at the start of the new file */
        {
                _cleanup_(closep) int dir = killed_and_recovered("mv " FILE_A ".1 " FILE_A);
                expect_at(dir, FILE_A, "base\n1\n2\n3\n");
        }
}

static void test_directory_renamed(void **state _unused_)
{
        start();
        put_lines("1\n");
        run("mv logs/p/a logs/p/a.old");
        put_lines("2\n");
        expect("logs/p/a.old/" DAY_1 ".ndjson", "1\n");
        expect(FILE_A, "2\n");
        run("mv logs/p logs/q");
        put_lines("3\n");
        expect("logs/q/a/" DAY_1 ".ndjson", "2\n");
        expect(FILE_A, "3\n");
        _cleanup_(closep) int dir = killed_and_recovered("rm -r logs/p");
        expect_at(dir, "logs/q/a/" DAY_1 ".ndjson", "2\n");
        expect_at(dir, FILE_A, "3\n");
}

/* logrotate's copytruncate: what is written between its copy and its truncation is in neither. */
static void test_copied_and_emptied(void **state _unused_)
{
        for (int exports_after = 0; exports_after < 2; exports_after++) {
                plant("a", "", 0);
                start();
                put_lines("1\n");
                run("cp " FILE_A " " FILE_A ".1");
                put_lines("2\n");
                run("truncate -s 0 " FILE_A);
                {
                        _cleanup_(closep) int dir = killed_and_recovered("true");
                        expect_at(dir, FILE_A, "2\n");
                        expect_at(dir, FILE_A ".1", "1\n");
                }
                if (exports_after) {
                        put_lines("3\n");
                        expect(FILE_A, "2\n3\n");
                        _cleanup_(closep) int dir = killed_and_recovered(": > " FILE_A);
                        expect_at(dir, FILE_A, "2\n3\n");
                }
                stop(); /* with a checkpoint */
                expect(FILE_A, exports_after ? "2\n3\n" : "2\n");
                expect(FILE_A ".1", "1\n");
                run("rm " FILE_A "*");
        }
}

/* As `sed -i` does it: what is written between its copy and its rename is in the old file alone. */
static void test_replaced(void **state _unused_)
{
        for (int exports_after = 0; exports_after < 2; exports_after++) {
                plant("a", "", 0);
                start();
                put_lines("1\n");
                run("cp " FILE_A " logs/p/a/sedXXXX");
                put_lines("2\n");
                put_lines("3\n");
                run("mv logs/p/a/sedXXXX " FILE_A);
                {
                        _cleanup_(closep) int dir = killed_and_recovered("true");
                        expect_at(dir, FILE_A, "1\n2\n3\n");
                }
                if (exports_after)
                        put_lines("4\n");
                stop();
                expect(FILE_A, exports_after ? "1\n2\n3\n4\n" : "1\n2\n3\n");
                run("rm " FILE_A);
        }
}

/* Lines of one commit: some are there, others are not. */
static void test_some_lines_of_a_commit(void **state _unused_)
{
        static const struct {
                const char *command, *file, *copy;
        } cases[] = {
                { "head -n 1 " FILE_A " > " FILE_A ".1 && : > " FILE_A, "2\n3\n", "1\n" },
                { "head -n 2 " FILE_A " > x && mv x " FILE_A, "1\n2\n3\n", NULL },
                { "sed -i s/2/x/ " FILE_A, "1\nx\n3\n2\n", NULL },
                { "truncate -s 3 " FILE_A, "1\n2\n3\n", NULL },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                plant("a", "", 0);
                start();
                put_lines("1\n2\n3\n");
                run(cases[i].command);
                {
                        _cleanup_(closep) int dir = killed_and_recovered("true");
                        expect_at(dir, FILE_A, cases[i].file);
                        expect_at(dir, FILE_A ".1", cases[i].copy);
                }
                stop(); /* with a checkpoint */
                expect(FILE_A, cases[i].file);
                expect(FILE_A ".1", cases[i].copy);
                run("rm " FILE_A "*");
        }
}

static void empty_a(void)
{
        faults.in_write = NULL;
        run("truncate -s 0 " FILE_A);
}

/* Just after the daemon looked: its lines are not where it thought. */
static void test_emptied_before_a_write(void **state _unused_)
{
        start();
        put_lines("1\n");
        faults.in_write = empty_a;
        put_lines("2\n");
        expect(FILE_A, "2\n");
        {
                _cleanup_(closep) int dir = killed_and_recovered("true");
                expect_at(dir, FILE_A, "2\n1\n");
        }
        put_lines("3\n");
        expect(FILE_A, "2\n1\n3\n");
}

/* What is brought back, likewise. */
static void test_emptied_before_lines_come_back(void **state _unused_)
{
        start();
        put_lines("1\n");
        run("cp " FILE_A " x");
        put_lines("2\n");
        run("mv x " FILE_A);
        faults.in_write = empty_a;
        put_lines("3\n");
        expect(FILE_A, "2\n3\n");
        put_lines("4\n");
        expect(FILE_A, "2\n3\n4\n");
        _cleanup_(closep) int dir = killed_and_recovered("true");
        expect_at(dir, FILE_A, "2\n3\n4\n");
}

/* A moved file that cannot be looked at keeps the journal as it is. */
static void test_no_descriptors_at_a_checkpoint(void **state _unused_)
{
        struct rlimit limit, none;
        start();
        put_lines("1\n");
        run("cp " FILE_A " x");
        put_lines("2\n");
        run("mv x " FILE_A);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        stop();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        recover_at(fixture_config.datadir_fd);
        expect(FILE_A, "1\n2\n");
}

static int writes_until_move;

static void move_x(void)
{
        if (--writes_until_move == 0)
                run("mv x " FILE_A);
}

/* In the middle of a group that needs a checkpoint to go on. */
static void test_moved_when_the_journal_is_full(void **state _unused_)
{
        enum { BATCHES = 6 };
        static char line[60000];
        struct probe probes[BATCHES] = { 0 };
        fixture_config.journal_bytes = 1;
        start();
        put_lines("1\n");
        run("cp " FILE_A " x");
        put_lines("2\n");
        hold();
        memset(line, 'l', sizeof(line) - 2);
        line[sizeof(line) - 2] = '\n';
        for (size_t i = 0; i < BATCHES; i++) {
                char name[] = { 's', (char)('0' + i), '\0' };
                probe_add(&probes[i], name, line);
                assert_int_equal(submit(&probes[i]), 0);
        }
        writes_until_move = 3;
        faults.in_write = move_x;
        release();
        for (size_t i = 0; i < BATCHES; i++)
                assert_int_equal(await(&probes[i]), 0);
        assert_true(writes_until_move <= 0);
        put_lines("3\n");
        expect(FILE_A, "1\n2\n3\n");
}

/* What is in the way is foreign: nothing of it is cut. */
static void test_replaced_by_something_else(void **state _unused_)
{
        start();
        put_lines("one\n");
        put_lines("two\n");
        {
                _cleanup_(closep) int dir = killed_and_recovered("printf 'somebody\\nelse\\n' > " FILE_A);
                expect_at(dir, FILE_A, "somebody\nelse\none\ntwo\n");
        }
        {
                _cleanup_(closep) int dir = killed_and_recovered("printf 'one\\nelse\\nhalf' > " FILE_A);
                expect_at(dir, FILE_A, "one\nelse\ntwo\n");
                expect_at(dir, FILE_A ".torn", "half");
        }
        run("rm " FILE_A "; printf 'somebody else' > " FILE_A);
        put_lines("three\n");
        expect(FILE_A, "one\ntwo\nthree\n");
        expect(FILE_A ".torn", "somebody else");
}

/* What the daemon saw removed stays removed, also after a kill. */
static void test_removed(void **state _unused_)
{
        start();
        put_lines("1\n");
        run("rm " FILE_A);
        put_lines("2\n");
        _cleanup_(closep) int dir = killed_and_recovered("true");
        expect_at(dir, FILE_A, "2\n");
}

static void test_unwritable_at_recovery(void **state _unused_)
{
        start();
        put_lines("1\n");
        assert_int_equal(put("b", "2\n"), 0);
        _cleanup_(closep) int dir = killed("rm " FILE_A " && mkdir " FILE_A);
        struct log_recovery_counts counts = recover_at(dir);
        assert_int_equal(counts.files_unwritable, 1);
        expect_at(dir, "recovered/p/a/" DAY_1 ".ndjson", "1\n");
        expect_at(dir, FILE_B, "2\n");
        assert_int_equal(recover_at(dir).frames, 0);
}

static void test_unwritable_while_running(void **state _unused_)
{
        start();
        put_lines("1\n");
        run("rm " FILE_A " && mkdir " FILE_A);
        assert_int_equal(put("a", "2\n"), -EISDIR);
        assert_int_equal(put("b", "3\n"), 0);
        expect("recovered/p/a/" DAY_1 ".ndjson", "1\n");
        run("rmdir " FILE_A);
        put_lines("4\n");
        expect(FILE_A, "4\n");
        _cleanup_(closep) int dir = killed_and_recovered("true");
        expect_at(dir, FILE_A, "4\n");
        expect_at(dir, "recovered", NULL);
}

/* What comes back cannot go into the journal: it is synced where it is. */
static void test_no_room_in_the_journal(void **state _unused_)
{
        start();
        put_lines("1\n");
        run("cp " FILE_A " x");
        put_lines("2\n");
        run("mv x " FILE_A);
        atomic_store(&faults.journal_budget, 0);
        put_lines("3\n");
        atomic_store(&faults.journal_budget, -1);
        expect(FILE_A, "1\n2\n3\n");
        put_lines("4\n");
        _cleanup_(closep) int dir = killed("true");
        recover_at(dir);
        expect_at(dir, FILE_A, "1\n2\n3\n4\n");
}

enum { MANY = 40 };

/* As many files as the cache has. */
static void test_many_at_once(void **state _unused_)
{
        char name[16], line[8000];
        fixture_config.open_files = MANY;
        start();
        for (int i = 0; i < MANY; i++) {
                snprintf(name, sizeof(name), "s%d", i);
                memset(line, 'a' + i % 26, sizeof(line) - 2);
                memcpy(line + sizeof(line) - 2, "\n", 2);
                for (int n = 0; n < 5; n++)
                        assert_int_equal(put(name, line), 0);
        }
        run("for s in logs/p/*/*.ndjson; do cp $s x && truncate -s $((3 * 7999)) x && mv x $s; done");
        assert_int_equal(put("s0", "last\n"), 0);
        run("for s in logs/p/*/*.ndjson; do test $(wc -l < $s) = 5 || test $(tail -n 1 $s) = last; done");
        run("test $(cat logs/p/*/*.ndjson | wc -c) = $((40 * 5 * 7999 + 5))");
        _cleanup_(closep) int dir = killed_and_recovered("rm -r logs/p/s1");
        run("test $(cat killed/logs/p/*/*.ndjson | wc -c) = $((40 * 5 * 7999 + 5 - 3 * 7999))");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_renamed),
                CASE(test_renamed_and_lost),
                CASE(test_directory_renamed),
                CASE(test_copied_and_emptied),
                CASE(test_replaced),
                CASE(test_some_lines_of_a_commit),
                CASE(test_emptied_before_a_write),
                CASE(test_emptied_before_lines_come_back),
                CASE(test_no_descriptors_at_a_checkpoint),
                CASE(test_moved_when_the_journal_is_full),
                CASE(test_replaced_by_something_else),
                CASE(test_removed),
                CASE(test_unwritable_at_recovery),
                CASE(test_unwritable_while_running),
                CASE(test_no_room_in_the_journal),
                CASE(test_many_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
