/* The database rebuilt from its files, and the files from their database. */
#include "upkeep_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "upkeep/reindex.h"

#define DAY "2026-05-19"

static int setup(void **state)
{
        if (storage_setup(state) < 0)
                return -1;
        upkeep_put_crash("", TIME_1, "one");
        upkeep_put_crash("", TIME_2, "two");
        upkeep_put_log("", DAY, "a\nb\n");
        return 0;
}

static struct offline *opened(enum offline_wants wants)
{
        struct offline *o;
        struct error err = { "" };
        if (offline_open(storage_dir, wants, &o, &err) < 0)
                fail_msg("%s", err.text);
        return o;
}

static void make_database(void)
{
        assert_int_equal(offline_close(opened(OFFLINE_INDEX), true), 0);
        storage_change("UPDATE crash SET held = 1 WHERE crashed_at LIKE '%.500%'");
        storage_change("UPDATE log_file SET lines = 2");
}

static struct reindex_counts reindexed(bool force, int expected)
{
        struct reindex_counts counts;
        struct error err = { "" };
        int r = reindex_data_dir(storage_dir, force, &counts, &err);
        if (r != expected)
                fail_msg("%d, not %d: %s", r, expected, err.text);
        assert_false(storage_exists("reindex"));
        return counts;
}

static ino_t inode(const char *path)
{
        struct stat st;
        assert_int_equal(fstatat(storage_fd, path, &st, 0), 0);
        return st.st_ino;
}

static void test_without_a_database(_unused_ void **state)
{
        struct reindex_counts counts = reindexed(false, 0);
        assert_int_equal(counts.before.crashes, 0);
        assert_int_equal(counts.after.crashes, 2);
        assert_int_equal(counts.after.log_files, 1);
        assert_false(counts.taken_over);
        assert_false(storage_exists(REINDEX_KEPT));
        storage_expect("SELECT sum(refs) FROM blob", "2");
        storage_expect("SELECT bytes FROM log_file", "4");
}

/* What the files do not say comes from the old database, which is kept. */
static void test_the_old_database_tells_more(_unused_ void **state)
{
        make_database();
        ino_t old = inode("detritus.db");
        struct reindex_counts counts = reindexed(false, 0);
        assert_int_equal(counts.before.crashes, 2);
        assert_int_equal(counts.after.crashes, 2);
        assert_true(counts.taken_over);
        assert_int_equal(inode(REINDEX_KEPT), old);
        assert_int_not_equal(inode("detritus.db"), old);
        storage_expect("SELECT group_concat(held) FROM (SELECT held FROM crash ORDER BY crashed_at)", "0,1");
        storage_expect("SELECT lines FROM log_file", "2");
}

static void test_fewer_crashes_need_force(_unused_ void **state)
{
        char path[512];
        make_database();
        ino_t old = inode("detritus.db");
        upkeep_remove(upkeep_mirror("", TIME_1, "one", path));
        struct reindex_counts counts = reindexed(false, REINDEX_FEWER);
        assert_int_equal(counts.before.crashes, 2);
        assert_int_equal(counts.after.crashes, 1);
        assert_int_equal(inode("detritus.db"), old);
        assert_false(storage_exists(REINDEX_KEPT));
        storage_expect("SELECT count(*) FROM crash", "2");

        reindexed(true, 0);
        storage_expect("SELECT count(*) FROM crash", "1");
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY refs)", "0,1");
}

/* A database that nobody can read is set aside. The new one never meets its WAL. */
static void test_a_broken_database(_unused_ void **state)
{
        char text[4096];
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        storage_put("detritus.db", text);
        storage_put("detritus.db-wal", "the rest of it");
        storage_put("detritus.db-shm", "of no use");
        storage_put(REINDEX_KEPT, "of an older run");
        struct reindex_counts counts = reindexed(false, 0);
        assert_int_equal(counts.after.crashes, 2);
        assert_false(counts.taken_over);
        upkeep_expect_text(REINDEX_KEPT, text);
        assert_false(storage_exists("detritus.db-wal"));
        storage_expect("PRAGMA integrity_check", "ok");
        storage_expect("SELECT count(*) FROM crash", "2");
}

static void test_a_killed_run_leaves_nothing_in_the_way(_unused_ void **state)
{
        storage_make_dirs("reindex");
        storage_put("reindex/detritus.db", "half of one");
        storage_put("reindex/old.db", "and of a copy");
        assert_int_equal(reindexed(false, 0).after.crashes, 2);
}

static void test_one_at_a_time(_unused_ void **state)
{
        struct reindex_counts counts;
        struct error err = { "" };
        make_database();
        struct offline *o = opened(OFFLINE_DATABASE);
        assert_int_equal(reindex_data_dir(storage_dir, false, &counts, &err), -EBUSY);
        assert_non_null(strstr(err.text, "in use"));
        offline_close(o, true);
}

/* The next start checks everything. */
static void test_it_is_no_clean_stop(_unused_ void **state)
{
        reindexed(false, 0);
        _cleanup_(freep) char *lock = storage_text("lock");
        assert_non_null(strstr(lock, "\nrunning\n"));
}

/* What fails before the new database is durable leaves the old one. */
static void test_a_failed_sync_changes_nothing(_unused_ void **state)
{
        struct reindex_counts counts;
        struct error err = { "" };
        make_database();
        ino_t old = inode("detritus.db");
        storage_faults.syncs = 0;
        offline_close(opened(OFFLINE_FILES), false);
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at,
                     atomic_load(&storage_faults.syncs) + 1); /* the first after opening */
        assert_int_equal(reindex_data_dir(storage_dir, false, &counts, &err), -EIO);
        assert_non_null(strstr(err.text, "put the new database in its place"));
        assert_int_equal(inode("detritus.db"), old);
        storage_expect("SELECT count(*) FROM crash", "2");
}

/* ---- the files from the database ---- */

static struct mirror_counts mirrored(bool dry_run)
{
        struct mirror_counts counts;
        struct offline *o = opened(OFFLINE_DATABASE);
        assert_int_equal(reindex_mirror(o, dry_run, NULL, NULL, &counts), 0);
        assert_int_equal(offline_close(o, true), 0);
        return counts;
}

static void test_files_follow_the_database(_unused_ void **state)
{
        char one[512], two[512], extra[512];
        make_database();
        _cleanup_(freep) char *text = storage_text(upkeep_mirror("", TIME_1, "one", one));
        assert_int_equal(mirrored(false).written, 0);
        upkeep_remove(one);
        storage_put(upkeep_mirror("", TIME_2, "two", two), "{}");
        upkeep_put_crash("", "2020-01-01T00:00:00Z", "nobody's");
        upkeep_mirror("", "2020-01-01T00:00:00Z", "nobody's", extra);
        storage_put("crashes/by-source/acme/" INSTALL_A "/mine.json", "{}");

        for (int dry_run = 1; dry_run >= 0; dry_run--) {
                struct mirror_counts counts = mirrored(dry_run);
                assert_int_equal(counts.crashes, 2);
                assert_int_equal(counts.written, 2);
                assert_int_equal(counts.removed, 1);
                assert_int_equal(counts.left, 1);
                assert_int_equal(storage_exists(one), !dry_run);
                assert_int_equal(storage_exists(extra), dry_run);
        }
        upkeep_expect_text(one, text);
        assert_true(storage_exists("crashes/by-source/acme/" INSTALL_A "/mine.json"));
        struct stat st;
        assert_int_equal(fstatat(storage_fd, one, &st, 0), 0);
        assert_int_equal(st.st_mtim.tv_sec, 1700000000); /* when it was received */
        assert_int_equal(mirrored(false).written, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, storage_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_without_a_database),
                TEST(test_the_old_database_tells_more),
                TEST(test_fewer_crashes_need_force),
                TEST(test_a_broken_database),
                TEST(test_a_killed_run_leaves_nothing_in_the_way),
                TEST(test_one_at_a_time),
                TEST(test_it_is_no_clean_stop),
                TEST(test_a_failed_sync_changes_nothing),
                TEST(test_files_follow_the_database),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
