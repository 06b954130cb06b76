/* What is taken from another directory, what is left there and why, and that a second run takes nothing twice. The
 * other directory is other/, below the one that takes. */
#include "upkeep_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_operate.h"
#include "upkeep/import.h"

#define OTHER "other/"
#define DAY_1 "2026-05-18"
#define DAY_2 "2026-05-19"

static struct offline *o;
static char other_dir[192], left_path[512], left_why[256];
static unsigned n_left;

static void open_here(void)
{
        struct error err = { "" };
        if (offline_open(storage_dir, OFFLINE_INDEX, &o, &err) < 0)
                fail_msg("%s", err.text);
}

static void close_here(void)
{
        assert_int_equal(offline_close(TAKE_PTR(o), true), 0);
}

static int setup(void **state)
{
        if (storage_setup(state) < 0)
                return -1;
        storage_make_dirs("crashes");
        storage_make_dirs("other");
        snprintf(other_dir, sizeof(other_dir), "%s/other", storage_dir);
        o = NULL;
        open_here();
        return 0;
}

static int teardown(void **state)
{
        offline_close(o, false);
        return storage_teardown(state);
}

static void note_left(_unused_ void *userdata, const char *path, const char *why)
{
        n_left++;
        snprintf(left_path, sizeof(left_path), "%s", path);
        snprintf(left_why, sizeof(left_why), "%s", why);
}

static int import(struct import_counts *ret, struct error *err)
{
        const struct import_config config = { .from = other_dir, .left = note_left };
        n_left = 0;
        left_path[0] = left_why[0] = '\0';
        return import_run(&config, o, ret, err);
}

static struct import_counts imported(void)
{
        struct import_counts counts;
        struct error err = { "" };
        if (import(&counts, &err) != 0)
                fail_msg("%s", err.text);
        return counts;
}

static void test_crashes_come_in(_unused_ void **state)
{
        char path[512];
        upkeep_put_crash(OTHER, TIME_1, "one");
        upkeep_put_crash(OTHER, TIME_2, "two!");
        struct import_counts counts = imported();
        assert_int_equal(counts.crashes, 2);
        assert_int_equal(counts.crashes_known + counts.crashes_left + n_left, 0);
        assert_int_equal(counts.blobs, 2);
        assert_int_equal(counts.blob_bytes, 7);
        assert_false(counts.details);
        upkeep_expect_text(upkeep_blob("", "one", path), "one");
        storage_expect("SELECT group_concat(received_at) FROM crash_overview",
                       "2023-11-14T22:13:20.000Z,2023-11-14T22:13:20.000Z");
        storage_expect("SELECT sum(refs) || ',' || sum(len) FROM blob", "2,7");
        assert_int_equal(storage_count("tmp"), 0);

        counts = imported();
        assert_int_equal(counts.crashes + counts.blobs, 0);
        assert_int_equal(counts.crashes_known, 2);
        storage_expect("SELECT count(*) FROM crash", "2");
}

/* Two crashes of one dump: the blob is copied once. */
static void test_a_shared_blob_comes_once(_unused_ void **state)
{
        upkeep_put_crash(OTHER, TIME_1, "same");
        upkeep_put_crash(OTHER, TIME_2, "same");
        struct import_counts counts = imported();
        assert_int_equal(counts.crashes, 2);
        assert_int_equal(counts.blobs, 1);
        storage_expect("SELECT refs FROM blob", "2");
}

static void expect_one_left(const char *why)
{
        char path[512];
        struct import_counts counts = imported();
        assert_int_equal(counts.crashes, 1);
        assert_int_equal(counts.crashes_left, 1);
        assert_int_equal(n_left, 1);
        upkeep_mirror("", TIME_1, "one", path);
        assert_string_equal(left_path, path);
        if (!strstr(left_why, why))
                fail_msg("%s", left_why);
        assert_false(storage_exists(path));
        assert_false(storage_exists(upkeep_blob("", "one", path)));
        assert_true(storage_exists(upkeep_blob("", "two", path)));
        storage_expect("SELECT count(*) FROM blob", "1");
        assert_int_equal(storage_count("tmp"), 0);
}

static void test_a_corrupt_blob_is_left(_unused_ void **state)
{
        char path[512];
        upkeep_put_crash(OTHER, TIME_1, "one");
        upkeep_put_crash(OTHER, TIME_2, "two");
        storage_put(upkeep_blob(OTHER, "one", path), "0ne");
        expect_one_left("its bytes are not those of its name");
}

static void test_a_missing_blob_is_left(_unused_ void **state)
{
        char path[512];
        upkeep_put_crash(OTHER, TIME_1, "one");
        upkeep_put_crash(OTHER, TIME_2, "two");
        upkeep_remove(upkeep_blob(OTHER, "one", path));
        expect_one_left("is not there");
}

static void test_an_unreadable_file_is_left(_unused_ void **state)
{
        char path[512];
        upkeep_put_crash(OTHER, TIME_1, "one");
        upkeep_put_crash(OTHER, TIME_2, "two");
        storage_put(upkeep_mirror(OTHER, TIME_1, "one", path), "{");
        expect_one_left("not valid JSON");
}

static void test_log_files_come_in(_unused_ void **state)
{
        char path[512];
        upkeep_put_log(OTHER, DAY_1, "{\"n\":1}\n{\"n\":2}\n{\"torn");
        upkeep_pack_log(OTHER, DAY_2, "{\"n\":3}\n");
        struct import_counts counts = imported();
        assert_int_equal(counts.log_files, 2);
        assert_int_equal(counts.log_files_left + counts.log_lines, 0);
        upkeep_expect_text(upkeep_log("", DAY_1, "", path), "{\"n\":1}\n{\"n\":2}\n");
        assert_true(storage_exists(upkeep_log("", DAY_2, ".zst", path)));
        storage_expect("SELECT group_concat(day || ' ' || compressed) FROM (SELECT * FROM log_file ORDER BY day)",
                       DAY_1 " 0," DAY_2 " 1");

        counts = imported();
        assert_int_equal(counts.log_files, 0);
        assert_int_equal(counts.log_files_known, 2);
}

/* A line is there as often as in the directory that has it more often. */
static void test_days_are_merged(_unused_ void **state)
{
        char path[512];
        upkeep_put_log("", DAY_1, "a\nb\n");
        upkeep_put_log(OTHER, DAY_1, "b\nc\nb\na\n");
        close_here();
        open_here(); /* which makes the row */
        storage_expect("SELECT bytes FROM log_file", "4");
        struct import_counts counts = imported();
        assert_int_equal(counts.log_files, 1);
        assert_int_equal(counts.log_lines, 2);
        upkeep_expect_text(upkeep_log("", DAY_1, "", path), "a\nb\nc\nb\n");
        storage_expect("SELECT bytes FROM log_file", "8");

        counts = imported();
        assert_int_equal(counts.log_lines, 0);
        assert_int_equal(counts.log_files_known, 1);
        upkeep_expect_text(path, "a\nb\nc\nb\n");
        assert_int_equal(storage_count("logs"), 1); /* and nothing half-written */
}

static void test_a_compressed_day_that_gains_lines_is_plain(_unused_ void **state)
{
        char path[512];
        upkeep_pack_log("", DAY_1, "a\nb\n");
        upkeep_pack_log(OTHER, DAY_1, "b\nc\n");
        close_here();
        open_here();
        storage_expect("SELECT compressed FROM log_file", "1");
        assert_int_equal(imported().log_lines, 1);
        upkeep_expect_text(upkeep_log("", DAY_1, "", path), "a\nb\nc\n");
        assert_false(storage_exists(upkeep_log("", DAY_1, ".zst", path)));
        storage_expect("SELECT compressed || ' ' || bytes FROM log_file", "0 6");
}

static void test_a_damaged_log_file_is_left(_unused_ void **state)
{
        char path[512];
        upkeep_put_log("", DAY_1, "a\n");
        upkeep_put_log(OTHER, DAY_2, "b\n");
        upkeep_pack_log(OTHER, DAY_1, "a\n");
        storage_put(upkeep_log(OTHER, DAY_1, ".zst", path), "this is not zstd");
        struct import_counts counts = imported();
        assert_int_equal(counts.log_files_left, 1);
        assert_int_equal(counts.log_files, 1);
        assert_string_equal(left_path, path + strlen(OTHER));
        assert_string_equal(left_why, "it is damaged");
        upkeep_expect_text(upkeep_log("", DAY_1, "", path), "a\n");
        upkeep_expect_text(upkeep_log("", DAY_2, "", path), "b\n");
}

/* What JSON files do not say: whether a crash is held. */
static void test_the_other_database_tells_more(_unused_ void **state)
{
        struct offline *there;
        upkeep_put_crash(OTHER, TIME_1, "one");
        assert_int_equal(offline_open(other_dir, OFFLINE_INDEX, &there, NULL), 0);
        assert_int_equal(index_set_held(there->index, 1, true), 0);
        assert_int_equal(offline_close(there, true), 0);
        assert_true(imported().details);
        storage_expect("SELECT held FROM crash", "1");
        assert_false(storage_exists("tmp/import.db"));
}

static void test_what_cannot_be_imported(_unused_ void **state)
{
        struct import_counts counts;
        struct error err;
        snprintf(other_dir, sizeof(other_dir), "%s", storage_dir);
        assert_int_equal(import(&counts, &err), -EINVAL);
        assert_non_null(strstr(err.text, "into itself"));
        snprintf(other_dir, sizeof(other_dir), "%s/absent", storage_dir);
        assert_int_equal(import(&counts, &err), -ENOENT);
        assert_non_null(strstr(err.text, "absent"));
}

/* Whatever is in the place of a file or directory, it is named and counted, and never opened. */
static void test_odd_things_are_left(_unused_ void **state)
{
        static const char *const fifos[] = { "detritus.db", "detritus.db-wal", "logs", "crashes" };
        alarm(30); /* rather than hang */
        for (size_t n = 0; n < ARRAY_LEN(fifos); n++) {
                char path[PATH_MAX];
                snprintf(path, sizeof(path), "%s/%s", other_dir, fifos[n]);
                assert_int_equal(mkfifo(path, 0600), 0);
                struct import_counts counts = imported();
                assert_int_equal(counts.others_left, 1);
                assert_int_equal(n_left, 1);
                assert_string_equal(left_path, fifos[n]);
                assert_non_null(strstr(left_why, "it is a FIFO"));
                assert_int_equal(unlink(path), 0);
        }
        alarm(0);
}

/* Neither a blob nor a JSON file has its name before it is on the disk. */
static void test_a_failed_sync_leaves_no_names(_unused_ void **state)
{
        for (int at = 1; at <= 2; at++) {
                struct import_counts counts;
                struct error err = { "" };
                upkeep_put_crash(OTHER, TIME_1, "one");
                atomic_store(&storage_faults.sync_all_error, EIO);
                atomic_store(&storage_faults.sync_all_fails_at, at);
                assert_int_equal(import(&counts, &err), -EIO);
                assert_int_equal(counts.crashes, 0);
                assert_int_equal(storage_count("crashes/by-source"), 0);
                assert_int_equal(storage_count("crashes/by-hash"),
                                 at - 1); /* the second sync is that of blobs' names */
                storage_expect("SELECT count(*) FROM crash", "0");
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_crashes_come_in),
                TEST(test_a_shared_blob_comes_once),
                TEST(test_a_corrupt_blob_is_left),
                TEST(test_a_missing_blob_is_left),
                TEST(test_an_unreadable_file_is_left),
                TEST(test_log_files_come_in),
                TEST(test_days_are_merged),
                TEST(test_a_compressed_day_that_gains_lines_is_plain),
                TEST(test_a_damaged_log_file_is_left),
                TEST(test_the_other_database_tells_more),
                TEST(test_what_cannot_be_imported),
                TEST(test_odd_things_are_left),
                TEST(test_a_failed_sync_leaves_no_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
