/* What a running daemon is about to put right is no finding, and what it is not is one. A daemon is a lock that is
 * held, and time passes in nanosleep(), which is wrapped. The kinds of damage are tests/wire/test_ctl_verify.py's. */
#include "storage_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <zstd.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_check.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/store/data_dir.h"
#include "upkeep/repair.h"
#include "upkeep/verify_internal.h"

static struct index *x;
static int lock_fd = -1;
static unsigned sleeps;
static void (*meanwhile)(void); /* what the daemon does while verify waits */

int __wrap_nanosleep(const struct timespec *request, struct timespec *rest);

int __wrap_nanosleep(const struct timespec *request, _unused_ struct timespec *rest)
{
        assert_true(request->tv_sec < 3);
        sleeps++;
        if (meanwhile)
                meanwhile();
        return 0;
}

static unsigned locks_tried;

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
        locks_tried++;
        return __real_flock(fd, operation);
}

static int setup(void **state)
{
        bool created;
        meanwhile = NULL;
        sleeps = 0;
        return storage_setup(state) == 0 && index_open(storage_dir, &x, &created, NULL) == 0 &&
                               index_set_adopted(x) == 0
                       ? 0
                       : -1;
}

static int teardown(void **state)
{
        x = index_free(x);
        if (lock_fd >= 0)
                close(TAKE_FD(lock_fd));
        return storage_teardown(state);
}

static void start_daemon(void)
{
        lock_fd = openat(storage_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
}

static void put_blob(const char *content, char path[BLOB_PATH_SIZE])
{
        char dir[32], sha256[BLOB_HEX_SIZE];
        blob_path(storage_hash(content, sha256), path);
        snprintf(dir, sizeof(dir), "crashes/by-hash/%.2s", sha256);
        storage_make_dirs(dir);
        storage_put(path, content);
}

/* received: so many seconds ago. With its blob and mirror. */
static void put_crash(const char *timestamp, const char *dump, int64_t ago)
{
        char path[BLOB_PATH_SIZE], sha256[BLOB_HEX_SIZE];
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, timestamp);
        put_blob(dump, path);
        struct index_crash crash = {
                .metadata = m,
                .received_at = { .sec = clock_now().sec - ago },
                .dump = { .sha256 = storage_hash(dump, sha256), .len = strlen(dump) },
        };
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_insert_crash(x, &crash), 0);
        assert_int_equal(index_commit(x), 0);
        assert_int_equal(mirror_write(storage_fd, &crash), 0);
}

static void mirror_of(const char *timestamp, const char *dump, char ret[MIRROR_PATH_SIZE])
{
        char sha256[BLOB_HEX_SIZE];
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, timestamp);
        mirror_path(&m->source, m->timestamp, storage_hash(dump, sha256), ret);
}

static void drop(const char *path)
{
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
}

static int ignore(_unused_ void *userdata, _unused_ const struct verify_finding *finding)
{
        return 0;
}

static uint64_t last_done, last_all; /* of the contents that were read */

static void see_progress(_unused_ void *userdata, const char *step, uint64_t done, uint64_t all)
{
        if (all > 0 && done > all)
                fail_msg("%s: %llu of %llu", step, (unsigned long long)done, (unsigned long long)all);
        if (!strstr(step, "MiB"))
                return;
        last_done = done;
        last_all = all;
}

static struct verify_counts verified(void)
{
        struct verify_counts counts;
        const struct verify_config config = { .deep = true, .finding = ignore, .progress = see_progress };
        assert_int_equal(verify_data_dir(storage_fd, x, &config, &counts), 0);
        return counts;
}

static void test_a_lock_is_a_daemon(_unused_ void **state)
{
        pid_t holder = 0;
        assert_false(data_dir_is_held(storage_fd, &holder)); /* no lock file */
        start_daemon();
        locks_tried = 0;
        assert_true(data_dir_is_held(storage_fd, &holder));
        assert_int_equal(holder, getpid());
        assert_true(verified().daemon);
        close(TAKE_FD(lock_fd));
        assert_false(data_dir_is_held(storage_fd, NULL));
        assert_int_equal(locks_tried, 0); /* a daemon that starts just then would be refused */
        assert_int_equal(sleeps, 0);      /* nothing was suspect */
}

static void test_a_young_orphan_is_on_its_way(_unused_ void **state)
{
        char path[BLOB_PATH_SIZE];
        put_blob("not committed yet", path);
        assert_int_equal(verified().found[VERIFY_BLOB_ORPHAN], 1);
        start_daemon();
        assert_int_equal(verified().findings, 0);
}

static void test_a_young_crash_gets_its_mirror_soon(_unused_ void **state)
{
        char path[MIRROR_PATH_SIZE];
        put_crash(TIME_1, "one", 0);
        mirror_of(TIME_1, "one", path);
        drop(path);
        assert_int_equal(verified().found[VERIFY_MIRROR_MISSING], 1);
        start_daemon();
        assert_int_equal(verified().findings, 0);
}

static char gone_mirror[MIRROR_PATH_SIZE], gone_blob[BLOB_PATH_SIZE];

/* Retention: rows first, then files. */
static void finish_deletion(void)
{
        if (*gone_mirror)
                drop(gone_mirror);
        if (*gone_blob)
                drop(gone_blob);
        *gone_mirror = *gone_blob = '\0';
}

static void begin_deletion(void)
{
        char sha256[BLOB_HEX_SIZE];
        put_crash(TIME_1, "one", 7200);
        mirror_of(TIME_1, "one", gone_mirror);
        blob_path(storage_hash("one", sha256), gone_blob);
        assert_int_equal(index_delete_crash(x, 1), 0);
        assert_int_equal(index_delete_blob(x, sha256), 0);
}

static void test_a_deletion_under_way(_unused_ void **state)
{
        begin_deletion();
        start_daemon();
        meanwhile = finish_deletion;
        assert_int_equal(verified().findings, 0);
        assert_int_equal(sleeps, 1);
}

static void test_a_deletion_that_was_never_finished(_unused_ void **state)
{
        begin_deletion();
        start_daemon();
        struct verify_counts counts = verified();
        assert_int_equal(counts.found[VERIFY_MIRROR_EXTRA], 1);
        assert_int_equal(counts.found[VERIFY_BLOB_ORPHAN], 0); /* too young to say */
        assert_int_equal(sleeps, 1);
        close(TAKE_FD(lock_fd));
        assert_int_equal(verified().found[VERIFY_BLOB_ORPHAN], 1);
}

static void delete_rows(void)
{
        storage_change("PRAGMA foreign_keys = ON; DELETE FROM crash; DELETE FROM blob");
}

/* Page by page: a row that was read goes before its file is looked at. */
static void test_a_missing_blob_whose_row_goes_too(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE];
        put_crash(TIME_1, "one", 7200);
        blob_path(storage_hash("one", sha256), path);
        drop(path);
        start_daemon();
        assert_int_equal(verified().found[VERIFY_BLOB_MISSING], 1);
        meanwhile = delete_rows;
        assert_int_equal(verified().found[VERIFY_BLOB_MISSING], 0);
}

static const struct source log_source = { .project = "acme", .install_id = INSTALL_A };
#define LOG_DIR "logs/acme/" INSTALL_A
#define LOG_PATH LOG_DIR "/2026-05-19.ndjson"

static void put_log(const char *text, uint64_t bytes)
{
        storage_make_dirs(LOG_DIR);
        storage_put(LOG_PATH, text);
        assert_int_equal(storage_log_file(x, &log_source, "", "", "2026-05-19", bytes, 1, clock_now()), 0);
}

static void end_line(void)
{
        storage_put(LOG_PATH, "{}\n{\"a\":1}\n");
}

static void test_a_line_being_written(_unused_ void **state)
{
        put_log("{}\n{\"a", 3);
        start_daemon();
        meanwhile = end_line;
        assert_int_equal(verified().findings, 0);
}

static void test_a_torn_line(_unused_ void **state)
{
        put_log("{}\n{\"a", 3);
        start_daemon();
        struct verify_counts counts = verified();
        assert_int_equal(counts.found[VERIFY_LOG_TORN], 1);
        assert_int_equal(counts.found[VERIFY_LOG_SIZE], 0); /* the row may trail */
}

static void test_a_file_that_lost_lines_is_never_young(_unused_ void **state)
{
        put_log("{}\n", 6);
        start_daemon();
        assert_int_equal(verified().found[VERIFY_LOG_SIZE], 1);
}

static void test_a_file_being_compressed(_unused_ void **state)
{
        put_log("{}\n", 3);
        drop(LOG_PATH);
        storage_put(LOG_PATH ".zst", "");
        start_daemon();
        assert_int_equal(verified().findings, 0);
        close(TAKE_FD(lock_fd));
        assert_int_equal(verified().found[VERIFY_LOG_SIZE], 1);
}

/* Rows and files of more days and sources than a page has. */
static void test_every_page_is_looked_at(_unused_ void **state)
{
        char day[CLOCK_DAY_SIZE], timestamp[40];
        storage_make_dirs(LOG_DIR);
        assert_int_equal(index_begin(x), 0);
        for (unsigned i = 0; i < 1100; i++) {
                struct source source = { .project = "acme" };
                snprintf(source.install_id, sizeof(source.install_id), "i%u", i % 400);
                snprintf(day, sizeof(day), "2026-05-%02u", 10 + i / 400);
                assert_int_equal(storage_log_file(x, &source, "", "", day, 1, 1, clock_now()), 0);
        }
        assert_int_equal(index_commit(x), 0);
        for (unsigned i = 0; i < 501; i++) {
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03uZ", i);
                put_crash(timestamp, timestamp, 0);
        }
        struct verify_counts counts = verified();
        assert_int_equal(counts.log_files, 1100);
        assert_int_equal(counts.found[VERIFY_LOG_MISSING], 1100);
        assert_int_equal(counts.crashes, 501);
        assert_int_equal(counts.blobs, 501);
        assert_int_equal(counts.mirrors, 501);
        assert_int_equal(counts.findings, 1100);
}

static void put_log_rows(unsigned n)
{
        assert_int_equal(index_begin(x), 0);
        for (unsigned i = 0; i < n; i++) {
                struct source source = { .project = "acme" };
                snprintf(source.install_id, sizeof(source.install_id), "i%u", i);
                assert_int_equal(storage_log_file(x, &source, "", "", "2026-05-19", 1, 1, clock_now()), 0);
        }
        assert_int_equal(index_commit(x), 0);
}

/* More than are remembered: those are settled before more are taken, and none is forgotten. */
static void test_many_suspects(_unused_ void **state)
{
        put_log_rows(VERIFY_SUSPECTS_MAX);
        start_daemon();
        assert_int_equal(verified().found[VERIFY_LOG_MISSING], VERIFY_SUSPECTS_MAX);
        assert_int_equal(sleeps, 1);
        put_log_rows(VERIFY_SUSPECTS_MAX + 1);
        assert_int_equal(verified().found[VERIFY_LOG_MISSING], VERIFY_SUSPECTS_MAX + 1);
        assert_int_equal(sleeps, 3);
}

static void test_many_findings(_unused_ void **state)
{
        struct repair repair = { 0 };
        const struct verify_finding finding = { .kind = VERIFY_COUNT, .what = "x", .problem = "y" };
        for (unsigned i = 0; i < REPAIR_FINDINGS_MAX; i++)
                assert_int_equal(repair_note(&repair, &finding), 0);
        assert_int_equal(repair.dropped, 0);
        assert_int_equal(repair_note(&repair, &finding), 0);
        assert_int_equal(repair.n, REPAIR_FINDINGS_MAX);
        assert_int_equal(repair.dropped, 1);
        repair_done(&repair);
}

static void forget(_unused_ void *userdata, _unused_ const struct verify_finding *finding,
                   _unused_ enum repair_outcome outcome, _unused_ const char *how)
{
        *(enum repair_outcome *)userdata = outcome;
}

static enum repair_outcome repaired(bool live)
{
        struct repair repair = { 0 };
        struct verify_counts counts;
        enum repair_outcome outcome = REPAIR_OUTCOMES_;
        const struct verify_config config = { .deep = true, .finding = repair_note, .userdata = &repair };
        assert_int_equal(verify_data_dir(storage_fd, x, &config, &counts), 0);
        assert_int_equal(repair.n, 1);
        repair_run(&repair, storage_fd, x, live, forget, &outcome);
        repair_done(&repair);
        return outcome;
}

/* Two of the same hash, one after the other: the first one stays as it was. */
static void test_set_aside_overwrites_nothing(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE], aside[128];
        put_crash(TIME_1, "one", 0);
        blob_path(storage_hash("one", sha256), path);
        storage_put(path, "onf");
        assert_int_equal(repaired(false), REPAIR_ASIDE);
        storage_put(path, "onG");
        assert_int_equal(repaired(true), REPAIR_ASIDE);
        snprintf(aside, sizeof(aside), "corrupt/%s.bin", sha256);
        _cleanup_(freep) char *first = storage_text(aside);
        snprintf(aside, sizeof(aside), "corrupt/%s.bin.1", sha256);
        _cleanup_(freep) char *second = storage_text(aside);
        assert_string_equal(first, "onf");
        assert_string_equal(second, "onG");
}

static void test_log_files_are_the_daemon_s(_unused_ void **state)
{
        put_log("{}\n{\"a", 6);
        assert_int_equal(repaired(true), REPAIR_LEFT);
        assert_int_equal(repaired(false), REPAIR_MENDED);
        assert_int_equal(verified().findings, 0);
}

/* Inside the transaction of the index writer's job. */
static void test_counts_within_a_transaction(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE];
        put_crash(TIME_1, "one", 0);
        storage_change("UPDATE blob SET refs = 7");
        assert_int_equal(verified().found[VERIFY_COUNT], 1);
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_recount_blob(x, storage_hash("one", sha256)), 0);
        assert_int_equal(index_recount_usage(x), 0);
        assert_int_equal(index_commit(x), 0);
        assert_int_equal(verified().findings, 0);
}

#define MIB ((size_t)1 << 20)

/* n MiB of lines. */
static char *lines(size_t n)
{
        static const char line[] = "{\"body\":\"seven\"}";
        char *text = malloc(n * MIB + 1);
        assert_non_null(text);
        memset(text, ' ', n * MIB);
        for (size_t i = 0; i < n * MIB; i += 64) {
                memcpy(text + i, line, sizeof(line) - 1);
                text[i + 63] = '\n';
        }
        text[n * MIB] = '\0';
        return text;
}

/* A file that is not as it was when its row was written, and one that has more lines than bytes. */
static void test_progress_ends_at_its_total(_unused_ void **state)
{
        _cleanup_(freep) char *text = lines(8);
        put_log(text, 8 * MIB);
        assert_int_equal(verified().findings, 0);
        assert_int_equal(last_done, 8);
        assert_int_equal(last_all, 8);
        put_log(text, MIB); /* the daemon has written more than the row says */
        start_daemon();
        assert_int_equal(verified().findings, 0);
        assert_int_equal(last_done, last_all);
}

static void test_progress_in_compressed_files(_unused_ void **state)
{
        _cleanup_(freep) char *text = lines(64);
        _cleanup_(freep) char *packed = malloc(ZSTD_compressBound(64 * MIB));
        assert_non_null(packed);
        size_t n = ZSTD_compress(packed, ZSTD_compressBound(64 * MIB), text, 64 * MIB, 3);
        assert_false(ZSTD_isError(n));
        put_log("", 0);
        drop(LOG_PATH);
        int fd = openat(storage_fd, LOG_PATH ".zst", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        assert_int_equal(write(fd, packed, n), n);
        close(fd);
        storage_change("UPDATE log_file SET compressed = 1");
        char sql[96];
        snprintf(sql, sizeof(sql), "UPDATE log_file SET bytes = %zu", n);
        storage_change(sql);
        struct verify_counts counts = verified();
        assert_int_equal(counts.findings, 0);
        assert_int_equal(counts.log_lines, 64 * MIB / 64);
}

/* Their rows are read too, and the total is of those in use. */
static void test_progress_of_blobs_that_nothing_uses(_unused_ void **state)
{
        _cleanup_(freep) char *text = lines(4);
        put_crash(TIME_1, "one", 0);
        put_crash(TIME_2, text, 0);
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_delete_crash(x, 2), 0);
        assert_int_equal(index_commit(x), 0);
        verified();
        assert_int_equal(last_done, last_all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_lock_is_a_daemon),
                TEST(test_a_young_orphan_is_on_its_way),
                TEST(test_a_young_crash_gets_its_mirror_soon),
                TEST(test_a_deletion_under_way),
                TEST(test_a_deletion_that_was_never_finished),
                TEST(test_a_missing_blob_whose_row_goes_too),
                TEST(test_a_line_being_written),
                TEST(test_a_torn_line),
                TEST(test_a_file_that_lost_lines_is_never_young),
                TEST(test_a_file_being_compressed),
                TEST(test_every_page_is_looked_at),
                TEST(test_many_suspects),
                TEST(test_many_findings),
                TEST(test_set_aside_overwrites_nothing),
                TEST(test_log_files_are_the_daemon_s),
                TEST(test_counts_within_a_transaction),
                TEST(test_progress_ends_at_its_total),
                TEST(test_progress_in_compressed_files),
                TEST(test_progress_of_blobs_that_nothing_uses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
