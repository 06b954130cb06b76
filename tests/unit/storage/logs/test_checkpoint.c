/* Checkpoints come when they are due, sync what the journal alone has made durable, and never free a segment whose
 * lines are not on disk. */
#include "committer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "storage/logs/log_checkpoint.h"
#include "storage/logs/log_recovery.h"

#define INTERVAL_NS UINT64_C(5000000000)

/* Old files, so that no name has to be made durable. */
static void start_with_old_files(void)
{
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(put("b", "1\n"), 0);
        stop();
        atomic_store(&faults.syncs, 0);
        atomic_store(&faults.all_syncs, 0);
        atomic_store(&faults.counters[METRICS_LOG_CHECKPOINTS], 0);
        start();
}

static void test_at_the_end(void **state _unused_)
{
        start_with_old_files();
        assert_int_equal(put("a", "2\n"), 0);
        assert_int_equal(put("b", "2\n"), 0);
        assert_int_equal(faults.syncs, 2);
        stop();
        assert_int_equal(faults.syncs, 2 + 2 + 1); /* both files, the segment's head */
        assert_int_equal(faults.all_syncs, 0);
        assert_int_equal(faults.counters[METRICS_LOG_CHECKPOINTS], 1);
}

/* The committer looks at the clock behind each commit: here behind the empty one of hold(). */
static void pass_time(uint64_t ns)
{
        hold();
        atomic_fetch_add(&faults.ticks_ns, ns);
        release();
}

static void test_when_due(void **state _unused_)
{
        start_with_old_files();
        assert_int_equal(put("a", "2\n"), 0);
        pass_time(INTERVAL_NS - 1);
        assert_int_equal(put("b", "2\n"), 0);
        hold();
        release();
        assert_int_equal(faults.counters[METRICS_LOG_CHECKPOINTS], 0);
        pass_time(1);
        while (atomic_load(&faults.counters[METRICS_LOG_CHECKPOINTS]) == 0)
                sched_yield();
        stop(); /* which finds nothing more to do */
        assert_int_equal(faults.counters[METRICS_LOG_CHECKPOINTS], 1);
        assert_int_equal(faults.syncs, 2 + 2 + 1);
}

static void test_idle_needs_none(void **state _unused_)
{
        start_with_old_files();
        stop();
        assert_int_equal(faults.syncs, 0);
        assert_int_equal(faults.counters[METRICS_LOG_CHECKPOINTS], 0);
}

/* A new name, or more files than are worth a sync each: the whole file system. */
static void test_everything(void **state _unused_)
{
        for (unsigned n = LOG_CHECKPOINT_FILES_MAX; n <= LOG_CHECKPOINT_FILES_MAX + 1; n++) {
                char name[16];
                fixture_config.open_files = 100;
                for (int round = 0; round < 2; round++) {
                        start();
                        atomic_store(&faults.all_syncs, 0);
                        for (unsigned i = 0; i < n; i++) {
                                snprintf(name, sizeof(name), "s%u-%u", n, i);
                                assert_int_equal(put(name, "x\n"), 0);
                        }
                        stop();
                        assert_int_equal(faults.all_syncs, round == 0 || n > LOG_CHECKPOINT_FILES_MAX);
                }
        }
}

/* So does a file that is closed by now, for want of descriptors. */
static void test_closed_files(void **state _unused_)
{
        start_with_old_files();
        stop();
        fixture_config.open_files = 1;
        start();
        assert_int_equal(put("a", "2\n"), 0);
        assert_int_equal(put("b", "2\n"), 0);
        stop();
        assert_int_equal(faults.all_syncs, 1);
}

static void test_written_makes_none(void **state _unused_)
{
        fixture_config.sync = false;
        start();
        assert_int_equal(put("a", "x\n"), 0);
        stop();
        assert_int_equal(faults.counters[METRICS_LOG_CHECKPOINTS], 0);
        assert_true(faccessat(fixture_config.datadir_fd, "journal", F_OK, 0) < 0);
}

/* A failed sync of a file is final, and its lines stay in the journal: the next start writes them anew. */
static void test_failure(void **state _unused_)
{
        struct log_recovery_counts counts;
        struct error err;
        start_with_old_files();
        assert_int_equal(put("a", "2\n"), 0);
        assert_int_equal(put("b", "2\n"), 0);
        atomic_store(&faults.sync_fails_at, 1);
        pass_time(INTERVAL_NS);
        while (!log_committer_failed(committer))
                sched_yield();
        assert_int_equal(put("a", "3\n"), -EROFS);
        int syncs = faults.syncs;
        stop();
        assert_int_equal(faults.syncs, syncs);
        assert_int_equal(faults.counters[METRICS_LOG_CHECKPOINTS], 0);

        plant("a", "1\n", 2); /* the page that the kernel gave up */
        assert_int_equal(log_recovery_run(fixture_config.datadir_fd, &counts, &err), 0);
        assert_int_equal(counts.frames, 2);
        expect_file("a", "1\n2\n");
        expect_file("b", "1\n2\n");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_at_the_end), CASE(test_when_due),     CASE(test_idle_needs_none),
                CASE(test_everything), CASE(test_closed_files), CASE(test_written_makes_none),
                CASE(test_failure),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
