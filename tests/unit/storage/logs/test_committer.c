/* Log lines get where they belong, whole, in order, once. What happens when something fails:
 * test_committer_faults.c. */
#include "committer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/buf.h"

static void test_one_line(void **state _unused_)
{
        struct stat st;
        start();
        assert_int_equal(put("a", "{\"n\":1}\n"), 0);
        expect_file("a", "{\"n\":1}\n");
        assert_int_equal(put("a", "{\"n\":2}\n{\"n\":3}\n"), 0);
        expect_file("a", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");

        assert_int_equal(fstatat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson", &st, 0), 0);
        assert_int_equal(st.st_mode & 07137, 0); /* 0640 less the umask */
        assert_int_equal(faults.syncs, 2);       /* of the journal */
        assert_int_equal(faults.dir_syncs, 1);   /* for the name of its segment */
        assert_int_equal(faults.counters[METRICS_LOG_RECORDS], 3);
        assert_int_equal(faults.counters[METRICS_LOG_COMMITS], 2);
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
        assert_false(log_committer_failed(committer));
}

static void test_nothing_to_append(void **state _unused_)
{
        struct probe none = { 0 }, empty = { 0 };
        start();
        assert_int_equal(submit(&none), 0);
        assert_int_equal(await(&none), 0);
        probe_add(&empty, "a", "");
        assert_int_equal(submit(&empty), 0);
        assert_int_equal(await(&empty), 0);
        expect_file("a", "");
}

/* Names that must not reach the disk were refused at the door; here they are refused once more. */
static void test_bad_names(void **state _unused_)
{
        static const char *const names[] = { "", ".", "..", ".hidden", "a/b", "../../escape" };
        start();
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                assert_int_equal(put(names[i], "x\n"), -EINVAL);
        assert_int_equal(put("a", "x\n"), 0);
}

enum { MANY = 600 };

/* MANY batches over so many sources in one group. */
static void write_many(struct probe probes[MANY], char lines[MANY][32], size_t sources)
{
        char name[16];
        memset(probes, 0, MANY * sizeof(*probes));
        for (size_t i = 0; i < MANY; i++) {
                snprintf(name, sizeof(name), "s%zu", i % sources);
                snprintf(lines[i], sizeof(lines[i]), "%zu\n", i);
                probe_add(&probes[i], name, lines[i]);
        }
        hold();
        for (size_t i = 0; i < MANY; i++)
                assert_int_equal(submit(&probes[i]), 0);
        assert_int_equal(log_committer_depth(committer), MANY);
        release();
        for (size_t i = 0; i < MANY; i++)
                assert_int_equal(await(&probes[i]), 0);
}

static void expect_many(char lines[MANY][32], size_t sources)
{
        for (size_t s = 0; s < sources; s++) {
                _cleanup_(buf_done) struct buf want = { 0 };
                char name[16];
                for (size_t i = s; i < MANY; i += sources)
                        assert_int_equal(buf_append_str(&want, lines[i]), 0);
                assert_int_equal(buf_append(&want, "", 1), 0);
                snprintf(name, sizeof(name), "s%zu", s);
                expect_file(name, (const char *)want.data);
        }
}

static void test_group_of_many(void **state _unused_)
{
        static struct probe probes[MANY];
        static char lines[MANY][32];
        start();
        write_many(probes, lines, 3);
        expect_many(lines, 3);
        for (size_t i = 1; i < MANY; i++)
                assert_true(probes[i].turn == probes[i - 1].turn + 1);
        assert_int_equal(faults.syncs, 1);
        assert_int_equal(faults.writes, 3); /* gathered */
        assert_int_equal(faults.counters[METRICS_LOG_RECORDS], MANY);
        assert_int_equal(faults.counters[METRICS_LOG_COMMITS], 2); /* with the one of hold() */
}

/* More files in a group than may be open: they are closed early, and nothing is lost or reordered. */
static void test_more_sources_than_descriptors(void **state _unused_)
{
        static struct probe probes[MANY];
        static char lines[MANY][32];
        fixture_config.open_files = 4;
        start();
        write_many(probes, lines, 50);
        expect_many(lines, 50);
        assert_in_range(faults.gauges[METRICS_LOG_FILES_OPEN], 1, 4);
        assert_int_equal(faults.syncs, 1);
}

static void test_one_descriptor(void **state _unused_)
{
        fixture_config.open_files = 0; /* taken as 1 */
        start();
        for (int i = 0; i < 3; i++) {
                assert_int_equal(put("a", "x\n"), 0);
                assert_int_equal(put("b", "y\n"), 0);
        }
        expect_file("a", "x\nx\nx\n");
        expect_file("b", "y\ny\ny\n");
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
}

/* One writev takes at most IOV_MAX pieces. */
static void test_run_longer_than_iov_max(void **state _unused_)
{
        enum { N = 2 * IOV_MAX + 1 };
        _cleanup_(freep) struct probe *probes = calloc(N, sizeof(*probes));
        char want[2 * N + 1];
        assert_non_null(probes);
        start();
        hold();
        for (size_t i = 0; i < N; i++) {
                static const char *const texts[] = { "a\n", "b\n", "c\n" };
                probe_add(&probes[i], "a", texts[i % 3]);
                memcpy(want + 2 * i, texts[i % 3], 3);
                assert_int_equal(submit(&probes[i]), 0);
        }
        release();
        for (size_t i = 0; i < N; i++)
                assert_int_equal(await(&probes[i]), 0);
        expect_file("a", want);
        assert_int_equal(faults.writes, 3);
}

/* Batches over several files, and over the same one twice, between batches of one. */
static void test_several_appends(void **state _unused_)
{
        struct probe first = { 0 }, both = { 0 }, last = { 0 };
        probe_add(&first, "a", "1\n");
        probe_add(&both, "a", "2\n");
        probe_add(&both, "b", "3\n");
        probe_add(&both, "a", "4\n5\n");
        probe_add(&last, "a", "6\n");
        start();
        hold();
        assert_int_equal(submit(&first), 0);
        assert_int_equal(submit(&both), 0);
        assert_int_equal(submit(&last), 0);
        release();
        assert_int_equal(await(&last), 0);
        assert_int_equal(both.batch.result, 0);
        expect_file("a", "1\n2\n4\n5\n6\n");
        expect_file("b", "3\n");
        assert_int_equal(faults.syncs, 1);
        assert_int_equal(faults.counters[METRICS_LOG_RECORDS], 6);
}

enum { PRODUCERS = 4, PER_PRODUCER = 300 };

/* Each producer's lines carry its own number and rise; a full queue is tried again. */
static void *produce(void *userdata)
{
        const size_t me = *(const size_t *)userdata;
        for (size_t i = 0; i < PER_PRODUCER; i++) {
                char line[32], name[16];
                struct probe p = { 0 };
                snprintf(line, sizeof(line), "%zu %zu\n", me, i);
                snprintf(name, sizeof(name), "s%zu", i % 8);
                probe_add(&p, name, line);
                while (submit(&p) == WORK_QUEUE_FULL)
                        ;
                if (await(&p) != 0)
                        return "refused";
        }
        return NULL;
}

static void test_many_producers(void **state _unused_)
{
        pthread_t threads[PRODUCERS];
        size_t numbers[PRODUCERS], lines = 0;

        fixture_config.open_files = 5;
        fixture_config.queue_batches = 2;
        start();
        for (size_t i = 0; i < PRODUCERS; i++) {
                numbers[i] = i;
                assert_int_equal(pthread_create(&threads[i], NULL, produce, &numbers[i]), 0);
        }
        for (size_t i = 0; i < PRODUCERS; i++) {
                void *problem;
                assert_int_equal(pthread_join(threads[i], &problem), 0);
                assert_null(problem);
        }
        for (size_t s = 0; s < 8; s++) {
                char name[16];
                size_t next[PRODUCERS], who, number;
                snprintf(name, sizeof(name), "s%zu", s);
                _cleanup_(freep) char *text = file_text(name, DAY_1, "");
                for (size_t i = 0; i < PRODUCERS; i++)
                        next[i] = s;
                for (char *line = text; *line; line = strchr(line, '\n') + 1, lines++) {
                        assert_int_equal(sscanf(line, "%zu %zu\n", &who, &number), 2);
                        assert_int_equal(number, next[who]);
                        next[who] += 8;
                }
        }
        assert_int_equal(lines, PRODUCERS * PER_PRODUCER);
}

/* ---- who is told what at once ---- */

#define OWNERS 50 /* more than are told together */

struct owner {
        struct log_batch batches[3];
        struct log_append appends[3];
        atomic_uint calls, told; /* told: batches */
        bool in_order;
};

static void on_owned(struct log_batch *list)
{
        struct owner *o = list->owner;
        for (struct log_batch *b = list; b; b = b->next) {
                o->in_order = o->in_order && b == &o->batches[atomic_load(&o->told)] && b->result == 0;
                atomic_fetch_add(&o->told, 1);
        }
        atomic_fetch_add(&o->calls, 1);
}

/* Three batches of each owner in one group, one after the other. */
static void commit_owned(struct owner *owners, size_t n)
{
        struct log_batch *rest;
        hold();
        for (size_t i = 0; i < n * ARRAY_LEN(owners->batches); i++) {
                struct owner *o = &owners[i % n];
                size_t k = i / n;
                o->in_order = true;
                o->appends[k] =
                        (struct log_append){ .source = source_of("a"), .data = (const uint8_t *)"1\n", .len = 2 };
                o->batches[k] =
                        (struct log_batch){ .done = on_owned, .owner = o, .n_appends = 1, .appends = &o->appends[k] };
                assert_int_equal(log_committer_submit_list(committer, &o->batches[k], &rest), 0);
                assert_null(rest);
        }
        release();
        stop();
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(owners[i].told, ARRAY_LEN(owners->batches));
                assert_true(owners[i].in_order);
        }
}

static void test_owners_are_told_once(void **state _unused_)
{
        struct owner owners[2] = { 0 };
        start();
        commit_owned(owners, ARRAY_LEN(owners));
        assert_int_equal(owners[0].calls, 1);
        assert_int_equal(owners[1].calls, 1);
        expect_file("a", "1\n1\n1\n1\n1\n1\n");
}

static void test_many_owners_are_told(void **state _unused_)
{
        static struct owner owners[OWNERS];
        start();
        commit_owned(owners, ARRAY_LEN(owners));
}

/* Of a list, what does not fit any more is given back. */
static void test_list_that_does_not_fit(void **state _unused_)
{
        struct probe probes[4] = { 0 };
        struct log_batch *rest;
        for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
                probe_add(&probes[i], "a", "1\n");
                probes[i].batch.done = probe_done;
                probes[i].batch.next = i + 1 < ARRAY_LEN(probes) ? &probes[i + 1].batch : NULL;
        }
        fixture_config.queue_batches = 3;
        start();
        hold();
        assert_int_equal(log_committer_submit_list(committer, &probes[0].batch, &rest), WORK_QUEUE_FULL);
        assert_ptr_equal(rest, &probes[3].batch);
        assert_null(rest->next);
        assert_int_equal(faults.gauges[METRICS_LOG_QUEUE], 3);
        release();
        assert_int_equal(await(&probes[2]), 0);
        expect_file("a", "1\n1\n1\n");
}

static void test_queue_full(void **state _unused_)
{
        struct probe probes[4] = { 0 }, six = { 0 }, eight = { 0 }, seven = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                probe_add(&probes[i], "a", "12345\n");

        fixture_config.queue_batches = 3;
        start();
        hold();
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(submit(&probes[i]), 0);
        assert_int_equal(submit(&probes[3]), WORK_QUEUE_FULL);
        assert_int_equal(faults.gauges[METRICS_LOG_QUEUE], 3);
        release();
        assert_int_equal(await(&probes[2]), 0);
        expect_file("a", "12345\n12345\n12345\n");
        stop();

        /* Bytes: a batch's appends together. */
        probe_add(&six, "c", "12345\n");
        probe_add(&eight, "c", "1234\n");
        probe_add(&eight, "d", "12\n");
        probe_add(&seven, "c", "123\n");
        probe_add(&seven, "d", "12\n");
        fixture_config.queue_batches = 100;
        fixture_config.queue_bytes = 13;
        start();
        hold();
        assert_int_equal(submit(&six), 0);
        assert_int_equal(submit(&eight), WORK_QUEUE_FULL);
        assert_int_equal(submit(&seven), 0);
        release();
        assert_int_equal(await(&seven), 0);
        expect_file("c", "12345\n123\n");
        expect_file("d", "12\n");
}

/* free() answers what was queued. */
static void test_stop_with_work_queued(void **state _unused_)
{
        struct probe probes[50] = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                probe_add(&probes[i], "a", "x\n");
        start();
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                assert_int_equal(submit(&probes[i]), 0);
        stop();
        for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
                assert_true(probes[i].answered);
                assert_int_equal(probes[i].batch.result, 0);
                assert_int_equal(probes[i].turn, i + 1);
        }
        _cleanup_(freep) char *text = file_text("a", DAY_1, "");
        assert_int_equal(strlen(text), 2 * ARRAY_LEN(probes));
}

static void test_written_does_not_sync(void **state _unused_)
{
        fixture_config.sync = false;
        fixture_config.open_files = 2;
        start();
        assert_int_equal(put("a", "x\n"), 0);
        assert_int_equal(put("b", "x\n"), 0);
        assert_int_equal(put("c", "x\n"), 0);
        expect_file("a", "x\n");
        assert_int_equal(faults.syncs, 0);
        assert_int_equal(faults.dir_syncs, 0);
}

/* A group has one receipt time; the files of the day before are closed by the next. */
static void test_day_change(void **state _unused_)
{
        start();
        atomic_store(&faults.now_sec, DAY_1_SEC + 86399);
        assert_int_equal(put("a", "old\n"), 0);
        assert_int_equal(put("b", "old\n"), 0);
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 2);
        atomic_store(&faults.now_sec, DAY_1_SEC + 86400);
        assert_int_equal(put("a", "new\n"), 0);
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
        expect_file("a", "old\n");
        _cleanup_(freep) char *text = file_text("a", "2026-05-20", "");
        assert_string_equal(text, "new\n");
        atomic_store(&faults.now_sec, DAY_1_SEC); /* the clock was set back */
        assert_int_equal(put("a", "again\n"), 0);
        expect_file("a", "old\nagain\n");
}

struct unlink_probe {
        struct log_unlink unlink;
        atomic_int result; /* 1: not yet */
};

static void on_unlinked(struct log_unlink *u, int result)
{
        atomic_store(&container_of(u, struct unlink_probe, unlink)->result, result);
}

static void submit_unlink(struct unlink_probe *u, const char *install_id)
{
        u->unlink = (struct log_unlink){ .source = source_of(install_id), .day = DAY_1, .done = on_unlinked };
        atomic_init(&u->result, 1);
        assert_int_equal(log_committer_unlink(committer, &u->unlink), 0);
}

/* Between two batches of a group: what was before is gone with the file, what comes behind is in a new one. */
static void test_unlink_while_open(void **state _unused_)
{
        struct probe before = { 0 }, after = { 0 };
        struct unlink_probe open = { 0 }, missing = { 0 }, again = { 0 };
        probe_add(&before, "a", "before\n");
        probe_add(&after, "a", "after\n");
        start();
        assert_int_equal(put("a", "first\n"), 0);
        hold();
        assert_int_equal(submit(&before), 0);
        submit_unlink(&open, "a");
        submit_unlink(&again, "a");
        submit_unlink(&missing, "nobody");
        assert_int_equal(submit(&after), 0);
        release();
        assert_int_equal(await(&after), 0);
        assert_int_equal(open.result, 0);
        assert_int_equal(again.result, -ENOENT);
        assert_int_equal(missing.result, -ENOENT);
        expect_file("a", "after\n");
        expect_file("nobody", NULL);
        assert_int_equal(faults.gauges[METRICS_LOG_FILES_OPEN], 1);
}

static void test_unlink_takes_torn_along(void **state _unused_)
{
        struct unlink_probe u = { 0 };
        start();
        assert_int_equal(put("a", "x\n"), 0);
        int fd = openat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson.torn", O_WRONLY | O_CREAT, 0640);
        assert_true(fd >= 0);
        close(fd);
        submit_unlink(&u, "a");
        stop();
        assert_int_equal(u.result, 0);
        expect_file("a", NULL);
        assert_null(file_text("a", DAY_1, ".torn"));
}

/* A purge deleted the file while it was being compressed: what came of that must not stay. */
static void test_unlink_of_what_was_compressed(void **state _unused_)
{
        struct unlink_probe u = { 0 }, plain = { 0 };
        start();
        assert_int_equal(put("a", "x\n"), 0);
        submit_unlink(&u, "a");
        assert_int_equal(put("a", "barrier\n"), 0);
        assert_int_equal(u.result, 0);
        submit_unlink(&u, "a");
        assert_int_equal(put("b", "barrier\n"), 0);
        assert_int_equal(mkdirat(fixture_config.datadir_fd, "logs/p/a", 0750), 0); /* it had gone with the file */
        int fd = openat(fixture_config.datadir_fd, "logs/p/a/" DAY_1 ".ndjson.zst", O_WRONLY | O_CREAT, 0640);
        assert_true(fd >= 0);
        close(fd);
        plain.unlink = (struct log_unlink){
                .source = source_of("a"), .day = DAY_1, .only_plain = true, .plain_bytes = 2, .done = on_unlinked
        };
        assert_int_equal(log_committer_unlink(committer, &plain.unlink), 0);
        stop();
        assert_int_equal(plain.result, -ENOENT);
        assert_null(file_text("a", DAY_1, ".zst"));
        assert_int_equal(faccessat(fixture_config.datadir_fd, "logs/p/a", F_OK, 0), -1);
        expect_file("b", "barrier\n");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_one_line),
                CASE(test_nothing_to_append),
                CASE(test_bad_names),
                CASE(test_group_of_many),
                CASE(test_more_sources_than_descriptors),
                CASE(test_one_descriptor),
                CASE(test_run_longer_than_iov_max),
                CASE(test_several_appends),
                CASE(test_many_producers),
                CASE(test_owners_are_told_once),
                CASE(test_many_owners_are_told),
                CASE(test_list_that_does_not_fit),
                CASE(test_queue_full),
                CASE(test_stop_with_work_queued),
                CASE(test_written_does_not_sync),
                CASE(test_day_change),
                CASE(test_unlink_while_open),
                CASE(test_unlink_takes_torn_along),
                CASE(test_unlink_of_what_was_compressed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
