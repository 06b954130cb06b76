/* The index writer: real SQLite, real files, real threads. */
#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_write.h"

#define QUEUE_REPORTS 400

static struct blob_store *blobs;
static struct metrics *metrics;
static struct index_writer *writer;
static struct index *its_index;
static bool created;
static atomic_bool untidy;

static void start(void)
{
        assert_int_equal(index_open(storage_dir, &its_index, &created, NULL), 0);
        struct index_writer_config config = {
                .datadir_fd = storage_fd,
                .blobs = blobs,
                .metrics = metrics,
                .untidy = &untidy,
                .queue_reports = QUEUE_REPORTS,
        };
        assert_int_equal(index_writer_new(&config, its_index, &writer), 0);
}

static bool over; /* the test has ended, well or not: nobody may hold the writer any more */

static int setup(void **state)
{
        over = false;
        if (storage_setup(state) != 0 || blob_store_new(storage_fd, &blobs) != 0)
                return -1;
        metrics = metrics_new();
        start();
        return 0;
}

static void end_holding(void);

static int teardown(void **state)
{
        end_holding();
        writer = index_writer_free(writer);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_INDEX_QUEUE), 0);
        assert_int_equal(blob_store_open_writers(blobs), 0);
        metrics = metrics_free(metrics);
        blobs = blob_store_free(blobs);
        return storage_teardown(state);
}

/* Every answered report is counted here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered_one = PTHREAD_COND_INITIALIZER;
static unsigned answered;

static void on_done(_unused_ struct crash_report *report)
{
        pthread_mutex_lock(&lock);
        answered++;
        pthread_cond_broadcast(&answered_one);
        pthread_mutex_unlock(&lock);
}

static void await(unsigned n)
{
        pthread_mutex_lock(&lock);
        while (answered < n)
                pthread_cond_wait(&answered_one, &lock);
        answered -= n;
        pthread_mutex_unlock(&lock);
}

static struct crash_report *report_of(const char *install_id, const char *timestamp, const char *dump, const char *a,
                                      const char *b)
{
        struct crash_report *report =
                storage_report(blobs, install_id, timestamp, dump, (const char *[]){ a, b, NULL });
        report->done = on_done;
        report->result = 99;
        return report;
}

/* Stores it alone; its answer, then it is freed. */
static int put(const char *install_id, const char *timestamp, const char *dump, const char *a, bool *ret_dedup)
{
        struct crash_report *report = report_of(install_id, timestamp, dump, a, NULL);
        assert_int_equal(index_writer_submit(writer, report), 0);
        await(1);
        int r = report->result;
        if (ret_dedup)
                *ret_dedup = report->dedup;
        crash_report_free(report);
        return r;
}

/* A job that keeps the writer busy, so that what is submitted meanwhile becomes one batch. */
struct holder {
        struct index_job job;
        bool running, let_go, done;
        int result, run_result;
};

static int hold_run(struct index_job *job, _unused_ struct index *index)
{
        struct holder *h = container_of(job, struct holder, job);
        pthread_mutex_lock(&lock);
        h->running = true;
        pthread_cond_broadcast(&answered_one);
        while (!h->let_go && !over)
                pthread_cond_wait(&answered_one, &lock);
        pthread_mutex_unlock(&lock);
        return h->run_result;
}

static void hold_done(struct index_job *job, int result)
{
        struct holder *h = container_of(job, struct holder, job);
        pthread_mutex_lock(&lock);
        h->result = result;
        h->done = true;
        pthread_cond_broadcast(&answered_one);
        pthread_mutex_unlock(&lock);
}

static void hold(struct holder *h)
{
        *h = (struct holder){ .job = { .run = hold_run, .done = hold_done } };
        assert_int_equal(index_writer_submit_job(writer, &h->job), 0);
        pthread_mutex_lock(&lock);
        while (!h->running)
                pthread_cond_wait(&answered_one, &lock);
        pthread_mutex_unlock(&lock);
}

static void release(struct holder *h)
{
        pthread_mutex_lock(&lock);
        h->let_go = true;
        pthread_cond_broadcast(&answered_one);
        while (!h->done)
                pthread_cond_wait(&answered_one, &lock);
        pthread_mutex_unlock(&lock);
}

static void end_holding(void)
{
        pthread_mutex_lock(&lock);
        over = true;
        pthread_cond_broadcast(&answered_one);
        pthread_mutex_unlock(&lock);
}

/* Stores these as one batch. */
static void put_batch(struct crash_report **reports, unsigned n)
{
        struct holder h;
        hold(&h);
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(index_writer_submit(writer, reports[i]), 0);
        release(&h);
        await(n);
}

static void mirror_of(const char *install_id, const char *timestamp, const char *dump, char ret[MIRROR_PATH_SIZE])
{
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(install_id, timestamp);
        char sha256[BLOB_HEX_SIZE];
        mirror_path(&m->source, m->timestamp, storage_hash(dump, sha256), ret);
}

static bool blob_exists(const char *content)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE];
        blob_path(storage_hash(content, sha256), path);
        return storage_exists(path);
}

static void expect_consistent(void)
{
        storage_expect("SELECT count(*) FROM blob WHERE refs <> (SELECT count(*) FROM crash WHERE dump_sha256 = sha256)"
                       " + (SELECT count(*) FROM attachment WHERE attachment.sha256 = blob.sha256)",
                       "0");
        char n[16];
        snprintf(n, sizeof(n), "%zu", storage_count("crashes/by-hash"));
        storage_expect("SELECT count(*) FROM blob", n);
        snprintf(n, sizeof(n), "%zu", storage_count("crashes/by-source"));
        storage_expect("SELECT count(*) FROM crash", n);
}

static void expect_count(const char *name, uint64_t n)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        char line[128];
        assert_int_equal(metrics_render(metrics, &text), 0);
        assert_int_equal(buf_append_char(&text, '\0'), 0);
        snprintf(line, sizeof(line), "\n%s %llu\n", name, (unsigned long long)n);
        if (!strstr((const char *)text.data, line))
                fail_msg("not in /metrics:%s", line);
}

static void test_stored(_unused_ void **state)
{
        char mirror[MIRROR_PATH_SIZE];
        bool dedup = true;
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", "text", &dedup), 0);
        assert_false(dedup);
        assert_true(blob_exists("dump"));
        assert_true(blob_exists("text"));
        mirror_of(INSTALL_A, TIME_1, "dump", mirror);
        assert_true(storage_exists(mirror));
        storage_expect("SELECT attachments || ' ' || dump_len FROM crash_overview", "1 4");
        storage_expect("SELECT key || filename FROM attachment", "aa.txt");
        expect_consistent();
        expect_count("detritus_index_commits_total", 1);
        expect_count("detritus_dedup_hits_total", 0);
}

static void test_same_dump_is_deduplicated(_unused_ void **state)
{
        bool dedup;
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", NULL, &dedup), 0);
        assert_false(dedup);
        assert_int_equal(put(INSTALL_B, TIME_1, "dump", "dump", &dedup), 0);
        assert_true(dedup);
        assert_int_equal(put(INSTALL_A, TIME_2, "dump", NULL, &dedup), 0);
        assert_true(dedup);
        storage_expect("SELECT refs FROM blob", "4");
        storage_expect("SELECT group_concat(dedup) FROM crash", "0,1,1");
        expect_consistent();
        expect_count("detritus_dedup_hits_total", 2);
}

static void test_repeated_report_is_one(_unused_ void **state)
{
        bool dedup;
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", "text", &dedup), 0);
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", "another text", &dedup), 0);
        assert_true(dedup);
        assert_false(blob_exists("another text")); /* nothing of it was published */
        storage_expect("SELECT count(*) FROM crash", "1");
        expect_consistent();
        expect_count("detritus_dedup_hits_total", 1);
}

static void test_repeat_brings_the_mirror_back(_unused_ void **state)
{
        char mirror[MIRROR_PATH_SIZE];
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", "text", NULL), 0);
        mirror_of(INSTALL_A, TIME_1, "dump", mirror);
        _cleanup_(freep) char *before = storage_text(mirror);
        assert_non_null(before);
        assert_int_equal(unlinkat(storage_fd, mirror, 0), 0);
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", "another text", NULL), 0);
        _cleanup_(freep) char *after = storage_text(mirror);
        assert_non_null(after);
        assert_string_equal(after, before); /* what is stored, not what was sent again */
        expect_consistent();
}

static void test_dedup_within_a_batch(_unused_ void **state)
{
        struct crash_report *reports[] = {
                report_of(INSTALL_A, TIME_1, "dump", "x", NULL),
                report_of(INSTALL_B, TIME_1, "dump", "x", NULL),
                report_of(INSTALL_A, TIME_1, "dump", "y", "x"), /* the first again, with a file of its own */
                report_of(INSTALL_A, TIME_2, "other", "dump", "dump"),
        };
        put_batch(reports, 4);
        bool dedup[] = { false, true, true, false };
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(reports[i]->result, 0);
                assert_int_equal(reports[i]->dedup, dedup[i]);
                crash_report_free(reports[i]);
        }
        storage_expect("SELECT count(*) FROM crash", "3");
        storage_expect("SELECT group_concat(dedup) FROM (SELECT dedup FROM attachment ORDER BY crash_id, position)",
                       "0,1,1,1");
        assert_false(blob_exists("y"));
        expect_consistent();
        expect_count("detritus_index_commits_total", 1);
}

/* A report that the schema refuses takes nothing with it but itself. */
static void test_bad_report_fails_alone(_unused_ void **state)
{
        struct crash_report *reports[] = {
                report_of(INSTALL_A, TIME_1, "one", "shared", NULL),
                report_of(INSTALL_A, TIME_2, "two", "shared", "own"),
                report_of(INSTALL_B, TIME_1, "three", "shared", NULL),
        };
        reports[1]->metadata->kind = "NoSuchKind";
        put_batch(reports, 3);
        assert_int_equal(reports[0]->result, 0);
        assert_int_equal(reports[1]->result, -EINVAL);
        assert_int_equal(reports[2]->result, 0);
        for (size_t i = 0; i < 3; i++)
                crash_report_free(reports[i]);
        assert_false(blob_exists("two"));
        assert_false(blob_exists("own"));
        assert_true(blob_exists("shared"));
        assert_false(index_writer_failed(writer));
        expect_consistent();
}

static void test_bad_report_alone_leaves_nothing(_unused_ void **state)
{
        struct crash_report *report = report_of(INSTALL_A, TIME_1, "dump", "text", NULL);
        report->metadata->kind = "NoSuchKind";
        put_batch(&report, 1);
        assert_int_equal(report->result, -EINVAL);
        crash_report_free(report);
        assert_int_equal(storage_count("crashes"), 0);
        storage_expect("SELECT count(*) FROM source", "0");
}

/* At each sync in turn, what the kernel says of written data, be it ENOSPC, is final: a restart, and all is well. */
static void test_each_failed_sync_is_final(_unused_ void **state)
{
        static const int errors[] = { ENOSPC, EDQUOT, EROFS, EIO };
        bool reached = true;
        for (int at = 1; reached; at++) {
                char timestamp[32], dump[32], text[32];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:%02dZ", at);
                snprintf(dump, sizeof(dump), "dump %d", at);
                snprintf(text, sizeof(text), "text %d", at);
                int error = errors[at % (int)ARRAY_LEN(errors)];
                atomic_store(&storage_faults.sync_error, error);
                atomic_store(&storage_faults.sync_fails_at, at);
                int r = put(INSTALL_A, timestamp, dump, text, NULL);
                reached = atomic_load(&storage_faults.sync_fails_at) == 0;
                atomic_store(&storage_faults.sync_fails_at, 0);
                assert_int_equal(r, reached ? -error : 0);
                assert_int_equal(index_writer_failed(writer), reached);
                writer = index_writer_free(writer);
                start();
                assert_int_equal(put(INSTALL_A, timestamp, dump, text, NULL), 0);
                assert_false(index_writer_failed(writer));
                expect_consistent();
        }
}

/* A directory that cannot be opened, for want of a descriptor or of permission, is synced with everything else. */
static void test_a_directory_that_cannot_be_opened(_unused_ void **state)
{
        static const int errors[] = { EMFILE, ENFILE, EACCES, ENOMEM };
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, NULL), 0);
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
                char timestamp[32];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:31:%02zuZ", i);
                atomic_store(&storage_faults.all_syncs, 0);
                atomic_store(&storage_faults.dir_sync_error, errors[i]);
                atomic_store(&storage_faults.dir_sync_fails_at, 1);
                assert_int_equal(put(INSTALL_A, timestamp, "one", NULL, NULL), 0);
                assert_int_equal(atomic_load(&storage_faults.dir_sync_fails_at), 0);
                assert_int_equal(atomic_load(&storage_faults.all_syncs), 1);
                assert_false(index_writer_failed(writer));
        }
        expect_consistent();
}

/* So many that they are synced together. */
#define MANY 8

static void make_many(struct crash_report *reports[MANY], const char *what)
{
        for (int i = 0; i < MANY; i++) {
                char timestamp[40], dump[32];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03dZ", i);
                snprintf(dump, sizeof(dump), "%s %d", what, i);
                reports[i] = report_of(i % 2 ? INSTALL_A : INSTALL_B, timestamp, dump, what, NULL);
        }
}

/* Stores them as one batch, each of them new; true when all got this answer. */
static bool put_many(const char *what, int result)
{
        struct crash_report *reports[MANY];
        bool all = true;
        make_many(reports, what);
        put_batch(reports, MANY);
        for (int i = 0; i < MANY; i++) {
                all &= reports[i]->result == result;
                crash_report_free(reports[i]);
        }
        return all;
}

static void test_many_share_their_syncs(_unused_ void **state)
{
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, NULL), 0);
        assert_int_equal(atomic_load(&storage_faults.all_syncs), 1); /* for the blob's directory, which is new */
        assert_int_equal(put(INSTALL_B, TIME_1, "one", NULL, NULL), 0);
        assert_int_equal(atomic_load(&storage_faults.all_syncs), 1);
        atomic_store(&storage_faults.all_syncs, 0);
        atomic_store(&storage_faults.syncs, 0);
        atomic_store(&storage_faults.dir_syncs, 0);
        assert_true(put_many("many", 0));
        assert_int_equal(atomic_load(&storage_faults.all_syncs), 2); /* contents, names of blobs */
        assert_int_equal(atomic_load(&storage_faults.syncs), 0);
        assert_int_equal(atomic_load(&storage_faults.dir_syncs), 0);
        storage_expect("SELECT count(*) FROM crash", "10");
        storage_expect("SELECT sum(dedup) FROM attachment", "7");
        expect_consistent();
}

/* What the mirror says of dedup is what the row says, though it was written before the blob was seen to be there. */
static void test_mirror_of_a_repeat_in_a_batch(_unused_ void **state)
{
        char mirror[MIRROR_PATH_SIZE];
        struct crash_report *reports[MANY];
        for (int i = 0; i < MANY; i++) {
                char timestamp[40];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03dZ", i);
                reports[i] = report_of(INSTALL_A, timestamp, "dump", NULL, NULL);
        }
        put_batch(reports, MANY);
        for (int i = 0; i < MANY; i++) {
                mirror_of(INSTALL_A, i ? "2026-05-19T08:30:00.001Z" : "2026-05-19T08:30:00.000Z", "dump", mirror);
                _cleanup_(freep) char *text = storage_text(mirror);
                assert_non_null(strstr(text, i ? "\"dedup\": true" : "\"dedup\": false"));
                assert_int_equal(reports[i]->dedup, i > 0);
                crash_report_free(reports[i]);
        }
        expect_consistent();
}

static void test_failed_shared_sync_is_final(_unused_ void **state)
{
        for (int at = 1; at <= 2; at++) {
                char what[16];
                int error = at == 1 ? EIO : ENOSPC;
                snprintf(what, sizeof(what), "io %d", at);
                atomic_store(&storage_faults.sync_all_error, error);
                atomic_store(&storage_faults.sync_all_fails_at, at);
                assert_true(put_many(what, -error));
                assert_true(index_writer_failed(writer));
                storage_expect("SELECT count(*) FROM crash", "0");
                writer = index_writer_free(writer);
                start();
        }
        atomic_store(&untidy, false);
}

static void test_failed_sync_is_final(_unused_ void **state)
{
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, NULL), 0);
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        struct crash_report *reports[] = {
                report_of(INSTALL_A, TIME_2, "two", NULL, NULL), report_of(INSTALL_B, TIME_1, "three", NULL, NULL),
                report_of(INSTALL_A, TIME_1, "one", NULL, NULL), /* stored before */
        };
        put_batch(reports, 3);
        assert_int_equal(reports[0]->result, -EIO);
        assert_true(reports[1]->result < 0);
        for (size_t i = 0; i < 3; i++)
                crash_report_free(reports[i]);
        assert_true(index_writer_failed(writer));
        assert_int_equal(put(INSTALL_B, TIME_2, "four", NULL, NULL), -EROFS);

        struct holder h = { .job = { .run = hold_run, .done = hold_done }, .let_go = true };
        assert_int_equal(index_writer_submit_job(writer, &h.job), 0);
        release(&h);
        assert_false(h.running);
        assert_int_equal(h.result, -EROFS);
        storage_expect("SELECT count(*) FROM crash", "1");
}

static void test_failed_directory_sync_is_final(_unused_ void **state)
{
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, NULL), 0);
        atomic_store(&storage_faults.dir_sync_error, EIO);
        atomic_store(&storage_faults.dir_sync_fails_at, 1);
        assert_int_equal(put(INSTALL_A, TIME_2, "one", NULL, NULL), -EIO);
        assert_true(index_writer_failed(writer));
        storage_expect("SELECT count(*) FROM crash", "1");
}

/* The crash counts as stored; only what is derived from it is missing. */
static void test_mirror_that_cannot_be_written(_unused_ void **state)
{
        char mirror[MIRROR_PATH_SIZE];
        storage_make_dirs("crashes/by-source");
        storage_put("crashes/by-source/acme", "a file in the way");
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", NULL, NULL), 0);
        assert_false(index_writer_failed(writer));
        storage_expect("SELECT count(*) FROM crash", "1");

        assert_int_equal(unlinkat(storage_fd, "crashes/by-source/acme", 0), 0);
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", NULL, NULL), 0);
        mirror_of(INSTALL_A, TIME_1, "dump", mirror);
        assert_true(storage_exists(mirror));
        expect_consistent();
}

/* What SQLite writes goes through its own calls. */
static atomic_int sqlite_error;

static ssize_t failing_pwrite(int fd, const void *data, size_t n, off_t at)
{
        int error = atomic_load(&sqlite_error);
        if (error) {
                errno = error;
                return -1;
        }
        return pwrite(fd, data, n, at);
}

static void make_sqlite_fail(int error)
{
        sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
        atomic_store(&sqlite_error, error);
        vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)failing_pwrite);
        vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)failing_pwrite);
}

static void test_database_disk_full(_unused_ void **state)
{
        struct crash_report *reports[] = {
                report_of(INSTALL_A, TIME_1, "one", "x", NULL),
                report_of(INSTALL_B, TIME_1, "one", "y", NULL),
        };
        make_sqlite_fail(ENOSPC);
        put_batch(reports, 2);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(reports[i]->result, -ENOSPC);
                crash_report_free(reports[i]);
        }
        assert_int_equal(storage_count("crashes"), 0);
        assert_false(index_writer_failed(writer));

        make_sqlite_fail(0);
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "x", NULL), 0);
        storage_expect("PRAGMA integrity_check", "ok");
        expect_consistent();
}

static void test_database_io_error_is_final(_unused_ void **state)
{
        make_sqlite_fail(EIO);
        int r = put(INSTALL_A, TIME_1, "one", "x", NULL);
        make_sqlite_fail(0);
        assert_int_equal(r, -EIO);
        assert_true(index_writer_failed(writer));
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "x", NULL), -EROFS);
        assert_true(blob_exists("one")); /* its row may yet be in the WAL */

        writer = index_writer_free(writer);
        start();
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "x", NULL), 0);
        expect_consistent();
}

static void test_jobs(_unused_ void **state)
{
        struct holder h;
        hold(&h);
        release(&h);
        assert_int_equal(h.result, 0);
        hold(&h);
        h.run_result = -ENOENT;
        release(&h);
        assert_int_equal(h.result, -ENOENT);
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, NULL), 0); /* its transaction is gone */
}

static off_t database_bytes(void)
{
        struct stat st;
        assert_int_equal(fstatat(storage_fd, "detritus.db", &st, 0), 0);
        return st.st_size;
}

/* What the WAL holds is written back, so that it starts over in the space that it has. */
static void test_full_disk_checkpoints(_unused_ void **state)
{
        struct holder h;
        unsigned commits = index_writer_commits(writer);
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, NULL), 0);
        assert_int_equal(index_writer_commits(writer), commits + 1);
        off_t before = database_bytes();
        hold(&h);
        h.run_result = -ENOSPC;
        release(&h);
        assert_int_equal(h.result, -ENOSPC);
        assert_true(database_bytes() > before);
        assert_int_equal(index_writer_commits(writer), commits + 1);
        assert_false(index_writer_failed(writer));
        assert_int_equal(put(INSTALL_A, TIME_2, "one", NULL, NULL), 0);
}

static void test_queue_is_bounded_and_jobs_pass(_unused_ void **state)
{
        static struct crash_report *reports[QUEUE_REPORTS + 1];
        struct holder h;
        hold(&h);
        for (unsigned i = 0; i <= QUEUE_REPORTS; i++) {
                char timestamp[40];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03uZ", i);
                reports[i] = report_of(INSTALL_A, timestamp, "dump", NULL, NULL);
                int r = index_writer_submit(writer, reports[i]);
                assert_int_equal(r, i < QUEUE_REPORTS ? 0 : WORK_QUEUE_FULL);
        }
        assert_int_equal(index_writer_depth(writer), QUEUE_REPORTS);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_INDEX_QUEUE), QUEUE_REPORTS);
        struct holder job = { .job = { .run = hold_run, .done = hold_done }, .let_go = true };
        assert_int_equal(index_writer_submit_job(writer, &job.job), 0);
        release(&h);
        release(&job);
        await(QUEUE_REPORTS);
        for (unsigned i = 0; i <= QUEUE_REPORTS; i++)
                crash_report_free(reports[i]);
        storage_expect("SELECT count(*) FROM crash", "400");
}

static void test_free_finishes_what_is_queued(_unused_ void **state)
{
        struct crash_report *report = report_of(INSTALL_A, TIME_1, "dump", NULL, NULL);
        assert_int_equal(index_writer_submit(writer, report), 0);
        writer = index_writer_free(writer);
        assert_false(storage_exists("detritus.db-wal"));
        await(1);
        assert_int_equal(report->result, 0);
        crash_report_free(report);
        storage_expect("SELECT count(*) FROM crash", "1");
}

static void free_sent(struct crash_report *report)
{
        if (report->result != 0)
                abort();
        on_done(report);
        crash_report_free(report);
}

/* Two threads send the same few dumps. */
static void *send_and_free(void *userdata)
{
        const char *install_id = userdata;
        for (unsigned i = 0; i < 60; i++) {
                char timestamp[40], dump[16];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03uZ", i);
                snprintf(dump, sizeof(dump), "dump %u", i % 7);
                struct crash_report *report = report_of(install_id, timestamp, dump, dump, "x");
                report->done = free_sent;
                if (index_writer_submit(writer, report) != 0)
                        return (void *)(uintptr_t)1;
        }
        return NULL;
}

static void test_two_senders(_unused_ void **state)
{
        pthread_t threads[2];
        static char a[] = INSTALL_A, b[] = INSTALL_B;
        assert_int_equal(pthread_create(&threads[0], NULL, send_and_free, a), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, send_and_free, b), 0);
        for (size_t i = 0; i < 2; i++) {
                void *r;
                pthread_join(threads[i], &r);
                assert_null(r);
        }
        await(120);
        storage_expect("SELECT count(*) FROM crash", "120");
        storage_expect("SELECT count(*) FROM blob", "8");
        storage_expect("SELECT sum(refs) FROM blob", "360");
        expect_consistent();
}

/* In a process of its own, which has to end by an assertion. */
static void expect_abort(void (*function)(void))
{
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                const struct rlimit none = { 0 };
                setrlimit(RLIMIT_CORE, &none);
                signal(SIGABRT, SIG_DFL);
                close(STDERR_FILENO);
                function();
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void begin_here(void)
{
        index_begin(its_index);
}

static void test_other_threads_are_caught(_unused_ void **state)
{
        struct holder h;
        hold(&h); /* the writer's thread runs, and the index is its */
        release(&h);
        expect_abort(begin_here);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_stored, setup, teardown),
                cmocka_unit_test_setup_teardown(test_same_dump_is_deduplicated, setup, teardown),
                cmocka_unit_test_setup_teardown(test_repeated_report_is_one, setup, teardown),
                cmocka_unit_test_setup_teardown(test_repeat_brings_the_mirror_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_dedup_within_a_batch, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_report_fails_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_report_alone_leaves_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_each_failed_sync_is_final, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_directory_that_cannot_be_opened, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_share_their_syncs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mirror_of_a_repeat_in_a_batch, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_shared_sync_is_final, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_sync_is_final, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_directory_sync_is_final, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mirror_that_cannot_be_written, setup, teardown),
                cmocka_unit_test_setup_teardown(test_database_disk_full, setup, teardown),
                cmocka_unit_test_setup_teardown(test_database_io_error_is_final, setup, teardown),
                cmocka_unit_test_setup_teardown(test_jobs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_disk_checkpoints, setup, teardown),
                cmocka_unit_test_setup_teardown(test_queue_is_bounded_and_jobs_pass, setup, teardown),
                cmocka_unit_test_setup_teardown(test_free_finishes_what_is_queued, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_senders, setup, teardown),
                cmocka_unit_test_setup_teardown(test_other_threads_are_caught, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
