/* A data directory held for a command: what is refused and stays as it was, what is put in order, and how it is
 * left. */
#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/store/offline.h"
#include "util/log.h"

static struct offline *opened(enum offline_wants wants)
{
        struct offline *o;
        struct error err = { "" };
        if (offline_open(storage_dir, wants, &o, &err) < 0)
                fail_msg("%s", err.text);
        return o;
}

static void expect_refused(enum offline_wants wants, int error, const char *words)
{
        struct offline *o;
        struct error err = { "" };
        assert_int_equal(offline_open(storage_dir, wants, &o, &err), error);
        if (!strstr(err.text, words))
                fail_msg("%s", err.text);
}

static void expect_last_stop(const char *state)
{
        _cleanup_(freep) char *lock = storage_text("lock");
        assert_non_null(lock);
        if (!strstr(lock, state))
                fail_msg("%s", lock);
}

/* Nothing is written into a directory that is not ours. */
static void test_a_wrong_directory_stays_as_it_is(_unused_ void **state)
{
        storage_put("letter.txt", "Dear Sir");
        expect_refused(OFFLINE_DATABASE, -ENOENT, "find the database");
        expect_refused(OFFLINE_INDEX, -ENOENT, "not a data directory");
        expect_refused(OFFLINE_FILES, -ENOENT, "not a data directory");
        assert_int_equal(storage_count("."), 1);
        snprintf(storage_dir + strlen(storage_dir), 8, "/absent");
        expect_refused(OFFLINE_INDEX, -ENOENT, "absent");
        *strrchr(storage_dir, '/') = '\0';
}

static void test_an_empty_directory_becomes_one(_unused_ void **state)
{
        struct offline *o = opened(OFFLINE_INDEX);
        assert_non_null(o->index);
        assert_int_equal(offline_close(o, true), 0);
        storage_expect("SELECT count(*) FROM crash", "0");
        o = opened(OFFLINE_DATABASE);
        assert_non_null(o->index);
        offline_close(o, true);
        o = opened(OFFLINE_FILES);
        assert_null(o->index);
        offline_close(o, true);
}

static void test_one_holder_at_a_time(_unused_ void **state)
{
        char pid[32];
        struct offline *o = opened(OFFLINE_INDEX);
        snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
        expect_refused(OFFLINE_DATABASE, -EBUSY, pid);
        offline_close(o, true);
        offline_close(opened(OFFLINE_DATABASE), true);
        assert_int_equal(offline_close(NULL, true), 0);
}

static void test_a_backup_that_is_not_finished_is_refused(_unused_ void **state)
{
        offline_close(opened(OFFLINE_INDEX), true);
        storage_make_dirs(DATA_DIR_INCOMING);
        expect_refused(OFFLINE_DATABASE, -EUCLEAN, "was not finished");
}

static void test_the_lock_says_how_it_was_left(_unused_ void **state)
{
        struct offline *o = opened(OFFLINE_INDEX);
        expect_last_stop("\nrunning\n");
        offline_close(o, true);
        expect_last_stop("\nclean\n");
        o = opened(OFFLINE_DATABASE);
        assert_true(o->dir.was_clean);
        offline_close(o, false);
        expect_last_stop("\nrunning\n");
        o = opened(OFFLINE_DATABASE);
        assert_false(o->dir.was_clean);
        o->untidy = true; /* something is left to put right */
        offline_close(o, true);
        expect_last_stop("\nrunning\n");
}

/* After an unclean stop the index is made to agree with the files. */
static void test_an_unclean_stop_is_put_right(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE], dir[64];
        offline_close(opened(OFFLINE_INDEX), true);
        blob_path(storage_hash("left over", sha256), path);
        snprintf(dir, sizeof(dir), "crashes/by-hash/%.2s", sha256);
        storage_make_dirs(dir);
        storage_put(path, "left over");
        offline_close(opened(OFFLINE_DATABASE), false); /* after a clean stop nobody looks */
        storage_expect("SELECT count(*) FROM blob", "0");
        offline_close(opened(OFFLINE_DATABASE), true);
        storage_expect("SELECT count(*) FROM blob", "1");
}

/* What is logged at level error while the directory is opened. To be freed. */
static char *logged(enum offline_wants wants)
{
        int log = openat(storage_fd, "log.txt", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), before = dup(2);
        assert_true(log >= 0 && before >= 0);
        dup2(log, 2);
        log_setup(LOG_FORMAT_PRETTY, LOG_LEVEL_ERROR);
        struct offline *o = opened(wants);
        log_setup(LOG_FORMAT_PRETTY, LOG_LEVEL_ERROR + 1);
        dup2(before, 2);
        close(before);
        close(log);
        offline_close(o, false);
        return storage_text("log.txt");
}

/* `verify --repair` has reported it, and opens the directory after that. */
static void test_a_lost_blob_is_reported_once(_unused_ void **state)
{
        offline_close(opened(OFFLINE_INDEX), true);
        char sha256[BLOB_HEX_SIZE], row[256];
        snprintf(row, sizeof(row), "INSERT INTO blob(sha256, len, refs, created_at) VALUES ('%s', 3, 0, '%s')",
                 storage_hash("one", sha256), "2026-05-19T08:30:00.000Z");
        storage_change(row);
        offline_close(opened(OFFLINE_DATABASE), false);
        _cleanup_(freep) char *first = logged(OFFLINE_DATABASE), *second = logged(OFFLINE_VERIFIED);
        assert_non_null(strstr(first, "a stored blob is not on disk"));
        assert_string_equal(second, "");
}

static void test_a_sync_that_fails_is_no_clean_stop(_unused_ void **state)
{
        struct offline *o = opened(OFFLINE_INDEX);
        atomic_store(&storage_faults.sync_all_error, EIO);
        atomic_store(&storage_faults.sync_all_fails_at, 1);
        assert_int_equal(offline_close(o, true), -EIO);
        expect_last_stop("\nrunning\n");
}

/* Root leaves no file that the daemon's user cannot open, and is root again afterwards. */
static void test_root_works_as_the_owner(_unused_ void **state)
{
        struct stat st;
        if (geteuid() != 0)
                skip();
        assert_int_equal(fchown(storage_fd, 4321, 4322), 0);
        struct offline *o = opened(OFFLINE_INDEX);
        assert_int_equal(geteuid(), 4321);
        offline_close(o, true);
        assert_int_equal(geteuid(), 0);
        assert_int_equal(getegid(), 0);
        static const char *const files[] = { "lock", "detritus.db" };
        for (size_t i = 0; i < ARRAY_LEN(files); i++) {
                assert_int_equal(fstatat(storage_fd, files[i], &st, 0), 0);
                assert_int_equal(st.st_uid, 4321);
                assert_int_equal(st.st_gid, 4322);
        }
        assert_int_equal(unlinkat(storage_fd, "detritus.db", 0), 0);
        storage_put("letter.txt", "Dear Sir");
        expect_refused(OFFLINE_DATABASE, -ENOENT, "find the database"); /* before it became anybody */
        assert_int_equal(geteuid(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, storage_setup, storage_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_wrong_directory_stays_as_it_is),
                TEST(test_an_empty_directory_becomes_one),
                TEST(test_one_holder_at_a_time),
                TEST(test_a_backup_that_is_not_finished_is_refused),
                TEST(test_the_lock_says_how_it_was_left),
                TEST(test_an_unclean_stop_is_put_right),
                TEST(test_a_lost_blob_is_reported_once),
                TEST(test_a_sync_that_fails_is_no_clean_stop),
                TEST(test_root_works_as_the_owner),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
