/* Retention over a real index, real files and the real log committer. */
#include "retention_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "storage/retention/janitor.h"
#include "storage/retention/step.h"
#include "storage/space/space.h"

#define JANITOR_STEP 250
#define JANITOR_GENTLE_STEP 16

/* One whole cycle. */
static void cycle(void)
{
        struct janitor *j;
        unsigned before = storage_cycles();
        assert_int_equal(janitor_new(&config, &stores, metrics, &j), 0);
        assert_int_equal(janitor_start(j), 0);
        storage_await_cycles(before + 1);
        janitor_free(j);
}

static void expect_gauges(int64_t log_files, int64_t crashes, int64_t freed)
{
        assert_int_equal(metrics_gauge_get(metrics, METRICS_JANITOR_LAST_LOGS_DELETED), log_files);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_JANITOR_LAST_INDEXES_DELETED), crashes);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_JANITOR_LAST_BLOBS_DELETED), freed);
}

static void test_nothing_to_do(_unused_ void **state)
{
        cycle();
        expect_gauges(0, 0, 0);
        assert_int_equal(storage_failed_cycles(), 0);
}

static void test_old_crashes_go_with_their_blobs(_unused_ void **state)
{
        assert_int_equal(put(INSTALL_A, TIME_1, "old", "shared", days_ago(91)), 0);
        assert_int_equal(put(INSTALL_B, TIME_1, "old too", "new", days_ago(91)), 0);
        assert_int_equal(put(INSTALL_B, TIME_2, "new", "shared", days_ago(89)), 0);
        cycle();
        expect_gauges(0, 2, 2);
        assert_false(blob_exists("old"));
        assert_false(blob_exists("old too"));
        assert_true(blob_exists("new"));
        assert_true(blob_exists("shared")); /* an attachment that another crash still uses */
        assert_false(storage_exists("crashes/by-source/acme/" INSTALL_A));
        assert_true(storage_exists("crashes/by-source/acme/" INSTALL_B));
        expect_consistent();
}

static void test_zero_is_everything(_unused_ void **state)
{
        config.crashes_ttl_days = 0;
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "two", clock_now()), 0);
        assert_int_equal(put(INSTALL_B, TIME_1, "one", "three", clock_now()), 0);
        cycle();
        expect_gauges(0, 2, 3);
        assert_int_equal(storage_count("crashes"), 0);
        assert_false(storage_exists("crashes/by-source/acme"));
        expect_consistent();
        /* and a source may come again */
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "two", clock_now()), 0);
        expect_consistent();
}

static void hold_crash(void)
{
        storage_change("UPDATE crash SET held = 1 WHERE id = 1");
}

static void test_held_crashes_stay(_unused_ void **state)
{
        config.crashes_ttl_days = 0;
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "two", days_ago(1000)), 0);
        assert_int_equal(put(INSTALL_A, TIME_2, "three", "two", days_ago(1000)), 0);
        hold_crash();
        cycle();
        expect_gauges(0, 1, 1);
        assert_true(blob_exists("one"));
        assert_true(blob_exists("two"));
        storage_expect("SELECT group_concat(id) FROM crash", "1");
        expect_consistent();
}

/* More than one step's rows of everything. */
static void test_many_steps(_unused_ void **state)
{
        config.crashes_ttl_days = 0;
        for (unsigned i = 0; i < 260; i++) {
                char timestamp[40], dump[16];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03uZ", i);
                snprintf(dump, sizeof(dump), "dump %u", i);
                assert_int_equal(put(INSTALL_A, timestamp, dump, NULL, clock_now()), 0);
        }
        unsigned before = index_writer_commits(writer);
        cycle();
        expect_gauges(0, 260, 260);
        /* Of crashes, and again of blobs: others have their turn between them. */
        assert_true(index_writer_commits(writer) - before >= 2 * (260 / JANITOR_GENTLE_STEP));
        expect_consistent();
        assert_int_equal(storage_count("crashes"), 0);
}

static void test_old_log_files_go(_unused_ void **state)
{
        put_log_file(INSTALL_A, 0, true);
        put_log_file(INSTALL_A, 14, true); /* part of that day is younger than 14 days */
        put_log_file(INSTALL_A, 15, true);
        put_log_file(INSTALL_B, 400, true);
        put_log_file(INSTALL_B, 401, false); /* removed by hand: its row goes too */
        cycle();
        expect_gauges(3, 0, 0);
        assert_int_equal(storage_count("logs"), 2);
        storage_expect("SELECT count(*) FROM log_file", "2");
        assert_int_equal(storage_failed_cycles(), 0);
}

static void test_zero_is_todays_logs_too(_unused_ void **state)
{
        config.logs_ttl_days = 0;
        put_log_file(INSTALL_A, 0, true);
        put_log_file(INSTALL_A, 3, true);
        cycle();
        expect_gauges(2, 0, 0);
        assert_int_equal(storage_count("logs"), 0);
        storage_expect("SELECT count(*) FROM log_file", "0");
}

static void test_log_file_that_cannot_go_keeps_its_row(_unused_ void **state)
{
        char path[256], day[CLOCK_DAY_SIZE];
        put_log_file(INSTALL_A, 20, false);
        clock_format_day(days_ago(20), day);
        snprintf(path, sizeof(path), "logs/acme/" INSTALL_A "/%s.ndjson/in-the-way", day);
        storage_make_dirs(path);
        put_log_file(INSTALL_B, 20, true);
        cycle();
        expect_gauges(1, 0, 0);
        storage_expect("SELECT count(*) FROM log_file", "1");
}

/* ---- caps ---- */

static void test_crashes_at_their_cap_stay(_unused_ void **state)
{
        config.caps.crashes_max_bytes = 40;
        put_tens(4, NULL);
        cycle();
        expect_gauges(0, 0, 0);
        config.caps.crashes_max_bytes = 39;
        cycle();
        expect_gauges(0, 1, 1);
        assert_false(blob_exists("dump 00000"));
        assert_true(blob_exists("dump 00001"));
        expect_consistent();
}

static void test_eviction_frees_no_more_than_it_must(_unused_ void **state)
{
        config.caps.crashes_max_bytes = 29; /* 25 with the attachment that all share */
        put_tens(6, "fours");
        cycle();
        expect_gauges(0, 4, 4);
        storage_expect("SELECT min(id) || count(*) FROM crash", "52");
        storage_expect("SELECT crash_bytes FROM usage WHERE project = ''", "25");
        assert_true(blob_exists("fours"));
        expect_consistent();
}

static void test_many_steps_of_eviction(_unused_ void **state)
{
        config.caps.crashes_max_bytes = 10;
        put_tens(JANITOR_STEP + 12, NULL);
        unsigned before = index_writer_commits(writer);
        cycle();
        expect_gauges(0, JANITOR_STEP + 11, JANITOR_STEP + 11);
        assert_true(blob_exists("dump 00261"));
        /* As fast as uploads may come: not by gentle steps. */
        assert_true(index_writer_commits(writer) - before < (JANITOR_STEP + 11) / JANITOR_GENTLE_STEP);
        expect_consistent();
}

static void test_held_crashes_are_not_evicted(_unused_ void **state)
{
        config.caps.crashes_max_bytes = 1;
        put_tens(3, NULL);
        hold_crash();
        cycle();
        expect_gauges(0, 2, 2);
        storage_expect("SELECT group_concat(id) FROM crash", "1");
        assert_int_equal(storage_failed_cycles(), 0);
}

static void test_log_files_at_their_cap_stay(_unused_ void **state)
{
        config.caps.logs_max_bytes = 18; /* three files of 6 bytes */
        put_log_file(INSTALL_A, 0, true);
        put_log_file(INSTALL_A, 3, true);
        put_log_file(INSTALL_B, 2, true);
        cycle();
        expect_gauges(0, 0, 0);
        config.caps.logs_max_bytes = 17;
        cycle();
        expect_gauges(1, 0, 0);
        storage_expect("SELECT count(*) FROM log_file WHERE day = date('now', '-3 days')", "0");
        assert_int_equal(storage_count("logs"), 2);
        config.caps.logs_max_bytes = 1;
        cycle();
        expect_gauges(1, 0, 0); /* today's stays */
        assert_int_equal(storage_count("logs"), 1);
        assert_int_equal(storage_failed_cycles(), 0);
}

static void test_a_projects_cap_is_its_own(_unused_ void **state)
{
        struct config_project projects[] = {
                { .name = "other", .caps = { .logs_max_bytes = 1, .crashes_max_bytes = 1 } },
                { .name = "acme", .caps = { .crashes_max_bytes = 20 } },
        };
        config.projects = projects;
        config.n_projects = 1;
        put_tens(3, NULL);
        put_log_file(INSTALL_A, 3, true);
        cycle();
        expect_gauges(0, 0, 0);
        config.n_projects = 2;
        cycle();
        expect_gauges(0, 1, 1);
        config.projects = &projects[1];
        config.n_projects = 1;
        projects[1].caps = (struct config_caps){ .logs_max_bytes = 5 };
        cycle();
        expect_gauges(1, 0, 0);
        expect_consistent();
}

/* What comes in is noticed before the next cycle, which is an hour away. */
static void test_caps_are_kept_between_cycles(_unused_ void **state)
{
        struct janitor *j;
        unsigned before = storage_cycles();
        config.caps.crashes_max_bytes = 20;
        assert_int_equal(janitor_new(&config, &stores, metrics, &j), 0);
        assert_int_equal(janitor_start(j), 0);
        storage_await_cycles(before + 1);
        put_tens(4, NULL);
        while (blob_exists("dump 00001"))
                sched_yield();
        janitor_free(j);
        assert_int_equal(storage_cycles(), before + 1);
        storage_expect("SELECT min(id) || count(*) FROM crash", "32");
        expect_consistent();
}

/* ---- a full disk ---- */

static void test_steps_become_smaller_on_a_full_disk(_unused_ void **state)
{
        config.crashes_ttl_days = 1;
        put_tens(20, NULL);
        atomic_store(&storage_faults.commit_full_above, 3); /* crashes deleted in one transaction */
        cycle();
        expect_gauges(0, 20, 20);
        assert_int_equal(storage_failed_cycles(), 0);
        expect_consistent();
}

static void test_a_disk_too_full_to_delete_fails_the_cycle(_unused_ void **state)
{
        config.crashes_ttl_days = 1;
        put_tens(3, NULL);
        atomic_store(&storage_faults.commit_full_above, 0);
        cycle();
        expect_gauges(0, 0, 0);
        assert_int_equal(storage_failed_cycles(), 1);
        assert_false(index_writer_failed(writer));
        atomic_store(&storage_faults.commit_full_above, -1);
        cycle();
        expect_gauges(0, 3, 3);
}

/* Given up once, for the first deletion that needs it. */
static void test_the_reserve_file_is_for_deletions(_unused_ void **state)
{
        struct space *space;
        const struct space_config governing = { .datadir_fd = storage_fd, .metrics = metrics };
        assert_int_equal(space_new(&governing, &space), 0);
        stores.space = space;
        config.crashes_ttl_days = 1;
        put_tens(20, NULL);
        cycle();
        assert_true(space_give_up_reserve(space)); /* nothing had needed it */
        space_look(space);                         /* makes it again */
        config.crashes_ttl_days = 1;
        put_tens(20, NULL);
        atomic_store(&storage_faults.commit_full_above, 5);
        cycle();
        assert_false(space_give_up_reserve(space));
        expect_gauges(0, 20, 20);
        space_free(space);
}

static void test_blob_file_gone_already(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE];
        config.crashes_ttl_days = 0;
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "two", clock_now()), 0);
        assert_int_equal(blob_unlink(blobs, storage_hash("one", sha256), NULL), 0);
        cycle();
        expect_gauges(0, 1, 1);
        assert_int_equal(storage_failed_cycles(), 0);
        storage_expect("SELECT count(*) FROM blob", "0");
}

static void test_failed_store_fails_the_cycle_only(_unused_ void **state)
{
        atomic_store(&storage_faults.sync_error, EIO);
        atomic_store(&storage_faults.sync_fails_at, 1);
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "two", days_ago(100)), -EIO);
        assert_true(index_writer_failed(writer));
        unsigned failed = storage_failed_cycles();
        cycle();
        assert_int_equal(storage_failed_cycles(), failed + 1);
}

/* Deletion and deduplication of the same few dumps, again and again: whatever was acknowledged and has not been deleted
 * by retention has all its files. */
struct sender {
        const char *install_id;
        unsigned number;
};

struct check {
        struct step step;
        const char *content;
};

/* On the index writer's thread no deletion is half done: a blob that has a row has a file. */
static int check_run(struct step *step, struct index *index)
{
        const struct check *c = container_of(step, struct check, step);
        char sha256[BLOB_HEX_SIZE];
        bool known;
        if (index_has_blob(index, storage_hash(c->content, sha256), &known) != 0 || known != blob_exists(c->content))
                abort();
        return 0;
}

static void check(const char *content)
{
        struct check c = { .step.run = check_run, .content = content };
        if (step_run(&c.step, writer, false) != 0)
                abort();
}

static void *send_same_dumps(void *userdata)
{
        const struct sender *sender = userdata;
        for (unsigned i = 0; i < 80; i++) {
                char timestamp[40], dump[16];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:%02u:00.%03uZ", sender->number, i);
                snprintf(dump, sizeof(dump), "dump %u", i % 3);
                if (put(sender->install_id, timestamp, dump, "attached", clock_now()) != 0)
                        abort();
                check(dump);
                check("attached");
        }
        return NULL;
}

static void test_uploads_beside_deletion_lose_nothing(_unused_ void **state)
{
        struct sender senders[2] = { { INSTALL_A, 1 }, { INSTALL_B, 2 } };
        pthread_t threads[2];
        struct janitor *j;
        config.crashes_ttl_days = 0;
        config.janitor_interval_secs = 0; /* one cycle after the other */
        unsigned before = storage_cycles();
        assert_int_equal(janitor_new(&config, &stores, metrics, &j), 0);
        assert_int_equal(janitor_start(j), 0);
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, send_same_dumps, &senders[i]), 0);
        for (size_t i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        janitor_free(j);
        assert_true(storage_cycles() > before);

        config.janitor_interval_secs = 3600;
        config.crashes_ttl_days = 90; /* the last: only blobs left over when it was stopped */
        cycle();
        expect_consistent();
        config.crashes_ttl_days = 0;
        cycle();
        assert_int_equal(storage_count("crashes"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_to_do, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_old_crashes_go_with_their_blobs, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_zero_is_everything, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_held_crashes_stay, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_many_steps, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_old_log_files_go, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_zero_is_todays_logs_too, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_log_file_that_cannot_go_keeps_its_row, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_crashes_at_their_cap_stay, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_eviction_frees_no_more_than_it_must, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_many_steps_of_eviction, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_held_crashes_are_not_evicted, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_log_files_at_their_cap_stay, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_a_projects_cap_is_its_own, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_caps_are_kept_between_cycles, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_steps_become_smaller_on_a_full_disk, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_a_disk_too_full_to_delete_fails_the_cycle, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_the_reserve_file_is_for_deletions, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_blob_file_gone_already, retention_setup, retention_teardown),
                cmocka_unit_test_setup_teardown(test_failed_store_fails_the_cycle_only, retention_setup,
                                                retention_teardown),
                cmocka_unit_test_setup_teardown(test_uploads_beside_deletion_lose_nothing, retention_setup,
                                                retention_teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
