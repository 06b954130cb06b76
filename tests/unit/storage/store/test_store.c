/* A whole data directory: lock, threads, and what the log committer tells the index. */
#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/store/store.h"
#include "storage/writer/log_totals.h"

static struct config *config;
static struct metrics *metrics;
static struct store *store;
static char data_dir[192];

static int setup(void **state)
{
        if (storage_setup(state) != 0 || config_new(&config) != 0)
                return -1;
        snprintf(data_dir, sizeof(data_dir), "%s/var/data/", storage_dir);
        free(config->data_dir);
        config->data_dir = strdup(data_dir);
        config->logs_ttl_days = 36500; /* the days below are of long ago */
        metrics = metrics_new();
        return metrics && config->data_dir ? 0 : -1;
}

static int teardown(void **state)
{
        store = store_free(store);
        metrics = metrics_free(metrics);
        config = config_free(config);
        return storage_teardown(state);
}

static void test_opens_and_closes(_unused_ void **state)
{
        struct error err = { "" };
        struct stat st;
        if (store_open(config, metrics, &store, &err) != 0)
                fail_msg("%s", err.text);
        assert_false(troubles_has(store_troubles(store), TROUBLE_LOGS_FAILED));
        assert_non_null(store_logs(store));
        assert_non_null(store_index(store));
        assert_non_null(store_blobs(store));
        assert_true(storage_exists("var/data/detritus.db"));
        assert_true(storage_exists("var/data/tmp"));
        assert_int_equal(fstatat(storage_fd, "var/data", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777 & ~0750u, 0);
        store = store_free(store);
        assert_int_equal(store_open(config, metrics, &store, &err), 0);
}

static void test_second_is_refused(_unused_ void **state)
{
        struct error err;
        struct store *second;
        char expected[512];
        assert_int_equal(store_open(config, metrics, &store, &err), 0);
        assert_true(store_open(config, metrics, &second, &err) < 0);
        snprintf(expected, sizeof(expected), "data directory %s is in use by another detritusd or detritusctl (pid %d)",
                 data_dir, (int)getpid());
        assert_string_equal(err.text, expected);
        store = store_free(store);
        assert_int_equal(store_open(config, metrics, &store, &err), 0);
}

static void test_bad_places_are_refused(_unused_ void **state)
{
        struct error err;
        storage_put("var", "a file in the way");
        assert_true(store_open(config, metrics, &store, &err) < 0);
        assert_non_null(strstr(err.text, data_dir));
        assert_int_equal(unlinkat(storage_fd, "var", 0), 0);

        storage_make_dirs("var/data");
        storage_put("var/data/detritus.db", "no database at all, though long enough to be taken for the start of one by"
                                            " a reader that looks at the first hundred bytes only");
        assert_true(store_open(config, metrics, &store, &err) < 0);
        assert_non_null(strstr(err.text, "detritus.db"));
        assert_true(storage_exists("var/data/detritus.db"));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned answered;

static void on_logged(_unused_ struct log_batch *batch)
{
        pthread_mutex_lock(&lock);
        answered++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

/* Two lines of a source, answered. */
static int log_two_lines(unsigned number)
{
        static const char lines[] = "{}\n{}\n";
        struct log_append append = {
                .platform = "linux",
                .version = "1.4.2",
                .data = (const uint8_t *)lines,
                .len = sizeof(lines) - 1,
                .lines = 2,
        };
        struct log_batch batch = { .done = on_logged, .n_appends = 1, .appends = &append };
        snprintf(append.source.project, sizeof(append.source.project), "acme");
        snprintf(append.source.install_id, sizeof(append.source.install_id), "host-%u", number);
        assert_int_equal(log_committer_submit(store_logs(store), &batch), 0);
        pthread_mutex_lock(&lock);
        while (answered == 0)
                pthread_cond_wait(&changed, &lock);
        answered = 0;
        pthread_mutex_unlock(&lock);
        return batch.result;
}

static void expect_in(const char *sql, const char *expected)
{
        size_t n = strlen(storage_dir);
        strcat(storage_dir, "/var/data");
        storage_expect(sql, expected);
        storage_dir[n] = '\0';
}

/* Every line is counted once, however the notes came, and all are there after a clean stop. */
static void test_log_files_are_indexed(_unused_ void **state)
{
        struct error err;
        config->limits.log_files_open = 16; /* files come and go */
        assert_int_equal(store_open(config, metrics, &store, &err), 0);
        for (unsigned round = 0; round < 3; round++) {
                for (unsigned i = 0; i < 40; i++)
                        assert_int_equal(log_two_lines(i), 0);
        }
        store = store_free(store);
        expect_in("SELECT count(*) || ' ' || sum(bytes) || ' ' || sum(lines) || ' ' || max(lines) FROM log_file",
                  "40 720 240 6");
        expect_in("SELECT count(*) || group_concat(DISTINCT platform || version) FROM source", "40linux1.4.2");
}

/* log_totals against an index writer that is held up. */
struct gate {
        struct index_job job;
        bool running, open, done;
};

static int gate_run(struct index_job *job, _unused_ struct index *index)
{
        struct gate *g = container_of(job, struct gate, job);
        pthread_mutex_lock(&lock);
        g->running = true;
        pthread_cond_broadcast(&changed);
        while (!g->open)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        return 0;
}

static void gate_done(struct index_job *job, _unused_ int result)
{
        struct gate *g = container_of(job, struct gate, job);
        pthread_mutex_lock(&lock);
        g->done = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

static int note(struct log_totals *totals, unsigned number, uint64_t bytes, uint64_t lines)
{
        struct log_file_note n = {
                .platform = "linux",
                .version = "1",
                .day = "2026-05-19",
                .bytes = bytes,
                .lines = lines,
                .at.sec = 1779179400,
        };
        snprintf(n.source.project, sizeof(n.source.project), "acme");
        snprintf(n.source.install_id, sizeof(n.source.install_id), "host-%u", number);
        return log_totals_note(totals, &n);
}

#define TOTALS_BOUND 8192

/* Nothing is asserted while the writer is held up: a test that fails must not leave it so, or closing waits for
 * ever. */
static void test_totals_wait_within_a_bound(_unused_ void **state)
{
        struct error err;
        struct log_totals *totals;
        struct gate gate = { .job = { .run = gate_run, .done = gate_done } };
        assert_int_equal(store_open(config, metrics, &store, &err), 0);
        assert_int_equal(log_totals_new(store_index(store), &totals), 0);
        assert_int_equal(index_writer_submit_job(store_index(store), &gate.job), 0);
        pthread_mutex_lock(&lock);
        while (!gate.running)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);

        unsigned n = 0;
        while (n <= TOTALS_BOUND && note(totals, n, 10, 1) == 0)
                n++;
        int beyond = note(totals, n, 10, 1);
        int again = note(totals, 5, 30, 2); /* one that waits already is only brought up to date */

        pthread_mutex_lock(&lock);
        gate.open = true;
        pthread_cond_broadcast(&changed);
        while (!gate.done)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        totals = log_totals_free(totals);
        assert_int_equal(n, TOTALS_BOUND);
        assert_int_equal(beyond, -EAGAIN);
        assert_int_equal(again, 0);
        expect_in("SELECT count(*) || ' ' || sum(bytes) || ' ' || sum(lines) FROM log_file", "8192 81940 8194");
}

static void test_failure_is_told(_unused_ void **state)
{
        struct error err;
        assert_int_equal(store_open(config, metrics, &store, &err), 0);
        assert_int_equal(log_two_lines(1), 0);
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        assert_true(log_two_lines(1) < 0);
        assert_true(troubles_has(store_troubles(store), TROUBLE_LOGS_FAILED));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_opens_and_closes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_second_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_places_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_log_files_are_indexed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_totals_wait_within_a_bound, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failure_is_told, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
