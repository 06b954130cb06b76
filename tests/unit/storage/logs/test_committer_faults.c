/* A batch is in its files whole or not at all, and after a failed sync nothing is acknowledged. */
#include "committer_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/logs/journal_frame.h"
#include "util/buf.h"

/* ---- writes that fail ---- */

/* A run that the disk takes up to any byte: the batches that fit whole stay, the others fail, all of them answered. */
static void test_full_disk_at_every_byte_of_a_run(void **state _unused_)
{
        static const char *const texts[] = { "1\n", "22\n", "4444\n333\n" };
        static const char *const outcomes[] = { "0\n", "0\n1\n", "0\n1\n22\n", "0\n1\n22\n4444\n333\n" };
        for (long long budget = 0; budget <= 14; budget++) {
                struct probe probes[3] = { 0 };
                size_t whole = budget < 2 ? 0 : budget < 5 ? 1 : budget < 14 ? 2 : 3;

                plant("a", "0\n", 2);
                start();
                hold();
                for (size_t i = 0; i < 3; i++) {
                        probe_add(&probes[i], "a", texts[i]);
                        assert_int_equal(submit(&probes[i]), 0);
                }
                atomic_store(&faults.write_budget, budget);
                release();
                for (size_t i = 0; i < 3; i++)
                        assert_int_equal(await(&probes[i]), i < whole ? 0 : -ENOSPC);
                expect_file("a", outcomes[whole]);

                atomic_store(&faults.write_budget, -1); /* space returns */
                assert_int_equal(put("a", "x\n"), 0);
                _cleanup_(freep) char *text = file_text("a", DAY_1, "");
                assert_int_equal(strlen(text), strlen(outcomes[whole]) + 2);
                stop();
        }
}

/* Only the file that is full suffers within a group. */
static void test_full_disk_spares_the_rest(void **state _unused_)
{
        struct probe big = { 0 }, small = { 0 };
        probe_add(&big, "a", "0123456789\n");
        probe_add(&small, "b", "1\n");
        start();
        for (int order = 0; order < 2; order++) {
                hold();
                assert_int_equal(submit(order ? &big : &small), 0);
                assert_int_equal(submit(order ? &small : &big), 0);
                atomic_store(&faults.write_budget, 5);
                release();
                int big_result = await(&big), small_result = await(&small);
                assert_int_equal(big_result, -ENOSPC);
                assert_true(small_result == 0 || small_result == -ENOSPC); /* big took the space, or was later */
                big.answered = small.answered = false;
                atomic_store(&faults.write_budget, -1);
        }
        expect_file("a", "");
}

/* A batch over three files, one of them twice, cut at every byte: all of it or nothing, whatever came before. */
static void test_batch_over_files_is_atomic(void **state _unused_)
{
        for (unsigned open_files = 1; open_files <= 3; open_files++) { /* few enough that undoing has to reopen */
                for (long long budget = 2; budget <= 2 + 10; budget++) {
                        struct probe before = { 0 }, p = { 0 };
                        probe_add(&before, "b", "+\n");
                        probe_add(&p, "a", "1\n");
                        probe_add(&p, "b", "22\n");
                        probe_add(&p, "a", "3\n");
                        probe_add(&p, "c", "44\n");
                        plant("a", "a\n", 2);
                        plant("b", "b\n", 2);
                        plant("c", "c\n", 2);
                        fixture_config.open_files = open_files;
                        start();
                        hold();
                        assert_int_equal(submit(&before), 0);
                        assert_int_equal(submit(&p), 0);
                        atomic_store(&faults.write_budget, budget);
                        release();
                        bool fits = budget == 2 + 10;
                        assert_int_equal(await(&p), fits ? 0 : -ENOSPC);
                        assert_int_equal(before.batch.result, 0);
                        expect_file("a", fits ? "a\n1\n3\n" : "a\n");
                        expect_file("b", fits ? "b\n+\n22\n" : "b\n+\n");
                        expect_file("c", fits ? "c\n44\n" : "c\n");
                        assert_false(log_committer_failed(committer));
                        stop();
                        atomic_store(&faults.write_budget, -1);
                }
        }
}

/* More files in one batch than may be open, and the last of them fails. */
static void test_wide_batch_is_atomic(void **state _unused_)
{
        struct probe p = { 0 };
        char names[50][8];
        fixture_config.open_files = 4;
        for (size_t i = 0; i < 50; i++) {
                snprintf(names[i], sizeof(names[i]), "s%zu", i);
                probe_add(&p, names[i], "x\n");
        }
        start();
        atomic_store(&faults.write_budget, 2 * 49 + 1);
        assert_int_equal(submit(&p), 0);
        assert_int_equal(await(&p), -ENOSPC);
        for (size_t i = 0; i < 50; i++)
                expect_file(names[i], "");
        assert_int_equal(faults.counters[METRICS_LOG_RECORDS], 0);
}

/* The kernel's own refusal, not the wrapper's: the limit on a file's size. */
static void test_file_size_limit(void **state _unused_)
{
        struct rlimit old, limit;
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        limit = (struct rlimit){ .rlim_cur = 10, .rlim_max = old.rlim_max };
        start();
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        int first = put("a", "1234567\n"), second = put("a", "890\n"), third = put("a", "8\n");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(first, 0);
        assert_int_equal(second, -EFBIG);
        assert_int_equal(third, 0);
        expect_file("a", "1234567\n8\n");
}

/* Others took the descriptors: an older log file gives its own. */
static void test_no_descriptor_left(void **state _unused_)
{
        struct rlimit old, limit;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        start();
        assert_int_equal(put("a", "1\n"), 0);
        int next = dup(fixture_config.datadir_fd);
        assert_int_equal(close(next), 0);
        limit = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int first = put("b", "2\n"), second = put("a", "3\n");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(first, 0);
        assert_int_equal(second, 0);
        expect_file("a", "1\n3\n");
        expect_file("b", "2\n");
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
}

static void fill_up(void)
{
        static char line[1500];
        memset(line, 'x', sizeof(line) - 2);
        line[sizeof(line) - 2] = '\n';
        size_t whole = 0;
        int r;
        while ((r = put("a", line)) == 0)
                whole++;
        assert_int_equal(r, -ENOSPC);
        assert_in_range(whole, 10, 1000);
        _cleanup_(freep) char *text = file_text("a", DAY_1, "");
        assert_int_equal(strlen(text), whole * (sizeof(line) - 1));
}

static void test_full_tmpfs(void **state _unused_)
{
        char path[64];
        assert_int_equal(mkdirat(fixture_config.datadir_fd, "logs", 0750), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/logs", fixture_config.datadir_fd);
        if (mount("tmpfs", path, "tmpfs", 0, "size=128k") < 0) {
                print_message("needs the right to mount\n");
                skip();
        }
        start();
        fill_up();
}

static int teardown_mount(void **state)
{
        char path[64];
        stop();
        snprintf(path, sizeof(path), "/proc/self/fd/%d/logs", fixture_config.datadir_fd);
        umount2(path, MNT_DETACH); /* fails where it was not mounted */
        return fixture_teardown(state);
}

/* ---- syncs that fail ---- */

static void expect_failed(void)
{
        int syncs = faults.syncs, dir_syncs = faults.dir_syncs, writes = faults.writes;
        struct log_unlink u = { .source = source_of("a"), .day = DAY_1 };
        assert_true(log_committer_failed(committer));
        assert_int_equal(put("a", "more\n"), -EROFS);
        assert_int_equal(put("new", "more\n"), -EROFS);
        assert_int_equal(log_committer_unlink(committer, &u), -EROFS);
        assert_int_equal(log_committer_barrier(committer), -EROFS);
        stop();
        assert_int_equal(faults.syncs, syncs);
        assert_int_equal(faults.dir_syncs, dir_syncs);
        assert_int_equal(faults.writes, writes);
        assert_int_equal(faults.counters[METRICS_LOG_RECORDS], 1);
}

/* A line that is synced straight to its file. */
static const char *big_line(void)
{
        static char line[300000];
        memset(line, 'x', sizeof(line) - 2);
        line[sizeof(line) - 2] = '\n';
        return line;
}

static void commit_broken_group(const char *line)
{
        struct probe probes[4] = { 0 };
        probe_add(&probes[0], "a", line);
        probe_add(&probes[1], "b", line);
        probe_add(&probes[2], "b", line);
        probe_add(&probes[2], "c", line);
        probe_add(&probes[3], "../c", "x\n");
        hold();
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                assert_int_equal(submit(&probes[i]), 0);
        release();
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                assert_int_equal(await(&probes[i]), -EIO);
}

/* Of the journal, and of each file that is synced without it. */
static void test_failed_sync_is_final(void **state _unused_)
{
        for (int at = 0; at <= 3; at++) {
                atomic_store(&faults.counters[METRICS_LOG_RECORDS], 0);
                start();
                assert_int_equal(put("a", "before\n"), 0);
                atomic_store(&faults.sync_fails_at, at ? at : 1);
                commit_broken_group(at ? big_line() : "x\n");
                expect_failed();
        }
}

static void test_failed_directory_sync_is_final(void **state _unused_)
{
        for (int at = 1; at <= 8; at++) { /* two new files, each four directories deep */
                plant("b", "", 0);
                plant("c", "", 0);
                atomic_store(&faults.counters[METRICS_LOG_RECORDS], 0);
                start();
                assert_int_equal(put("a", "before\n"), 0);
                atomic_store(&faults.dir_sync_fails_at, at);
                commit_broken_group(big_line());
                expect_failed();
        }
}

static void test_failed_journal_write_is_final(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "before\n"), 0);
        atomic_store(&faults.journal_write_fails_at, 1);
        commit_broken_group("x\n");
        expect_failed();
}

/* More files than descriptors, and no room in the journal: everything is synced at once, which fails. */
static void test_failed_sync_of_everything_is_final(void **state _unused_)
{
        fixture_config.open_files = 1;
        start();
        assert_int_equal(put("a", "before\n"), 0);
        atomic_store(&faults.journal_budget, 10);
        atomic_store(&faults.all_sync_fails_at, 1);
        commit_broken_group("x\n");
        expect_failed();
}

static off_t segment_size(void)
{
        struct stat st;
        assert_int_equal(fstatat(fixture_config.datadir_fd, "journal/0.wal", &st, 0), 0);
        return st.st_size;
}

/* A segment grows by a MiB of zeros at a time, and does without them when the disk has no room. */
static void test_journal_grows_by_stretches(void **state _unused_)
{
        start();
        atomic_store(&faults.journal_budget, 2 * JOURNAL_BLOCK); /* its head and a frame */
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(segment_size(), 2 * JOURNAL_BLOCK);
        atomic_store(&faults.journal_budget, -1);
        assert_int_equal(put("a", "2\n"), 0);
        assert_int_equal(segment_size(), 1 << 20);
        atomic_store(&faults.journal_budget, JOURNAL_BLOCK); /* as much as the frame */
        assert_int_equal(put("a", "3\n"), 0);
        assert_int_equal(faults.journal_budget, 0);
        assert_int_equal(segment_size(), 1 << 20);
        expect_file("a", "1\n2\n3\n");
}

/* A directory that cannot be opened, for want of a descriptor or of permission, has not failed to be synced: everything
 * is synced then. */
static void test_a_directory_that_cannot_be_opened_is_not_final(void **state _unused_)
{
        static const int errors[] = { EMFILE, ENFILE, EACCES, ENOMEM };
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
                for (int at = 1; at <= 5; at++) {
                        char name[16];
                        snprintf(name, sizeof(name), "s%zu-%d", i, at);
                        start();
                        atomic_store(&faults.all_syncs, 0);
                        atomic_store(&faults.dir_sync_error, errors[i]);
                        atomic_store(&faults.dir_sync_fails_at, at);
                        assert_int_equal(put(name, big_line()), 0);
                        assert_int_equal(put(name, "x\n"), 0);
                        if (atomic_load(&faults.dir_sync_fails_at) == 0)
                                assert_true(atomic_load(&faults.all_syncs) > 0);
                        assert_false(log_committer_failed(committer));
                        stop();
                        atomic_store(&faults.dir_sync_fails_at, 0);
                }
        }
}

/* A torn batch that cannot be cut off yet: its source waits, others go on, and nothing of it stays. */
static void test_a_cut_that_fails_is_owed(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "before\n"), 0);
        atomic_store(&faults.write_budget, 1);
        atomic_store(&faults.cuts_fail, true);
        assert_int_equal(put("a", "torn\n"), -ENOSPC);
        atomic_store(&faults.write_budget, -1);
        assert_int_equal(put("a", "after\n"), -EIO);
        assert_int_equal(put("b", "other\n"), 0);
        assert_int_equal(put("a", "after\n"), -EIO);
        assert_false(log_committer_failed(committer));
        atomic_store(&faults.cuts_fail, false);
        assert_int_equal(put("a", "after\n"), 0);
        expect_file("a", "before\nafter\n");
        expect_file("b", "other\n");
}

/* The batches that wait for other files when one cannot be cut are written. */
static void test_a_debt_leaves_no_run(void **state _unused_)
{
        struct probe first = { 0 }, second = { 0 };
        probe_add(&first, "a", "first\n");
        probe_add(&second, "b", "second\n");
        start();
        assert_int_equal(put("a", "before\n"), 0);
        atomic_store(&faults.write_budget, 1);
        atomic_store(&faults.cuts_fail, true);
        hold();
        assert_int_equal(submit(&first), 0);
        assert_int_equal(submit(&second), 0);
        release();
        assert_int_equal(await(&first), -ENOSPC);
        assert_int_equal(await(&second), -ENOSPC);
        atomic_store(&faults.write_budget, -1);
        atomic_store(&faults.cuts_fail, false);
        assert_int_equal(put("a", "x\n"), 0);
        assert_int_equal(put("b", "y\n"), 0);
        expect_file("a", "before\nx\n");
        expect_file("b", "y\n");
}

static void test_an_undo_that_fails_is_owed(void **state _unused_)
{
        for (unsigned open_files = 1; open_files <= 2; open_files++) { /* undone in an open file, and after reopening */
                struct probe p = { 0 };
                probe_add(&p, "a", "1\n");
                probe_add(&p, "b", "22\n");
                probe_add(&p, "a", "333\n");
                plant("a", "before\n", 7);
                plant("b", "", 0);
                fixture_config.open_files = open_files;
                start();
                atomic_store(&faults.write_budget, 7);
                atomic_store(&faults.cuts_fail, true);
                assert_int_equal(submit(&p), 0);
                assert_int_equal(await(&p), -ENOSPC);
                atomic_store(&faults.write_budget, -1);
                assert_int_equal(put("a", "x\n"), -EIO);
                assert_int_equal(put("c", "x\n"), 0);
                atomic_store(&faults.cuts_fail, false);
                assert_int_equal(put("a", "x\n"), 0);
                assert_int_equal(put("b", "y\n"), 0);
                expect_file("a", "before\nx\n");
                expect_file("b", "y\n");
                assert_false(log_committer_failed(committer));
                stop();
        }
}

static atomic_int unlinked;

static void on_unlinked(struct log_unlink *u _unused_, int result)
{
        atomic_store(&unlinked, result);
}

/* As if another thread took the descriptor that the file just written gives back: none can be opened any more. */
static void take_descriptors(void)
{
        struct rlimit limit;
        faults.in_write = NULL;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur--;
        setrlimit(RLIMIT_NOFILE, &limit);
}

/* Nothing is left to undo in when somebody else takes the descriptors: the files are cut when there are some again. */
static void test_an_undo_without_descriptors_is_owed(void **state _unused_)
{
        struct rlimit old, limit;
        struct probe p = { 0 };
        probe_add(&p, "a", "1\n");
        probe_add(&p, "b", "2\n");
        fixture_config.open_files = 1;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        start();
        assert_int_equal(put("z", "z\n"), 0); /* the journal is open */
        struct log_unlink u = { .source = source_of("z"), .day = DAY_1, .done = on_unlinked };
        atomic_store(&unlinked, 1);
        assert_int_equal(log_committer_unlink(committer, &u), 0);
        assert_int_equal(log_committer_barrier(committer), 0);
        assert_int_equal(unlinked, 0);
        int next = dup(fixture_config.datadir_fd); /* where "a" and then "b" will be opened */
        assert_int_equal(close(next), 0);
        faults.in_write = take_descriptors;
        limit = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(submit(&p), 0);
        int result = await(&p);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(result, -EMFILE);
        assert_false(log_committer_failed(committer));
        assert_int_equal(put("a", "x\n"), 0);
        expect_file("a", "x\n");
        expect_file("b", NULL);
}

static struct probe latecomers[3];
static struct log_unlink late_unlink;
static atomic_int late_unlink_result;

static void on_late_unlink(struct log_unlink *u _unused_, int result)
{
        atomic_store(&late_unlink_result, result);
}

static void submit_latecomers(void)
{
        faults.in_sync = NULL;
        for (size_t i = 0; i < ARRAY_LEN(latecomers); i++) {
                if (submit(&latecomers[i]) != 0)
                        abort();
        }
        late_unlink = (struct log_unlink){ .source = source_of("a"), .day = DAY_1, .done = on_late_unlink };
        if (log_committer_unlink(committer, &late_unlink) != 0)
                abort();
}

/* What was queued while the sync failed is answered too, and not written. */
static void test_queued_behind_a_failed_sync(void **state _unused_)
{
        for (size_t i = 0; i < ARRAY_LEN(latecomers); i++) {
                latecomers[i] = (struct probe){ 0 };
                probe_add(&latecomers[i], i ? "a" : "b", "late\n");
        }
        start();
        assert_int_equal(put("a", "before\n"), 0);
        hold();
        faults.in_sync = submit_latecomers;
        release();
        atomic_store(&faults.sync_fails_at, 1);
        assert_int_equal(put("a", "x\n"), -EIO);
        for (size_t i = 0; i < ARRAY_LEN(latecomers); i++)
                assert_int_equal(await(&latecomers[i]), -EROFS);
        expect_failed();
        assert_int_equal(late_unlink_result, -EROFS);
        expect_file("a", "before\nx\n");
        expect_file("b", NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_full_disk_at_every_byte_of_a_run),
                CASE(test_full_disk_spares_the_rest),
                CASE(test_batch_over_files_is_atomic),
                CASE(test_wide_batch_is_atomic),
                CASE(test_file_size_limit),
                CASE(test_no_descriptor_left),
                cmocka_unit_test_setup_teardown(test_full_tmpfs, fixture_setup, teardown_mount),
                CASE(test_failed_sync_is_final),
                CASE(test_failed_directory_sync_is_final),
                CASE(test_failed_journal_write_is_final),
                CASE(test_failed_sync_of_everything_is_final),
                CASE(test_journal_grows_by_stretches),
                CASE(test_a_directory_that_cannot_be_opened_is_not_final),
                CASE(test_a_cut_that_fails_is_owed),
                CASE(test_a_debt_leaves_no_run),
                CASE(test_an_undo_that_fails_is_owed),
                CASE(test_an_undo_without_descriptors_is_owed),
                CASE(test_queued_behind_a_failed_sync),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
