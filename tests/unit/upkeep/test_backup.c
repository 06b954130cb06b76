/* Backups while the original changes: at the moment that a test chooses, between the snapshot of the database and the
 * copy of a file, since tree_copy_file() is wrapped. The rest is tests/wire/test_ctl_backup.py's. */
#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "upkeep/backup.h"
#include "upkeep/tree_copy.h"
#include "upkeep/verify.h"

static struct index *x;
static char copy_dir[160];
static void (*before_copy)(const char *path); /* once */

int __real_tree_copy_file(struct tree_copy *c, const char *path, bool same_len_is_same);
int __wrap_tree_copy_file(struct tree_copy *c, const char *path, bool same_len_is_same);

int __wrap_tree_copy_file(struct tree_copy *c, const char *path, bool same_len_is_same)
{
        void (*hook)(const char *) = TAKE_PTR(before_copy);
        if (hook)
                hook(path);
        return __real_tree_copy_file(c, path, same_len_is_same);
}

static int setup(void **state)
{
        bool created;
        before_copy = NULL;
        if (storage_setup(state) < 0 || index_open(storage_dir, &x, &created, NULL) < 0 || index_set_adopted(x) < 0)
                return -1;
        snprintf(copy_dir, sizeof(copy_dir), "%s/the-backup", storage_dir);
        return 0;
}

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

static void put_crash(const char *timestamp, const char *dump)
{
        char path[BLOB_PATH_SIZE], dir[32], sha256[BLOB_HEX_SIZE];
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, timestamp);
        blob_path(storage_hash(dump, sha256), path);
        snprintf(dir, sizeof(dir), "crashes/by-hash/%.2s", sha256);
        storage_make_dirs(dir);
        storage_put(path, dump);
        struct index_crash crash = {
                .metadata = m,
                .received_at = clock_now(),
                .dump = { .sha256 = sha256, .len = strlen(dump) },
        };
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_insert_crash(x, &crash), 0);
        assert_int_equal(index_commit(x), 0);
        assert_int_equal(mirror_write(storage_fd, &crash), 0);
}

static struct backup_counts backed_up(void)
{
        struct backup_counts counts;
        struct error err = { "" };
        const struct backup_config config = { .from = storage_dir, .to = copy_dir, .link = true };
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

static void expect_whole(void)
{
        struct verify_counts counts;
        struct index *copy;
        int found = 0;
        const struct verify_config config = { .deep = true, .finding = count, .userdata = &found };
        int fd = open(copy_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(index_open_readonly(copy_dir, &copy, NULL), 0);
        assert_int_equal(verify_data_dir(fd, copy, &config, &counts), 0);
        index_free(copy);
        close(fd);
        assert_int_equal(found, 0);
}

/* Retention, on its own connection. */
static void delete_all(_unused_ const char *path)
{
        char sha256[BLOB_HEX_SIZE], blob[BLOB_PATH_SIZE];
        assert_int_equal(index_delete_crash(x, 1), 0);
        assert_int_equal(index_delete_blob(x, storage_hash("one", sha256)), 0);
        blob_path(sha256, blob);
        assert_int_equal(unlinkat(storage_fd, blob, 0), 0);
}

static void test_deleted_between_snapshot_and_copy(_unused_ void **state)
{
        put_crash(TIME_1, "one");
        put_crash(TIME_2, "two");
        before_copy = delete_all;
        struct backup_counts counts = backed_up();
        assert_int_equal(counts.deleted_meanwhile, 1);
        assert_int_equal(counts.lost, 0);
        assert_int_equal(counts.rows.crashes, 1);
        expect_whole();
}

static void delete_and_send_again(const char *path)
{
        delete_all(path);
        put_crash(TIME_1, "one");
}

static void test_deleted_and_sent_again(_unused_ void **state)
{
        put_crash(TIME_1, "one");
        before_copy = delete_and_send_again;
        struct backup_counts counts = backed_up();
        assert_int_equal(counts.deleted_meanwhile + counts.lost, 0);
        assert_int_equal(counts.rows.crashes, 1);
        expect_whole();
}

static void only_unlink(const char *path)
{
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
}

static void test_a_file_whose_row_is_there_is_lost(_unused_ void **state)
{
        put_crash(TIME_1, "one");
        before_copy = only_unlink;
        struct backup_counts counts = backed_up();
        assert_int_equal(counts.deleted_meanwhile, 0);
        assert_int_equal(counts.lost, 1);
        assert_int_equal(counts.rows.crashes, 1); /* its row still tells of it */
}

static void one_more(_unused_ const char *path)
{
        put_crash(TIME_2, "two");
}

static void test_what_came_after_the_snapshot_is_the_next_one_s(_unused_ void **state)
{
        put_crash(TIME_1, "one");
        before_copy = one_more;
        assert_int_equal(backed_up().rows.crashes, 1);
        expect_whole();
        assert_int_equal(backed_up().rows.crashes, 2);
        expect_whole();
}

static bool the_copy_has(const char *path)
{
        char full[512];
        snprintf(full, sizeof(full), "the-backup/%s", path);
        return storage_exists(full);
}

/* The older copy is still there: its rows and all that they name. */
static void test_a_failed_run_leaves_the_older_copy(_unused_ void **state)
{
        struct backup_counts counts;
        struct error err = { "" };
        const struct backup_config config = { .from = storage_dir, .to = copy_dir, .link = true };
        put_crash(TIME_1, "one");
        backed_up();
        put_crash(TIME_2, "two");
        /* the copy's directory, made durable last */
        atomic_store(&storage_faults.dir_sync_error, EIO);
        atomic_store(&storage_faults.dir_sync_fails_at, 1);
        assert_true(backup_run(&config, &counts, &err) < 0);
        assert_non_null(strstr(err.text, "cannot"));
        expect_whole();
        assert_true(the_copy_has("manifest.json"));
        atomic_store(&storage_faults.dir_sync_fails_at, 0);
        assert_int_equal(backed_up().rows.crashes, 2);
        assert_false(the_copy_has("incoming"));
        expect_whole();
}

#define LOG_DIR "logs/acme/" INSTALL_A

static char *copied_text(const char *path)
{
        char full[512];
        snprintf(full, sizeof(full), "the-backup/%s", path);
        return storage_text(full);
}

static void copy_lines(const char *text, const char *expected)
{
        struct tree_copy c = { .from_fd = storage_fd };
        storage_make_dirs("the-backup");
        storage_make_dirs(LOG_DIR);
        c.to_fd = openat(storage_fd, "the-backup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        storage_put(LOG_DIR "/2026-05-19.ndjson", text);
        assert_int_equal(tree_copy_lines(&c, LOG_DIR "/2026-05-19.ndjson"), 0);
        close(c.to_fd);
        _cleanup_(freep) char *found = copied_text(LOG_DIR "/2026-05-19.ndjson");
        assert_string_equal(found, expected);
}

static void test_lines_are_copied_whole_and_onwards(_unused_ void **state)
{
        copy_lines("", "");
        copy_lines("{\"a", "");
        copy_lines("{\"a\":1}\n{\"b", "{\"a\":1}\n");
        copy_lines("{\"a\":1}\n{\"b\":1}\n", "{\"a\":1}\n{\"b\":1}\n");
        copy_lines("{\"other\":1}\n{\"b\":1}\n{\"c\":1}\n", "{\"other\":1}\n{\"b\":1}\n{\"c\":1}\n");
        copy_lines("{\"shorter\":1}\n", "{\"shorter\":1}\n");
        /* what a power cut may leave of a copy */
        storage_put("the-backup/" LOG_DIR "/2026-05-19.ndjson", "{\"shor\001\001\001");
        copy_lines("{\"shorter\":1}\n{}\n", "{\"shorter\":1}\n{}\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_deleted_between_snapshot_and_copy),
                TEST(test_deleted_and_sent_again),
                TEST(test_a_file_whose_row_is_there_is_lost),
                TEST(test_what_came_after_the_snapshot_is_the_next_one_s),
                TEST(test_a_failed_run_leaves_the_older_copy),
                TEST(test_lines_are_copied_whole_and_onwards),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
