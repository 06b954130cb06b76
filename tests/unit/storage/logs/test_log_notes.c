/* Who is told what about the files' totals (struct log_file_note). */
#include "committer_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

struct seen {
        char text[LOG_FILE_TEXT_SIZE + 300]; /* "source day bytes lines platform version at" */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct seen seen[64];
static size_t n_seen, n_refused;
static int refuse;

static int on_note(void *userdata, const struct log_file_note *n)
{
        int r;
        if (userdata != seen)
                return 0;
        pthread_mutex_lock(&lock);
        r = refuse;
        if (r)
                n_refused++;
        else if (n_seen < ARRAY_LEN(seen))
                snprintf(seen[n_seen++].text, sizeof(seen[0].text), "%s/%s %s %llu %llu %s %s %lld", n->source.project,
                         n->source.install_id, n->day, (unsigned long long)n->bytes, (unsigned long long)n->lines,
                         n->platform, n->version, (long long)(n->at.sec - DAY_1_SEC));
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        return r;
}

static int setup(void **state)
{
        n_seen = n_refused = 0;
        refuse = 0;
        int r = fixture_setup(state);
        fixture_config.note = on_note;
        fixture_config.note_userdata = seen;
        return r;
}

static void set_refuse(int value)
{
        pthread_mutex_lock(&lock);
        refuse = value;
        pthread_mutex_unlock(&lock);
}

static void wait_for(const size_t *count, size_t n)
{
        pthread_mutex_lock(&lock);
        while (*count < n)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

/* Notes come after the answer: once another batch is being answered, those of the batch before have been given. */
static size_t notes(void)
{
        hold();
        size_t n = n_seen;
        release();
        return n;
}

static uint64_t leap_ns;

static void leap(void)
{
        faults.in_sync = NULL;
        atomic_fetch_add(&faults.ticks_ns, leap_ns);
}

/* So much time goes by while the next group is synced: the sweep before it does not see it yet. */
static void leap_in_next_group(uint64_t ns)
{
        leap_ns = ns;
        faults.in_sync = leap;
}

static void test_opened_then_growing(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "1\n2\n"), 0);
        assert_int_equal(notes(), 1);
        assert_string_equal(seen[0].text, "p/a " DAY_1 " 4 2 linux 1.0 0");

        leap_in_next_group(5 * SECOND_NS - 1);
        atomic_fetch_add(&faults.now_sec, 5);
        assert_int_equal(put("a", "3\n"), 0);
        assert_int_equal(notes(), 1);
        leap_in_next_group(SECOND_NS);
        atomic_fetch_add(&faults.now_sec, 1);
        assert_int_equal(put("a", "4\n"), 0);
        assert_int_equal(notes(), 2);
        assert_string_equal(seen[1].text, "p/a " DAY_1 " 8 2 linux 1.0 6");

        atomic_fetch_add(&faults.ticks_ns, 60 * SECOND_NS); /* nothing new, nothing said */
        assert_int_equal(notes(), 2);
        stop();
        assert_int_equal(n_seen, 2);
}

/* After it everything before is answered, and the row of a new file is on its way. Many times, since a barrier that
 * opens too soon is often late enough. */
static void test_barrier(void **state _unused_)
{
        start();
        for (size_t i = 1; i <= 50; i++) {
                char install_id[16];
                struct probe p = { 0 };
                snprintf(install_id, sizeof(install_id), "source-%zu", i);
                probe_add(&p, install_id, "1\n");
                assert_int_equal(submit(&p), 0);
                assert_int_equal(log_committer_barrier(committer), 0);
                assert_true(p.answered);
                assert_int_equal(n_seen, i);
        }
}

static void test_existing_file(void **state _unused_)
{
        fixture_config.note = NULL;
        start();
        assert_int_equal(put("a", "1\n2\n"), 0);
        stop();
        fixture_config.note = on_note;
        start();
        assert_int_equal(put("a", "3\n"), 0);
        assert_int_equal(notes(), 1);
        assert_string_equal(seen[0].text, "p/a " DAY_1 " 6 1 linux 1.0 0");
}

/* A committer that nobody gives work still tells what has grown. */
static void test_idle(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(notes(), 1);
        assert_int_equal(put("a", "2\n"), 0);
        atomic_fetch_add(&faults.ticks_ns, 6 * SECOND_NS);
        wait_for(&n_seen, 2);
        assert_string_equal(seen[1].text, "p/a " DAY_1 " 4 1 linux 1.0 0");
}

static void test_refused_is_offered_again(void **state _unused_)
{
        set_refuse(-1);
        start();
        assert_int_equal(put("a", "1\n"), 0);
        wait_for(&n_refused, 1);
        assert_int_equal(put("a", "2\n"), 0);
        assert_int_equal(notes(), 0);
        set_refuse(0);
        atomic_fetch_add(&faults.ticks_ns, SECOND_NS);
        wait_for(&n_seen, 1);
        assert_string_equal(seen[0].text, "p/a " DAY_1 " 4 2 linux 1.0 0");
}

static void test_stop_and_refused_at_stop(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(put("a", "2\n"), 0);
        stop();
        assert_int_equal(n_seen, 2);
        assert_string_equal(seen[1].text, "p/a " DAY_1 " 4 1 linux 1.0 0");

        set_refuse(1);
        start();
        assert_int_equal(put("a", "3\n"), 0);
        stop();
        assert_int_equal(n_seen, 2);
}

static void test_eviction(void **state _unused_)
{
        fixture_config.open_files = 2;
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(put("b", "1\n"), 0);
        assert_int_equal(put("a", "2\n"), 0); /* so b is the oldest */
        assert_int_equal(put("b", "22\n"), 0);
        assert_int_equal(put("a", "3\n"), 0);
        assert_int_equal(notes(), 2);
        assert_int_equal(put("c", "1\n"), 0);
        assert_int_equal(notes(), 4);
        assert_string_equal(seen[2].text, "p/b " DAY_1 " 5 1 linux 1.0 0");
        assert_string_equal(seen[3].text, "p/c " DAY_1 " 2 1 linux 1.0 0");
}

static void test_day_change(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(put("a", "2\n"), 0);
        atomic_fetch_add(&faults.now_sec, 86400);
        assert_int_equal(put("a", "3\n"), 0);
        assert_int_equal(notes(), 3);
        assert_string_equal(seen[1].text, "p/a " DAY_1 " 4 1 linux 1.0 0");
        assert_string_equal(seen[2].text, "p/a 2026-05-20 2 1 linux 1.0 86400");
}

/* Lines of batches that were not kept are not counted. */
static void test_failed_batches_do_not_count(void **state _unused_)
{
        struct probe p = { 0 };
        probe_add(&p, "a", "2\n3\n");
        probe_add(&p, "b", "4\n");
        start();
        assert_int_equal(put("a", "1\n"), 0);
        atomic_store(&faults.write_budget, 4);
        assert_int_equal(submit(&p), 0);
        assert_int_not_equal(await(&p), 0);
        atomic_store(&faults.write_budget, -1);
        assert_int_equal(put("a", "5\n"), 0);
        stop();
        assert_int_equal(n_seen, 3);
        assert_string_equal(seen[0].text, "p/a " DAY_1 " 2 1 linux 1.0 0");
        assert_string_equal(seen[1].text, "p/b " DAY_1 " 0 0   0");
        assert_string_equal(seen[2].text, "p/a " DAY_1 " 4 1 linux 1.0 0");
}

static void submit_with_texts(const char *platform, const char *version)
{
        struct probe p = { 0 };
        probe_add(&p, "a", "1\n");
        p.appends[0].platform = platform;
        p.appends[0].version = version;
        assert_int_equal(submit(&p), 0);
        assert_int_equal(await(&p), 0);
        assert_int_equal(atomic_load(&faults.gauges[METRICS_LOG_FILES_OPEN]), 1);
}

/* The texts are the newest, copied, and cut to fit between two characters. */
static void test_platform_and_version(void **state _unused_)
{
        char text[400], want[600];
        start();
        submit_with_texts(NULL, "");
        assert_int_equal(notes(), 1);
        assert_string_equal(seen[0].text, "p/a " DAY_1 " 2 1   0");
        submit_with_texts("linux", "1.0");
        submit_with_texts("windows", "2.0");
        leap_in_next_group(6 * SECOND_NS);
        assert_int_equal(put("b", "1\n"), 0);
        assert_int_equal(notes(), 3);
        assert_string_equal(seen[2].text, "p/a " DAY_1 " 6 2 windows 2.0 0");
        stop();

        for (size_t cut = 251; cut <= 255; cut++) {
                n_seen = 0;
                memset(text, 'x', sizeof(text));
                memcpy(text + cut, "\xf0\x9f\x90\x9d", 4); /* four bytes across the 255 that fit */
                text[300] = '\0';
                snprintf(want, sizeof(want), "p/a " DAY_1 " %zu 1 %.*s  0", 2 * (cut - 251) + 8,
                         cut == 251 ? 255 : (int)cut, text);
                start();
                submit_with_texts(text, NULL);
                stop();
                assert_int_equal(n_seen, 1);
                assert_string_equal(seen[0].text, want);
        }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_opened_then_growing),
                CASE(test_barrier),
                CASE(test_existing_file),
                CASE(test_idle),
                CASE(test_refused_is_offered_again),
                CASE(test_stop_and_refused_at_stop),
                CASE(test_eviction),
                CASE(test_day_change),
                CASE(test_failed_batches_do_not_count),
                CASE(test_platform_and_version),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
