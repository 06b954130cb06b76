/* After an unclean stop: each thing that a kill or a power cut can leave, made with real files and a real index. */
#include "storage_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_write.h"
#include "storage/store/clean_stop.h"
#include "storage/store/reconcile.h"
#include "storage/store/store.h"

static struct index *x;

static int setup(void **state)
{
        bool created;
        return storage_setup(state) == 0 && index_open(storage_dir, &x, &created, NULL) == 0 &&
                               index_set_adopted(x) == 0
                       ? 0
                       : -1;
}

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

struct stored {
        char sha256[BLOB_HEX_SIZE], blob[BLOB_PATH_SIZE], mirror[MIRROR_PATH_SIZE];
};

static void put_blob(const char *content, struct stored *ret)
{
        char dir[32];
        blob_path(storage_hash(content, ret->sha256), ret->blob);
        snprintf(dir, sizeof(dir), "crashes/by-hash/%.2s", ret->sha256);
        storage_make_dirs(dir);
        storage_put(ret->blob, content);
}

/* A crash as the index writer leaves it: blob, row and mirror. */
static struct stored put_crash(const char *install_id, const char *timestamp, const char *dump)
{
        struct stored s;
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(install_id, timestamp);
        put_blob(dump, &s);
        struct index_crash crash = {
                .metadata = m,
                .received_at = clock_now(),
                .dump = { .sha256 = s.sha256, .len = strlen(dump), .content_encoding = "zstd" },
        };
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_insert_crash(x, &crash), 0);
        assert_int_equal(index_commit(x), 0);
        assert_int_equal(mirror_write(storage_fd, &crash), 0);
        mirror_path(&m->source, m->timestamp, s.sha256, s.mirror);
        return s;
}

static void drop(const char *path)
{
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
}

static void drop_row(const char *where)
{
        char sql[256];
        snprintf(sql, sizeof(sql), "PRAGMA foreign_keys = ON; DELETE FROM crash WHERE %s", where);
        storage_change(sql);
}

static void expect_found(struct reconcile_counts expected)
{
        struct reconcile_counts found;
        assert_int_equal(reconcile_data_dir(storage_fd, x, true, &found), 0);
        assert_int_equal(found.leftovers, expected.leftovers);
        assert_int_equal(found.blobs_unindexed, expected.blobs_unindexed);
        assert_int_equal(found.crashes_indexed, expected.crashes_indexed);
        assert_int_equal(found.mirrors_unusable, expected.mirrors_unusable);
        assert_int_equal(found.mirrors_written, expected.mirrors_written);
        assert_int_equal(found.blobs_lost, expected.blobs_lost);
        assert_int_equal(found.log_tails, expected.log_tails);
        assert_int_equal(found.log_totals, expected.log_totals);
        assert_int_equal(found.log_files_damaged, expected.log_files_damaged);
}

static void test_order_stays(_unused_ void **state)
{
        put_crash(INSTALL_A, TIME_1, "one");
        put_crash(INSTALL_B, TIME_2, "two");
        put_crash(INSTALL_A, TIME_2, "one");
        expect_found((struct reconcile_counts){ 0 });
        storage_expect("SELECT count(*) FROM crash", "3");
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY refs)", "1,2");
}

static void test_nothing_there(_unused_ void **state)
{
        expect_found((struct reconcile_counts){ 0 });
}

/* Killed between link and commit. */
static void test_blob_without_row(_unused_ void **state)
{
        struct stored s;
        put_crash(INSTALL_A, TIME_1, "one");
        put_blob("never committed", &s);
        expect_found((struct reconcile_counts){ .blobs_unindexed = 1 });
        storage_expect("SELECT sha256 FROM orphan_blob", s.sha256);
        storage_expect("SELECT len FROM orphan_blob", "15");
        expect_found((struct reconcile_counts){ 0 });
        assert_true(storage_exists(s.blob));
}

/* Killed between commit and mirror: the file that comes is the one that was to be. */
static void test_row_without_mirror(_unused_ void **state)
{
        struct stored s = put_crash(INSTALL_A, TIME_2, "one"), other = put_crash(INSTALL_A, TIME_1, "one");
        _cleanup_(freep) char *before = storage_text(s.mirror);
        drop(s.mirror);
        expect_found((struct reconcile_counts){ .mirrors_written = 1 });
        _cleanup_(freep) char *after = storage_text(s.mirror);
        assert_non_null(after);
        assert_string_equal(before, after);
        assert_true(storage_exists(other.mirror));
        expect_found((struct reconcile_counts){ 0 });
}

static void test_more_rows_than_a_page(_unused_ void **state)
{
        char timestamp[40];
        storage_make_dirs("crashes");
        for (unsigned i = 0; i < 501; i++) {
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03uZ", i);
                struct stored s = put_crash(INSTALL_A, timestamp, timestamp);
                if (i == 0 || i == 499 || i == 500)
                        drop(s.mirror);
        }
        expect_found((struct reconcile_counts){ .mirrors_written = 3 });
        expect_found((struct reconcile_counts){ 0 });
}

/* Killed between the deletion of a row and that of its files, or an older copy of the index. */
static void test_mirror_without_row(_unused_ void **state)
{
        put_crash(INSTALL_A, TIME_1, "one");
        put_crash(INSTALL_B, TIME_2, "two");
        drop_row("crashed_at LIKE '%.5%'");
        expect_found((struct reconcile_counts){ .crashes_indexed = 1 });
        storage_expect("SELECT count(*) FROM crash", "2");
        storage_expect("SELECT group_concat(refs) FROM blob", "1,1");
}

static void test_mirror_without_row_and_blob(_unused_ void **state)
{
        struct stored s = put_crash(INSTALL_A, TIME_1, "one"), orphan;
        put_crash(INSTALL_A, TIME_2, "two");
        put_blob("perhaps its attachment", &orphan);
        drop_row("crashed_at LIKE '%:00.0%'");
        storage_change("DELETE FROM blob WHERE refs = 0");
        drop(s.blob);
        expect_found((struct reconcile_counts){ .mirrors_unusable = 1 });
        assert_true(storage_exists(s.mirror));
        storage_expect("SELECT count(*) FROM crash", "1");
        storage_expect("SELECT count(*) FROM orphan_blob", "0");
}

static void test_unreadable_mirror(_unused_ void **state)
{
        struct stored s = put_crash(INSTALL_A, TIME_1, "one");
        drop_row("1");
        storage_put(s.mirror, "{\"metadata\":");
        expect_found((struct reconcile_counts){ .mirrors_unusable = 1 });
        assert_true(storage_exists(s.mirror));
}

/* A name alone is believed only in the form that the index would give it. */
static void test_misnamed_mirrors(_unused_ void **state)
{
        static const char dir[] = "crashes/by-source/acme/" INSTALL_A;
        struct stored s = put_crash(INSTALL_A, TIME_1, "one");
        char path[MIRROR_PATH_SIZE];
        _cleanup_(freep) char *text = storage_text(s.mirror);
        const char *const names[] = { "20260519T083000.000Z", "20260519T083000", "2026", "20260519T983000Z", "" };
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                snprintf(path, sizeof(path), "%s/%s-%s.json", dir, names[i], s.sha256);
                storage_put(path, text);
        }
        expect_found((struct reconcile_counts){ 0 }); /* read, and found to be of a crash that is there */
        storage_expect("SELECT count(*) FROM crash", "1");
}

static void test_lost_and_cut_blobs(_unused_ void **state)
{
        struct stored s = put_crash(INSTALL_A, TIME_1, "one"), cut = put_crash(INSTALL_B, TIME_1, "two");
        drop(s.blob);
        storage_put(cut.blob, "t");
        expect_found((struct reconcile_counts){ .blobs_lost = 2 });
        storage_expect("SELECT count(*) FROM crash", "2");
        storage_expect("SELECT count(*) FROM blob", "2");
}

static void test_half_written_files(_unused_ void **state)
{
        struct stored s = put_crash(INSTALL_A, TIME_1, "one");
        char path[MIRROR_PATH_SIZE];
        snprintf(path, sizeof(path), "crashes/by-hash/%.2s/.new-17-0", s.sha256);
        storage_put(path, "on");
        storage_put("crashes/by-source/acme/" INSTALL_A "/.new-17-1", "{");
        storage_put("crashes/by-source/acme/" INSTALL_A "/.hidden", "a person's");
        expect_found((struct reconcile_counts){ .leftovers = 2 });
        assert_false(storage_exists(path));
        assert_true(storage_exists("crashes/by-source/acme/" INSTALL_A "/.hidden"));
}

/* -- the mark */

static bool begin(const char *text)
{
        bool clean = false;
        if (text)
                storage_put("lock", text);
        int fd = openat(storage_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        assert_int_equal(clean_stop_begin(storage_fd, fd, &clean), 0);
        close(fd);
        return clean;
}

static void end(void)
{
        int fd = openat(storage_fd, "lock", O_RDWR | O_CLOEXEC);
        assert_int_equal(clean_stop_end(storage_fd, fd), 0);
        close(fd);
}

static void test_mark(_unused_ void **state)
{
        assert_false(begin(NULL));
        assert_false(begin(NULL)); /* running */
        end();
        assert_true(begin(NULL));
        assert_false(begin(NULL));
        static const char *const unclean[] = { "",
                                               "12",
                                               "12\n",
                                               "12\nclean",
                                               "clean\n",
                                               "12\nclean\nx",
                                               "12\nrunning\n",
                                               "12345678901234567890123456789012345678901234567890123456789\nclean\n" };
        for (size_t i = 0; i < ARRAY_LEN(unclean); i++)
                assert_false(begin(unclean[i]));
        assert_true(begin("7\nclean\n"));
}

static void test_mark_fails(_unused_ void **state)
{
        bool clean;
        storage_put("lock", "7\nclean\n");
        int fd = openat(storage_fd, "lock", O_RDWR | O_CLOEXEC);
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        assert_int_equal(clean_stop_begin(storage_fd, fd, &clean), -EIO);
        close(fd);
        assert_false(begin(NULL));
}

/* -- through the store */

static struct store *open_store(void)
{
        static struct metrics *metrics;
        static struct config *config; /* the store borrows it */
        struct store *store;
        struct error err = { "" };
        metrics = metrics ? metrics : metrics_new();
        config_free(config);
        assert_int_equal(config_new(&config), 0);
        free(config->data_dir);
        config->data_dir = strdup(storage_dir);
        if (store_open(config, metrics, &store, &err) != 0)
                fail_msg("%s", err.text);
        return store;
}

static void test_only_after_an_unclean_stop(_unused_ void **state)
{
        struct stored s = put_crash(INSTALL_A, TIME_1, "one");
        x = index_free(x);
        store_free(open_store()); /* the first lock file ever */
        drop(s.mirror);
        store_free(open_store()); /* a clean stop before: nobody looks */
        assert_false(storage_exists(s.mirror));

        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                open_store();
                _exit(0); /* as a kill would */
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        store_free(open_store());
        assert_true(storage_exists(s.mirror));
        _cleanup_(freep) char *lock = storage_text("lock");
        assert_non_null(strstr(lock, "\nclean\n"));
}

/* A log file on disk, and what the index knew of it: so many bytes, with one line. */
static void put_log(const char *install_id, const char *day, const char *text, uint64_t known_bytes)
{
        struct source source = { .project = "acme" };
        char path[128];
        snprintf(source.install_id, sizeof(source.install_id), "%s", install_id);
        snprintf(path, sizeof(path), "logs/acme/%s", install_id);
        storage_make_dirs(path);
        snprintf(path, sizeof(path), "logs/acme/%s/%s.ndjson", install_id, day);
        storage_put(path, text);
        assert_int_equal(storage_log_file(x, &source, "linux", "1", day, known_bytes, 1, clock_now()), 0);
}

static void test_log_files(_unused_ void **state)
{
        put_log("whole", "2026-05-20", "1\n", 2);
        put_log("more", "2026-05-20", "1\n2\n3\n", 2);
        put_log("torn", "2026-05-19", "1\n2\nhal", 2);
        put_log("cut", "2026-05-20", "1\n", 99);
        put_log("old", "2026-05-18", "1\n2\nhal", 2);
        expect_found((struct reconcile_counts){ .log_tails = 1, .log_totals = 3 });
        storage_expect("SELECT group_concat(install_id || '=' || bytes || '/' || lines) FROM"
                       " (SELECT * FROM log_file JOIN source ON source.id = source_id ORDER BY install_id)",
                       "cut=2/1,more=6/3,old=2/1,torn=4/2,whole=2/1");
        _cleanup_(freep) char *torn = storage_text("logs/acme/torn/2026-05-19.ndjson.torn");
        _cleanup_(freep) char *rest = storage_text("logs/acme/torn/2026-05-19.ndjson");
        _cleanup_(freep) char *old = storage_text("logs/acme/old/2026-05-18.ndjson");
        assert_string_equal(torn, "hal");
        assert_string_equal(rest, "1\n2\n");
        assert_string_equal(old, "1\n2\nhal"); /* nobody was writing there */
}

/* Zeros, then a later page of lines that nobody was promised: what follows a file's last durable byte after a power
 * cut. */
#define HOLE "\0\0\0\0\n3\n"
#define HOLE_LEN (sizeof(HOLE) - 1)

static void append(const char *path, const char *bytes, size_t len)
{
        int fd = openat(storage_fd, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        assert_int_equal(write(fd, bytes, len), len);
        close(fd);
}

static void expect_bytes(const char *path, const char *expected, size_t len)
{
        char found[256];
        int fd = openat(storage_fd, path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, found, sizeof(found), 0), len);
        assert_memory_equal(found, expected, len);
        close(fd);
}

static const char *zeros_path(const char *suffix)
{
        static char path[128];
        snprintf(path, sizeof(path), "logs/acme/zeros/2026-05-20.ndjson%s", suffix);
        return path;
}

/* A file with a hole, after "1\n2\n{": the line that it cuts in two goes too. */
static void put_log_with_hole(uint64_t known_bytes)
{
        put_log("zeros", "2026-05-20", "1\n2\n{", known_bytes);
        append(zeros_path(""), HOLE, HOLE_LEN);
}

static void expect_hole_moved(void)
{
        expect_bytes(zeros_path(""), "1\n2\n", 4);
        expect_bytes(zeros_path(".torn"), "{" HOLE, 1 + HOLE_LEN);
}

static void expect_hole_left(void)
{
        expect_bytes(zeros_path(""), "1\n2\n{" HOLE, 5 + HOLE_LEN);
}

static void test_hole_in_a_log_file(_unused_ void **state)
{
        put_log_with_hole(2);
        expect_found((struct reconcile_counts){ .log_tails = 1, .log_totals = 1 });
        expect_hole_moved();
        storage_expect("SELECT bytes || '/' || lines FROM log_file", "4/2");
        expect_found((struct reconcile_counts){ 0 });
}

static void test_hole_and_an_unterminated_line(_unused_ void **state)
{
        put_log_with_hole(4);
        append(zeros_path(""), "hal", 3);
        expect_found((struct reconcile_counts){ .log_tails = 1 });
        expect_bytes(zeros_path(""), "1\n2\n", 4);
        expect_bytes(zeros_path(".torn"), "{" HOLE "hal", 1 + HOLE_LEN + 3);
}

/* Further in than a block, with lines in front of it in the same one, and not the only one. */
static void test_hole_far_in(_unused_ void **state)
{
        put_log("zeros", "2026-05-20", "1\n", 2);
        for (int i = 0; i < 40000; i++)
                append(zeros_path(""), "{}\n", 3);
        append(zeros_path(""), HOLE HOLE, 2 * HOLE_LEN);
        expect_found((struct reconcile_counts){ .log_tails = 1, .log_totals = 1 });
        expect_bytes(zeros_path(".torn"), HOLE HOLE, 2 * HOLE_LEN);
        storage_expect("SELECT bytes || '/' || lines FROM log_file", "120002/40001");
}

/* No row yet: all of it is looked at, and its lines are counted. */
static void test_hole_in_a_new_log_file(_unused_ void **state)
{
        put_log_with_hole(2);
        storage_change("DELETE FROM log_file");
        put_log("newer", "2026-05-23", "1\n", 2); /* that day is none of the two newest */
        expect_found((struct reconcile_counts){ .log_tails = 1, .log_totals = 1 });
        expect_hole_moved();
        storage_expect("SELECT bytes || '/' || lines FROM log_file WHERE day = '2026-05-20'", "4/2");
        expect_found((struct reconcile_counts){ 0 });
}

/* What a row counts was acknowledged, and with it perhaps what is behind the hole. */
static void test_hole_in_what_is_known(_unused_ void **state)
{
        put_log_with_hole(5 + HOLE_LEN);
        expect_found((struct reconcile_counts){ 0 }); /* nobody looks there */
        expect_hole_left();
        storage_change("UPDATE log_file SET bytes = 5"); /* the line with the hole begins there */
        expect_found((struct reconcile_counts){ .log_totals = 1, .log_files_damaged = 1 });
        expect_hole_left();
        storage_expect("SELECT bytes || '/' || lines FROM log_file", "12/3");
        assert_false(storage_exists(zeros_path(".torn")));
}

/* It is known then, and later starts do not take for unacknowledged what came behind it. */
static void test_hole_cannot_be_set_aside(_unused_ void **state)
{
        put_log_with_hole(2);
        assert_int_equal(mkdirat(storage_fd, zeros_path(".torn"), 0750), 0);
        expect_found((struct reconcile_counts){ .log_totals = 1, .log_files_damaged = 1 });
        expect_hole_left();
        assert_int_equal(unlinkat(storage_fd, zeros_path(".torn"), AT_REMOVEDIR), 0);
        expect_found((struct reconcile_counts){ 0 });
        expect_hole_left();
}

static void test_hole_sync_fails(_unused_ void **state)
{
        struct reconcile_counts found;
        put_log_with_hole(2);
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        assert_int_equal(reconcile_data_dir(storage_fd, x, true, &found), -EIO);
        expect_hole_left();
}

/* -- behind the recovery of the journal */

struct commit {
        struct log_batch batch;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool done;
};

static void commit_done(struct log_batch *batch)
{
        struct commit *c = container_of(batch, struct commit, batch);
        pthread_mutex_lock(&c->lock);
        c->done = true;
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

static bool commit_line(struct store *store, const char *line)
{
        struct log_append a = { .source = { .project = "acme", .install_id = "live" },
                                .platform = "linux",
                                .version = "1",
                                .data = (const uint8_t *)line,
                                .len = strlen(line),
                                .lines = 1 };
        struct commit c = { .batch = { .done = commit_done, .n_appends = 1, .appends = &a },
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER };
        if (log_committer_submit(store_logs(store), &c.batch) != 0)
                return false;
        pthread_mutex_lock(&c.lock);
        while (!c.done)
                pthread_cond_wait(&c.changed, &c.lock);
        pthread_mutex_unlock(&c.lock);
        return c.batch.result == 0;
}

/* A daemon is killed after it acknowledged two lines; their file. */
static void kill_after_two_lines(char ret_path[static 128])
{
        x = index_free(x);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct store *store = open_store();
                _exit(commit_line(store, "{\"n\":1}\n") && commit_line(store, "{\"n\":2}\n") ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        int fd = openat(storage_fd, "logs/acme/live", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fdopendir(fd);
        assert_non_null(dir);
        struct dirent *e;
        while ((e = readdir(dir)) && e->d_name[0] == '.')
                ;
        assert_non_null(e);
        snprintf(ret_path, 128, "logs/acme/live/%.32s", e->d_name);
        closedir(dir);
}

#define TWO_LINES "{\"n\":1}\n{\"n\":2}\n"

/* The journal has what was acknowledged, on both sides of the hole, and nothing of it is moved. */
static void test_hole_in_what_the_journal_has(_unused_ void **state)
{
        char path[128], torn[160];
        kill_after_two_lines(path);
        storage_put(path, "");
        append(path, "\0\0\0\0\0\0\0\0{\"n\":2}\n" HOLE, 16 + HOLE_LEN);
        store_free(open_store());
        expect_bytes(path, TWO_LINES, strlen(TWO_LINES));
        snprintf(torn, sizeof(torn), "%s.torn", path);
        assert_false(storage_exists(torn));
        storage_expect("SELECT bytes || '/' || lines FROM log_file", "16/2");
}

static void test_hole_behind_what_the_journal_has(_unused_ void **state)
{
        char path[128], torn[160];
        kill_after_two_lines(path);
        append(path, HOLE, HOLE_LEN);
        store_free(open_store());
        expect_bytes(path, TWO_LINES, strlen(TWO_LINES));
        snprintf(torn, sizeof(torn), "%s.torn", path);
        expect_bytes(torn, HOLE, HOLE_LEN);
        storage_expect("SELECT bytes || '/' || lines FROM log_file", "16/2");
}

static void test_tail_cannot_be_set_aside(_unused_ void **state)
{
        struct reconcile_counts found;
        put_log("torn", "2026-05-19", "1\nhal", 2);
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        assert_int_equal(reconcile_data_dir(storage_fd, x, true, &found), -EIO);
        _cleanup_(freep) char *text = storage_text("logs/acme/torn/2026-05-19.ndjson");
        assert_string_equal(text, "1\nhal");
}

/* In the way, gone, or more than a page of them. */
static void test_odd_log_files(_unused_ void **state)
{
        char name[16];
        for (int i = 0; i < 600; i++) {
                snprintf(name, sizeof(name), "s%d", i);
                put_log(name, "2026-05-20", "1\n2\n", 2);
        }
        drop("logs/acme/s0/2026-05-20.ndjson");
        drop("logs/acme/s1/2026-05-20.ndjson");
        assert_int_equal(mkdirat(storage_fd, "logs/acme/s1/2026-05-20.ndjson", 0750), 0);
        expect_found((struct reconcile_counts){ .log_totals = 598 });
        storage_expect("SELECT sum(lines) FROM log_file", "1198");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_log_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_in_a_log_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_and_an_unterminated_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_far_in, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_in_a_new_log_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_in_what_is_known, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_cannot_be_set_aside, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_sync_fails, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_in_what_the_journal_has, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hole_behind_what_the_journal_has, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tail_cannot_be_set_aside, setup, teardown),
                cmocka_unit_test_setup_teardown(test_odd_log_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_order_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_blob_without_row, setup, teardown),
                cmocka_unit_test_setup_teardown(test_row_without_mirror, setup, teardown),
                cmocka_unit_test_setup_teardown(test_more_rows_than_a_page, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mirror_without_row, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mirror_without_row_and_blob, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unreadable_mirror, setup, teardown),
                cmocka_unit_test_setup_teardown(test_misnamed_mirrors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lost_and_cut_blobs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_half_written_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mark, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mark_fails, setup, teardown),
                cmocka_unit_test_setup_teardown(test_only_after_an_unclean_stop, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
