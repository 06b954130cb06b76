/* What becomes of log files between one backup and the next: they grow, are compressed, are deleted. */
#include "upkeep_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/store/offline.h"
#include "upkeep/backup.h"
#include "upkeep/verify.h"

#define DAY_1 "2026-05-18"
#define DAY_2 "2026-05-19"
#define COPY "copy/"

static char copy_dir[192], original_dir[192];

/* The original is storage_dir/data, its database too, so that the copy is no part of it. */
#define DATA "data/"

static int setup(void **state)
{
        if (storage_setup(state) < 0)
                return -1;
        storage_make_dirs("data/logs");
        snprintf(original_dir, sizeof(original_dir), "%s/data", storage_dir);
        snprintf(copy_dir, sizeof(copy_dir), "%s/copy", storage_dir);
        return 0;
}

/* The index of the original learns of its files, as at a start. */
static void note_files(void)
{
        struct offline *o;
        struct error err = { "" };
        if (offline_open(original_dir, OFFLINE_INDEX, &o, &err) < 0)
                fail_msg("%s", err.text);
        assert_int_equal(offline_close(o, true), 0);
}

static struct backup_counts backed_up(void)
{
        struct backup_counts counts;
        struct error err = { "" };
        const struct backup_config config = { .from = original_dir, .to = copy_dir };
        if (backup_run(&config, &counts, &err) != 0)
                fail_msg("%s", err.text);
        return counts;
}

static int count(void *userdata, const struct verify_finding *finding)
{
        print_message("%s %s: %s\n", verify_kind_name(finding->kind), finding->what, finding->problem);
        ++*(int *)userdata;
        return 0;
}

/* The rows of the copy say what its files are. */
static void expect_whole(uint64_t log_files, uint64_t bytes)
{
        struct verify_counts counts;
        struct index *copy;
        int found = 0, fd = open(copy_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const struct verify_config config = { .finding = count, .userdata = &found };
        assert_int_equal(index_open_readonly(copy_dir, &copy, NULL), 0);
        assert_int_equal(verify_data_dir(fd, copy, &config, &counts), 0);
        index_free(copy);
        close(fd);
        assert_int_equal(found, 0);
        assert_int_equal(counts.log_files, log_files);
        assert_int_equal(counts.log_bytes, bytes);
}

/* The row of a file trails it, and its last line is not finished: the copy's says what was copied. */
static void test_a_file_that_grows(_unused_ void **state)
{
        char path[512];
        upkeep_put_log(DATA, DAY_1, "{}\n");
        note_files();
        upkeep_put_log(DATA, DAY_1, "{}\n{}\n{\"half");
        backed_up();
        upkeep_expect_text(upkeep_log(COPY, DAY_1, "", path), "{}\n{}\n");
        expect_whole(1, 6);
        upkeep_put_log(DATA, DAY_1, "{}\n{}\n{\"half\":2}\n");
        struct backup_counts counts = backed_up();
        upkeep_expect_text(path, "{}\n{}\n{\"half\":2}\n");
        assert_int_equal(counts.bytes, 11); /* appended */
        expect_whole(1, 17);
}

/* By a hand, in the database of the original. */
static void count_two_lines(void)
{
        size_t n = strlen(storage_dir);
        strcat(storage_dir, "/data");
        storage_change("UPDATE log_file SET lines = 2");
        storage_dir[n] = '\0';
}

static void expect_in_copy(const char *sql, const char *expected)
{
        size_t n = strlen(storage_dir);
        strcat(storage_dir, "/copy");
        storage_expect(sql, expected);
        storage_dir[n] = '\0';
}

/* A file that its row says was larger: an unknown number of lines was lost. */
static void test_a_file_that_shrank(_unused_ void **state)
{
        upkeep_put_log(DATA, DAY_1, "{}\n{}\n");
        note_files();
        count_two_lines();
        upkeep_put_log(DATA, DAY_1, "{}\n");
        backed_up();
        expect_whole(1, 3);
        expect_in_copy("SELECT bytes || ' ' || ifnull(lines, 'unknown') FROM log_file", "3 unknown");
}

static void test_a_file_that_is_compressed(_unused_ void **state)
{
        char path[512];
        struct stat st;
        upkeep_put_log(DATA, DAY_1, "{}\n{}\n");
        note_files();
        backed_up();
        expect_whole(1, 6);
        upkeep_pack_log(DATA, DAY_1, "{}\n{}\n");
        upkeep_remove(upkeep_log(DATA, DAY_1, "", path));
        struct backup_counts counts = backed_up(); /* the row still says that it is plain */
        assert_int_equal(counts.removed, 1);
        assert_false(storage_exists(upkeep_log(COPY, DAY_1, "", path)));
        assert_int_equal(fstatat(storage_fd, upkeep_log(COPY, DAY_1, ".zst", path), &st, 0), 0);
        expect_whole(1, (uint64_t)st.st_size);
}

static void test_a_file_that_is_deleted(_unused_ void **state)
{
        char path[512];
        upkeep_put_log(DATA, DAY_1, "{}\n");
        upkeep_put_log(DATA, DAY_2, "{}\n{}\n");
        note_files();
        backed_up();
        expect_whole(2, 9);
        upkeep_remove(upkeep_log(DATA, DAY_1, "", path));
        assert_int_equal(backed_up().removed, 1);
        assert_false(storage_exists(upkeep_log(COPY, DAY_1, "", path)));
        expect_whole(1, 6);
}

/* Files that the original has no row of yet, and ends that were set aside. */
static void test_new_files_and_torn_ends(_unused_ void **state)
{
        char path[512];
        note_files();
        upkeep_put_log(DATA, DAY_1, "{}\n");
        storage_put(upkeep_log(DATA, DAY_1, ".torn", path), "{\"half");
        storage_put("data/logs/acme/" INSTALL_A "/notes.txt", "of no use");
        backed_up();
        upkeep_expect_text(upkeep_log(COPY, DAY_1, ".torn", path), "{\"half");
        assert_false(storage_exists("copy/logs/acme/" INSTALL_A "/notes.txt"));
        expect_whole(1, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, storage_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_file_that_grows),         TEST(test_a_file_that_shrank),
                TEST(test_a_file_that_is_compressed), TEST(test_a_file_that_is_deleted),
                TEST(test_new_files_and_torn_ends),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
