/* The blob store on a real directory. */
#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_PATH "crashes/by-hash/ba/" ABC_SHA256 ".bin"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct blob_store *store;

static int setup(void **state)
{
        return storage_setup(state) == 0 ? blob_store_new(storage_fd, &store) : -1;
}

static int teardown(void **state)
{
        assert_int_equal(blob_store_open_writers(store), 0);
        assert_int_equal(storage_count("tmp"), 0);
        store = blob_store_free(store);
        return storage_teardown(state);
}

/* As the index writer does with a few. */
static int publish_writer(struct blob_writer *w, bool *ret_existed)
{
        bool stored;
        int r = blob_writer_is_stored(w, &stored);
        if (r == 0 && !stored)
                r = blob_writer_sync(w);
        if (r == 0)
                r = blob_writer_link(w, ret_existed);
        return r == 0 ? blob_sync_name(store, blob_writer_sha256(w)) : r;
}

static bool publish(const char *content)
{
        bool existed;
        struct blob_writer *w = storage_blob(store, content);
        assert_int_equal(publish_writer(w, &existed), 0);
        blob_writer_free(w);
        return existed;
}

static void test_published_under_its_hash(_unused_ void **state)
{
        bool existed = true;
        struct blob_writer *w;
        assert_int_equal(blob_writer_new(store, &w), 0);
        assert_int_equal(blob_store_open_writers(store), 1);
        assert_int_equal(blob_writer_write(w, "a", 1), 0);
        assert_int_equal(blob_writer_write(w, "", 0), 0);
        assert_int_equal(blob_writer_write(w, "bc", 2), 0);
        assert_int_equal(blob_writer_len(w), 3);
        assert_int_equal(blob_writer_finish(w), 0);
        assert_string_equal(blob_writer_sha256(w), ABC_SHA256);
        assert_int_equal(storage_count("crashes"), 0);

        assert_int_equal(publish_writer(w, &existed), 0);
        assert_false(existed);
        assert_null(blob_writer_free(w));

        char path[BLOB_PATH_SIZE];
        blob_path(ABC_SHA256, path);
        assert_string_equal(path, ABC_PATH);
        _cleanup_(freep) char *text = storage_text(ABC_PATH);
        assert_string_equal(text, "abc");
}

static void test_empty_blob(_unused_ void **state)
{
        assert_false(publish(""));
        assert_true(storage_exists("crashes/by-hash/e3/" EMPTY_SHA256 ".bin"));
}

/* Longer than a stretch, in pieces that fit none; the file is hashed again by what it is called. */
static void test_stretches(_unused_ void **state)
{
        static const size_t lens[] = { 65535, 65536, 65537, 200000 };
        static char content[200001];
        for (size_t i = 0; i < sizeof(content) - 1; i++)
                content[i] = (char)('a' + i % 23);
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                bool existed;
                struct blob_writer *w;
                assert_int_equal(blob_writer_new(store, &w), 0);
                for (size_t at = 0, n = 1; at < lens[i]; at += n, n = n * 3 % 40009) {
                        n = n < lens[i] - at ? n : lens[i] - at;
                        assert_int_equal(blob_writer_write(w, content + at, n), 0);
                }
                assert_int_equal(blob_writer_len(w), lens[i]);
                assert_int_equal(blob_writer_finish(w), 0);
                assert_int_equal(publish_writer(w, &existed), 0);

                char path[BLOB_PATH_SIZE];
                blob_path(blob_writer_sha256(w), path);
                blob_writer_free(w);
                _cleanup_(freep) char *text = storage_text(path);
                assert_int_equal(strlen(text), lens[i]);
                assert_memory_equal(text, content, lens[i]);
        }
}

static size_t resident_pages(const char *path)
{
        unsigned char pages[64] = { 0 };
        size_t n = 0, len = sizeof(pages) * (size_t)sysconf(_SC_PAGESIZE);
        int fd = openat(storage_fd, path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(map, MAP_FAILED);
        assert_int_equal(mincore(map, len, pages), 0);
        munmap(map, len);
        close(fd);
        for (size_t i = 0; i < sizeof(pages); i++)
                n += pages[i] & 1;
        return n;
}

static void test_pages_are_given_back(_unused_ void **state)
{
        struct statfs fs;
        assert_int_equal(fstatfs(storage_fd, &fs), 0);
        if (fs.f_type == TMPFS_MAGIC) /* its pages are the file */
                skip();
        static char content[64 * 4096 + 1];
        memset(content, 'x', sizeof(content) - 1);
        bool existed;
        char path[BLOB_PATH_SIZE];
        struct blob_writer *w = storage_blob(store, content);
        assert_int_equal(publish_writer(w, &existed), 0);
        blob_path(blob_writer_sha256(w), path);
        size_t before = resident_pages(path);
        blob_writer_drop_pages(w);
        blob_writer_free(w);
        assert_true(before > 0);
        assert_true(resident_pages(path) < before);
}

static void test_unpublished_leaves_nothing(_unused_ void **state)
{
        struct blob_writer *w = storage_blob(store, "abc");
        assert_int_equal(storage_count(""), 0);
        blob_writer_free(w);
        assert_int_equal(storage_count(""), 0);
}

static void test_twice_is_one_file(_unused_ void **state)
{
        assert_false(publish("abc"));
        assert_true(publish("abc"));
        assert_int_equal(storage_count("crashes"), 1);
}

/* The one that was there may have been linked by a process that was killed before it synced the directory. */
static void test_directory_synced_also_when_there(_unused_ void **state)
{
        publish("abc");
        atomic_store(&storage_faults.dir_syncs, 0);
        publish("abc");
        assert_int_equal(atomic_load(&storage_faults.dir_syncs), 1);
}

static void test_wrong_size_is_replaced(_unused_ void **state)
{
        storage_make_dirs("crashes/by-hash/ba");
        storage_put(ABC_PATH, "ab");
        assert_true(publish("abc"));
        _cleanup_(freep) char *text = storage_text(ABC_PATH);
        assert_string_equal(text, "abc");
        assert_int_equal(storage_count("crashes"), 1);
}

static void test_directory_removed_by_hand(_unused_ void **state)
{
        publish("abc");
        assert_int_equal(blob_unlink(store, ABC_SHA256, NULL), 0);
        assert_int_equal(unlinkat(storage_fd, "crashes/by-hash/ba", AT_REMOVEDIR), 0);
        assert_false(publish("abc"));
        assert_true(storage_exists(ABC_PATH));
}

static void test_unlink(_unused_ void **state)
{
        uint64_t len = 99;
        assert_int_equal(blob_unlink(store, ABC_SHA256, &len), -ENOENT);
        assert_int_equal(len, 99);
        publish("abc");
        assert_int_equal(blob_unlink(store, ABC_SHA256, &len), 0);
        assert_int_equal(len, 3);
        assert_false(storage_exists(ABC_PATH));
}

/* A file that is not safe must not get a name. */
static void test_failed_sync_gives_no_name(_unused_ void **state)
{
        bool existed;
        struct blob_writer *w = storage_blob(store, "abc");
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        assert_int_equal(publish_writer(w, &existed), -EIO);
        blob_writer_free(w);
        assert_int_equal(storage_count("crashes"), 0);
}

static void test_failed_directory_sync_is_told(_unused_ void **state)
{
        bool existed;
        publish("abc");
        struct blob_writer *w = storage_blob(store, "abc");
        atomic_store(&storage_faults.dir_sync_error, EIO);
        atomic_store(&storage_faults.dir_sync_fails_at, 1);
        assert_int_equal(publish_writer(w, &existed), -EIO);
        blob_writer_free(w);
}

static void test_without_tmpfile(_unused_ void **state)
{
        atomic_store(&storage_faults.no_tmpfile, true);
        struct blob_writer *w = storage_blob(store, "gone");
        assert_int_equal(storage_count("tmp"), 1);
        blob_writer_free(w);
        assert_int_equal(storage_count("tmp"), 0);

        assert_false(publish("abc"));
        assert_true(publish("abc"));
        _cleanup_(freep) char *text = storage_text(ABC_PATH);
        assert_string_equal(text, "abc");

        storage_put(ABC_PATH, "ab");
        assert_true(publish("abc"));
        assert_int_equal(storage_count("crashes"), 1);
}

static void test_tmp_is_emptied_at_start(_unused_ void **state)
{
        store = blob_store_free(store);
        storage_put("tmp/blob-0", "left over");
        assert_int_equal(blob_store_new(storage_fd, &store), 0);
        assert_int_equal(storage_count("tmp"), 0);
}

/* In a child with a mount namespace of its own. 0: as it should be; 77: not possible here; else the failing line. */
static int fill_small_tmpfs(void)
{
        static char chunk[64 * 1024];
        struct blob_store *small;
        struct blob_writer *w;
        bool existed;
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", storage_dir, "tmpfs", 0, "size=1m") < 0)
                return 77;
        int fd = open(storage_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (blob_store_new(fd, &small) != 0 || blob_writer_new(small, &w) != 0)
                return __LINE__ % 76;
        int r = 0;
        for (int i = 0; r == 0 && i < 32; i++)
                r = blob_writer_write(w, chunk, sizeof(chunk));
        if (r != -ENOSPC)
                return __LINE__ % 76;
        blob_writer_free(w);
        if (blob_writer_new(small, &w) != 0 || blob_writer_write(w, chunk, sizeof(chunk)) != 0 ||
            blob_writer_finish(w) != 0 || blob_writer_link(w, &existed) != 0 || existed)
                return __LINE__ % 76;
        blob_writer_free(w);
        blob_store_free(small);
        return 0;
}

static void test_full_disk_passes(_unused_ void **state)
{
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
                _exit(fill_small_tmpfs());
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_published_under_its_hash, setup, teardown),
                cmocka_unit_test_setup_teardown(test_empty_blob, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stretches, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pages_are_given_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unpublished_leaves_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_twice_is_one_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_directory_synced_also_when_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wrong_size_is_replaced, setup, teardown),
                cmocka_unit_test_setup_teardown(test_directory_removed_by_hand, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unlink, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_sync_gives_no_name, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_directory_sync_is_told, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_tmpfile, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tmp_is_emptied_at_start, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_disk_passes, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
