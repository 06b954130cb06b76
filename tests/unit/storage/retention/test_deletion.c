/* What operators delete: purges, crashes by id, holds; and what every deletion does when it is stopped or meets a full
 * disk. */
#include "retention_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/crashes/mirror.h"

static struct deletion *deletion;

static int setup(void **state)
{
        return retention_setup(state) == 0 ? deletion_new(&stores, &deletion) : -1;
}

static int teardown(void **state)
{
        deletion = deletion_free(deletion);
        return retention_teardown(state);
}

/* All of project "acme" up to now. */
static struct index_scope everything(void)
{
        struct index_scope scope = { .project = "acme", .received_before = clock_now(), .day_before = "9999-99-99" };
        scope.received_before.sec++;
        return scope;
}

static void expect_tally(uint64_t crashes, uint64_t blobs_freed, uint64_t log_files, uint64_t sources)
{
        struct deletion_tally t = deletion_take_tally(deletion);
        assert_int_equal(t.crashes, crashes);
        assert_int_equal(t.blobs, blobs_freed);
        assert_int_equal(t.log_files, log_files);
        assert_int_equal(t.sources, sources);
}

static struct log_batch line_batch;
static atomic_uint lines_answered;

static void line_done(struct log_batch *b)
{
        if (b->result != 0)
                abort();
        atomic_fetch_add(&lines_answered, 1);
}

/* Submits a line of today and does not wait for it. */
static void submit_line(struct log_append *a)
{
        *a = (struct log_append){ .source = { .project = "acme", .install_id = INSTALL_A },
                                  .platform = "linux",
                                  .version = "1",
                                  .data = (const uint8_t *)"{}\n",
                                  .len = 3,
                                  .lines = 1 };
        line_batch = (struct log_batch){ .done = line_done, .n_appends = 1, .appends = a };
        atomic_store(&lines_answered, 0);
        assert_int_equal(log_committer_submit(logs, &line_batch), 0);
}

/* ---- purges ---- */

static void test_a_purge_takes_everything_of_a_project(_unused_ void **state)
{
        const struct index_scope scope = everything();
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "two", days_ago(1)), 0);
        assert_int_equal(put(INSTALL_B, TIME_1, "one", "three", days_ago(1)), 0);
        put_log_file(INSTALL_A, 0, true);
        put_log_file(INSTALL_B, 30, true);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        expect_tally(2, 3, 2, 2);
        assert_int_equal(storage_count("crashes"), 0);
        assert_int_equal(storage_count("logs"), 0);
        storage_expect("SELECT (SELECT count(*) FROM crash) + (SELECT count(*) FROM blob) + "
                       "(SELECT count(*) FROM log_file) + (SELECT count(*) FROM source)",
                       "0");
        assert_false(atomic_load(&untidy));
}

static void test_a_purge_of_a_source_leaves_the_others(_unused_ void **state)
{
        struct index_scope scope = everything();
        scope.install_id = INSTALL_A;
        assert_int_equal(put(INSTALL_A, TIME_1, "one", "shared", days_ago(1)), 0);
        assert_int_equal(put(INSTALL_B, TIME_1, "two", "shared", days_ago(1)), 0);
        put_log_file(INSTALL_A, 3, true);
        put_log_file(INSTALL_B, 3, true);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        expect_tally(1, 1, 1, 1);
        assert_true(blob_exists("shared"));
        assert_int_equal(storage_count("logs"), 1);
        storage_expect("SELECT install_id FROM source", INSTALL_B);
        expect_consistent();
}

static void test_a_purge_leaves_what_is_held_or_came_later(_unused_ void **state)
{
        struct index_scope scope = everything();
        int64_t id = 1;
        enum deletion_outcome outcome;
        scope.received_before = days_ago(2);
        assert_int_equal(put(INSTALL_A, TIME_1, "held", NULL, days_ago(3)), 0);
        assert_int_equal(put(INSTALL_A, TIME_2, "later", NULL, days_ago(1)), 0);
        assert_int_equal(deletion_crashes_hold(deletion, &id, 1, true, &outcome), 0);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        expect_tally(0, 0, 0, 0);
        scope.held_too = true;
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        expect_tally(1, 1, 0, 0);
        assert_true(blob_exists("later"));
        expect_consistent();
}

/* The file has no row when the purge begins, and its line is only submitted. */
static void test_a_purge_finds_the_line_that_was_just_submitted(_unused_ void **state)
{
        const struct index_scope scope = everything();
        struct log_append a;
        submit_line(&a);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        assert_int_equal(atomic_load(&lines_answered), 1);
        expect_tally(0, 0, 1, 1);
        assert_int_equal(storage_count("logs"), 0);
        storage_expect("SELECT count(*) FROM log_file", "0");
}

static void test_a_log_file_that_cannot_go_fails_the_purge(_unused_ void **state)
{
        const struct index_scope scope = everything();
        char path[256], day[CLOCK_DAY_SIZE];
        put_log_file(INSTALL_A, 20, false);
        put_log_file(INSTALL_B, 20, true);
        clock_format_day(days_ago(20), day);
        snprintf(path, sizeof(path), "logs/acme/" INSTALL_A "/%s.ndjson/in-the-way", day);
        storage_make_dirs(path);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), -EIO);
        expect_tally(0, 0, 1, 0);
        storage_expect("SELECT count(*) FROM log_file", "1");
        assert_int_equal(unlinkat(storage_fd, path, AT_REMOVEDIR), 0);
        *strrchr(path, '/') = '\0';
        assert_int_equal(unlinkat(storage_fd, path, AT_REMOVEDIR), 0);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0); /* goes on from there */
        expect_tally(0, 0, 1, 2);
}

struct reports {
        unsigned n;
        uint64_t crashes; /* in the last one */
        unsigned stop_at; /* that report stops the deletion; 0: none */
        unsigned end_at;  /* that report ends the purge; 0: none */
};

static int report(void *userdata, const struct deletion_tally *so_far)
{
        struct reports *r = userdata;
        assert_true(so_far->crashes >= r->crashes);
        r->crashes = so_far->crashes;
        r->n++;
        if (r->n == r->stop_at)
                deletion_stop(deletion);
        return r->n == r->end_at ? 7 : 0;
}

static void test_a_purge_reports_each_step(_unused_ void **state)
{
        struct reports r = { 0 };
        const struct deletion_progress progress = { report, &r };
        const struct index_scope scope = everything();
        deletion_set_pace(deletion, DELETION_SMALL);
        put_tens(40, NULL);
        assert_int_equal(deletion_purge(deletion, &scope, &progress), 0);
        assert_int_equal(r.n, 3 + 1 + 1); /* 16, 16 and 8 crashes; no log files; a source */
        expect_tally(40, 40, 0, 1);
}

static void test_a_stopped_purge_ends_between_two_steps(_unused_ void **state)
{
        struct reports r = { .stop_at = 1 };
        const struct deletion_progress progress = { report, &r };
        const struct index_scope scope = everything();
        deletion_set_pace(deletion, DELETION_SMALL);
        put_tens(40, NULL);
        assert_int_equal(deletion_purge(deletion, &scope, &progress), -ECANCELED);
        assert_int_equal(r.n, 1);
        expect_tally(16, 0, 0, 0);
        storage_expect("SELECT count(*) FROM crash", "24");
        assert_int_equal(deletion_blobs_free(deletion), -ECANCELED); /* nothing begins any more */
}

static void test_a_purge_nobody_listens_to_ends(_unused_ void **state)
{
        struct reports r = { .end_at = 2 };
        const struct deletion_progress progress = { report, &r };
        const struct index_scope scope = everything();
        deletion_set_pace(deletion, DELETION_SMALL);
        put_tens(40, NULL);
        assert_int_equal(deletion_purge(deletion, &scope, &progress), 7);
        expect_tally(32, 32, 0, 0); /* the blobs of what is gone go, too */
        expect_consistent();
}

static void test_a_purge_on_a_full_disk_goes_on_in_smaller_steps(_unused_ void **state)
{
        const struct index_scope scope = everything();
        put_tens(20, NULL);
        atomic_store(&storage_faults.commit_full_above, 3); /* crashes deleted in one transaction */
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        expect_tally(20, 20, 0, 1);
        expect_consistent();
}

static void test_a_disk_too_full_to_purge(_unused_ void **state)
{
        const struct index_scope scope = everything();
        put_tens(3, NULL);
        atomic_store(&storage_faults.commit_full_above, 0);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), -ENOSPC);
        expect_tally(0, 0, 0, 0);
        atomic_store(&storage_faults.commit_full_above, -1);
        assert_int_equal(deletion_purge(deletion, &scope, NULL), 0);
        expect_tally(3, 3, 0, 1);
}

/* ---- by id ---- */

static void test_each_id_has_its_outcome(_unused_ void **state)
{
        const int64_t ids[] = { 2, 99, 1 };
        enum deletion_outcome outcomes[3];
        put_tens(3, NULL);
        assert_int_equal(deletion_crashes_hold(deletion, &ids[2], 1, true, outcomes), 0);
        assert_int_equal(deletion_crashes_by_id(deletion, ids, 3, false, outcomes), 0);
        assert_int_equal(outcomes[0], DELETION_DONE);
        assert_int_equal(outcomes[1], DELETION_ABSENT);
        assert_int_equal(outcomes[2], DELETION_HELD);
        expect_tally(1, 1, 0, 0);
        assert_int_equal(deletion_crashes_by_id(deletion, &ids[2], 1, true, outcomes), 0);
        assert_int_equal(outcomes[0], DELETION_DONE);
        expect_tally(1, 1, 0, 0);
        storage_expect("SELECT id FROM crash", "3");
        expect_consistent();
}

/* The step that a full disk made smaller says how far it came, and no id is left out. */
static void test_ids_on_a_full_disk(_unused_ void **state)
{
        int64_t ids[30];
        enum deletion_outcome outcomes[30];
        put_tens(20, NULL);
        for (int i = 0; i < 30; i++)
                ids[i] = i + 1;
        atomic_store(&storage_faults.commit_full_above, 3);
        assert_int_equal(deletion_crashes_by_id(deletion, ids, 30, false, outcomes), 0);
        for (int i = 0; i < 30; i++)
                assert_int_equal(outcomes[i], i < 20 ? DELETION_DONE : DELETION_ABSENT);
        expect_tally(20, 20, 0, 0);
        expect_consistent();
}

static void test_holding_more_than_one_step(_unused_ void **state)
{
        int64_t ids[260];
        enum deletion_outcome outcomes[260];
        put_tens(2, NULL);
        for (int i = 0; i < 260; i++)
                ids[i] = 1000 + i;
        ids[0] = 1;
        ids[259] = 2; /* of the second step */
        assert_int_equal(deletion_crashes_hold(deletion, ids, 260, true, outcomes), 0);
        assert_int_equal(outcomes[0], DELETION_DONE);
        assert_int_equal(outcomes[1], DELETION_ABSENT);
        assert_int_equal(outcomes[259], DELETION_DONE);
        storage_expect("SELECT count(*) FROM crash WHERE held", "2");
        assert_int_equal(deletion_crashes_hold(deletion, ids, 260, false, outcomes), 0);
        storage_expect("SELECT count(*) FROM crash WHERE held", "0");
}

/* A directory stands where the JSON file was. */
static void test_a_json_file_that_cannot_go_is_left_to_the_next_start(_unused_ void **state)
{
        const int64_t id = 1;
        enum deletion_outcome outcome;
        char path[MIRROR_PATH_SIZE], sha256[BLOB_HEX_SIZE];
        struct source source = { .project = "acme", .install_id = INSTALL_A };
        struct moment at;
        assert_int_equal(clock_parse_rfc3339(TIME_1, strlen(TIME_1), &at), 0);
        assert_int_equal(put(INSTALL_A, TIME_1, "one", NULL, days_ago(1)), 0);
        mirror_path(&source, at, storage_hash("one", sha256), path);
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
        storage_make_dirs(path);
        assert_int_equal(deletion_crashes_by_id(deletion, &id, 1, false, &outcome), 0);
        expect_tally(1, 1, 0, 0);
        assert_true(atomic_load(&untidy));
        atomic_store(&untidy, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_purge_takes_everything_of_a_project),
                TEST(test_a_purge_of_a_source_leaves_the_others),
                TEST(test_a_purge_leaves_what_is_held_or_came_later),
                TEST(test_a_purge_finds_the_line_that_was_just_submitted),
                TEST(test_a_log_file_that_cannot_go_fails_the_purge),
                TEST(test_a_purge_reports_each_step),
                TEST(test_a_stopped_purge_ends_between_two_steps),
                TEST(test_a_purge_nobody_listens_to_ends),
                TEST(test_a_purge_on_a_full_disk_goes_on_in_smaller_steps),
                TEST(test_a_disk_too_full_to_purge),
                TEST(test_each_id_has_its_outcome),
                TEST(test_ids_on_a_full_disk),
                TEST(test_holding_more_than_one_step),
                TEST(test_a_json_file_that_cannot_go_is_left_to_the_next_start),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
