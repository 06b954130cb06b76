/* The last use of tokens, through a real index writer, with a clock of the test's. */
#include "storage_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auth/token_use.h"

#define SECOND_NS UINT64_C(1000000000)

static struct blob_store *blobs;
static struct metrics *metrics;
static struct index_writer *writer;
static struct token_use *use;
static atomic_bool untidy;
static uint64_t now_ns;

uint64_t __wrap_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void)
{
        return now_ns;
}

static int setup(void **state)
{
        struct index *index;
        bool created;
        if (storage_setup(state) != 0 || blob_store_new(storage_fd, &blobs) != 0 ||
            index_open(storage_dir, &index, &created, NULL) != 0)
                return -1;
        metrics = metrics_new();
        struct index_writer_config config = {
                .datadir_fd = storage_fd, .blobs = blobs, .metrics = metrics, .untidy = &untidy, .queue_reports = 10
        };
        now_ns = 1000 * SECOND_NS;
        return index_writer_new(&config, index, &writer) == 0 && token_use_new(writer, &use) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        use = token_use_free(use);
        writer = index_writer_free(writer);
        metrics = metrics_free(metrics);
        blobs = blob_store_free(blobs);
        return storage_teardown(state);
}

/* Writes what is pending, and looks. */
static void expect(const char *sql, const char *expected)
{
        use = token_use_free(use);
        storage_expect(sql, expected);
        assert_int_equal(token_use_new(writer, &use), 0);
}

struct stand_in {
        atomic_uint_fast64_t noted_ns;
        char id[16];
        struct token token;
};

static void stand_in_init(struct stand_in *s, const char *id)
{
        snprintf(s->id, sizeof(s->id), "%s", id);
        atomic_init(&s->noted_ns, 0);
        s->token = (struct token){ .id = s->id, .noted_ns = &s->noted_ns };
}

static void test_once_an_interval(_unused_ void **state)
{
        struct stand_in a, b;
        stand_in_init(&a, "a");
        stand_in_init(&b, "b");
        token_use_note(NULL, &a.token); /* nobody keeps it: nor is it marked as noted */
        token_use_note(use, &a.token);
        expect("SELECT group_concat(token_id) FROM token_use WHERE last_used_at > '2020'", "a");
        unsigned commits = index_writer_commits(writer);

        now_ns += TOKEN_USE_INTERVAL_SECS * SECOND_NS - 1;
        token_use_note(use, &a.token);
        expect("SELECT count(*) FROM token_use", "1");
        assert_int_equal(index_writer_commits(writer), commits);

        now_ns += 1;
        token_use_note(use, &a.token);
        expect("SELECT count(*) FROM token_use", "1");
        assert_int_equal(index_writer_commits(writer), commits + 1);

        token_use_note(use, &b.token); /* each token has an interval of its own */
        expect("SELECT group_concat(token_id) FROM token_use", "a,b");
}

static void test_time_does_not_go_back(_unused_ void **state)
{
        struct stand_in a;
        use = token_use_free(use);
        writer = index_writer_free(writer);
        storage_change("INSERT INTO token_use VALUES ('a', '2999-01-01T00:00:00.000Z')");
        struct index *index;
        bool created;
        assert_int_equal(index_open(storage_dir, &index, &created, NULL), 0);
        struct index_writer_config config = {
                .datadir_fd = storage_fd, .blobs = blobs, .metrics = metrics, .untidy = &untidy, .queue_reports = 10
        };
        assert_int_equal(index_writer_new(&config, index, &writer), 0);
        assert_int_equal(token_use_new(writer, &use), 0);
        stand_in_init(&a, "a");
        token_use_note(use, &a.token);
        expect("SELECT last_used_at FROM token_use", "2999-01-01T00:00:00.000Z");
}

/* A job that keeps the writer busy until it is let go. */
struct holder {
        struct index_job job;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool let_go;
};

static int hold(struct index_job *job, _unused_ struct index *index)
{
        struct holder *h = container_of(job, struct holder, job);
        pthread_mutex_lock(&h->lock);
        while (!h->let_go)
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
        return 0;
}

static void held(_unused_ struct index_job *job, _unused_ int result)
{
}

static void test_bounded_while_the_writer_is_busy(_unused_ void **state)
{
        static struct stand_in many[TOKEN_USE_PENDING_MAX + 1];
        struct holder h = { .job = { .run = hold, .done = held },
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER };
        char id[16];

        assert_int_equal(index_writer_submit_job(writer, &h.job), 0);
        for (size_t i = 0; i < ARRAY_LEN(many); i++) {
                snprintf(id, sizeof(id), "t%zu", i);
                stand_in_init(&many[i], id);
                token_use_note(use, &many[i].token);
        }
        pthread_mutex_lock(&h.lock);
        h.let_go = true;
        pthread_cond_signal(&h.changed);
        pthread_mutex_unlock(&h.lock);
        expect("SELECT count(*) FROM token_use", "8192"); /* one was too many */
        expect("SELECT count(*) FROM token_use WHERE token_id = 't8191'", "1");
        token_use_note(use, &many[TOKEN_USE_PENDING_MAX].token); /* and comes after its interval */
        expect("SELECT count(*) FROM token_use WHERE token_id = 't8192'", "0");
        now_ns += TOKEN_USE_INTERVAL_SECS * SECOND_NS;
        token_use_note(use, &many[TOKEN_USE_PENDING_MAX].token);
        expect("SELECT count(*) FROM token_use WHERE token_id = 't8192'", "1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_once_an_interval, setup, teardown),
                cmocka_unit_test_setup_teardown(test_time_does_not_go_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bounded_while_the_writer_is_busy, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
