/* What operators order, on real SQLite: which crashes and log files a purge takes, sources, holding, surveys. */
#include "storage_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_operate.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"

#define RECEIVED INT64_C(1779179400) /* 2026-05-19T08:30:00Z */
#define MAX 100

static struct index *x;

static struct moment after(int64_t sec)
{
        return (struct moment){ .sec = RECEIVED + sec };
}

/* Received `sec` seconds after RECEIVED. shared: with an attachment, a blob of 100 bytes that is the same for all. */
static void put_crash(const char *project, const char *install_id, int64_t sec, char dump, bool shared)
{
        char sha256[65], attachment[65];
        memset(sha256, dump, 64);
        memset(attachment, 'f', 64);
        sha256[64] = attachment[64] = '\0';
        struct crash_metadata m = {
                .platform = "linux",
                .version = "1.0",
                .timestamp = after(sec),
                .kind = "Minidump",
                .git_sha = "g",
                .profile = "p",
                .target_triple = "t",
                .context = "{}",
                .json = "{}",
        };
        snprintf(m.source.project, sizeof(m.source.project), "%s", project);
        snprintf(m.source.install_id, sizeof(m.source.install_id), "%s", install_id);
        const struct index_blob_use use = { .sha256 = attachment, .len = 100, .key = "k", .content_type = "t" };
        const struct index_crash crash = {
                .metadata = &m,
                .received_at = after(sec),
                .dump = { .sha256 = sha256, .len = 10 },
                .n_attachments = shared,
                .attachments = &use,
        };
        assert_int_equal(index_insert_crash(x, &crash), 0);
}

static void put_log(const char *project, const char *install_id, const char *day, uint64_t bytes)
{
        struct source source = { 0 };
        snprintf(source.project, sizeof(source.project), "%s", project);
        snprintf(source.install_id, sizeof(source.install_id), "%s", install_id);
        assert_int_equal(storage_log_file(x, &source, "", "", day, bytes, 1, after(0)), 0);
}

/* acme/a: crashes 1 (dump a, shared), 2 (dump b, held), 3 (dump a); acme/b: 4 (dump c); other/a: 5 (dump d, shared).
 * Sources in the order of their first crash: 1 acme/a, 2 acme/b, 3 other/a. */
static int setup(void **state)
{
        bool created;
        if (storage_setup(state) != 0 || index_open(storage_dir, &x, &created, NULL) != 0)
                return -1;
        assert_int_equal(index_begin(x), 0);
        put_crash("acme", "a", 1, 'a', true);
        put_crash("acme", "a", 2, 'b', false);
        put_crash("acme", "a", 3, 'a', false);
        put_crash("acme", "b", 4, 'c', false);
        put_crash("other", "a", 5, 'd', true);
        assert_int_equal(index_set_held(x, 2, true), 0);
        put_log("acme", "a", "2026-05-18", 1);
        put_log("acme", "a", "2026-05-19", 2);
        put_log("acme", "b", "2026-05-17", 4);
        put_log("other", "a", "2026-05-18", 8);
        return index_commit(x);
}

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

/* ---- purges ---- */

struct seen {
        unsigned n, stop_at;
        char text[512];
};

static int see(struct seen *seen, const char *text)
{
        snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text), "%s;", text);
        return ++seen->n == seen->stop_at ? 42 : 0;
}

static int see_crash(void *userdata, const struct index_crash_row *row)
{
        char text[128];
        snprintf(text, sizeof(text), "%lld %s/%s%s", (long long)row->id, row->project, row->install_id,
                 row->held ? " held" : "");
        return see(userdata, text);
}

static int see_log_file(void *userdata, const struct index_log_file *row)
{
        char text[128];
        snprintf(text, sizeof(text), "%s/%s %s %llu", row->project, row->install_id, row->day,
                 (unsigned long long)row->bytes);
        return see(userdata, text);
}

static int see_text(void *userdata, const char *text)
{
        return see(userdata, text);
}

static void expect_purge(const struct index_scope *scope, const char *crashes, const char *log_files)
{
        struct seen seen = { 0 };
        assert_int_equal(index_purge_crashes(x, scope, MAX, see_crash, &seen), 0);
        assert_string_equal(seen.text, crashes);
        seen = (struct seen){ 0 };
        assert_int_equal(index_purge_log_files(x, scope, MAX, see_log_file, &seen), 0);
        assert_string_equal(seen.text, log_files);
}

static void test_what_a_purge_takes(_unused_ void **state)
{
        struct index_scope scope = { .project = "acme", .received_before = after(100), .day_before = "9999-99-99" };
        expect_purge(&scope, "1 acme/a;3 acme/a;4 acme/b;",
                     "acme/b 2026-05-17 4;acme/a 2026-05-18 1;acme/a 2026-05-19 2;");
        scope.held_too = true;
        expect_purge(&scope, "1 acme/a;2 acme/a held;3 acme/a;4 acme/b;",
                     "acme/b 2026-05-17 4;acme/a 2026-05-18 1;acme/a 2026-05-19 2;");
        scope.received_before = after(3); /* not the crash of that very second */
        scope.day_before = "2026-05-19";
        expect_purge(&scope, "1 acme/a;2 acme/a held;", "acme/b 2026-05-17 4;acme/a 2026-05-18 1;");

        scope.install_id = "a";
        scope.held_too = false;
        expect_purge(&scope, "1 acme/a;", "acme/a 2026-05-18 1;");
        scope.received_before = after(100);
        scope.held_too = true;
        scope.day_before = "9999-99-99";
        expect_purge(&scope, "1 acme/a;2 acme/a held;3 acme/a;", "acme/a 2026-05-18 1;acme/a 2026-05-19 2;");
        scope.project = "nobody";
        expect_purge(&scope, "", "");
}

static void test_pages_of_a_purge(_unused_ void **state)
{
        const struct index_scope scope = { .project = "acme",
                                           .received_before = after(100),
                                           .day_before = "9999-99-99" };
        struct seen seen = { 0 };
        assert_int_equal(index_purge_crashes(x, &scope, 2, see_crash, &seen), 0);
        assert_int_equal(seen.n, 2);
        seen = (struct seen){ .stop_at = 1 };
        assert_int_equal(index_purge_crashes(x, &scope, 2, see_crash, &seen), 42);
        seen = (struct seen){ 0 };
        assert_int_equal(index_purge_log_files(x, &scope, 1, see_log_file, &seen), 0);
        assert_int_equal(seen.n, 1);
        seen = (struct seen){ .stop_at = 1 };
        assert_int_equal(index_purge_log_files(x, &scope, 2, see_log_file, &seen), 42);
        assert_int_equal(index_begin(x), 0); /* no statement left a snapshot behind */
        assert_int_equal(index_commit(x), 0);
}

/* ---- sources ---- */

static void test_sources_of_a_project(_unused_ void **state)
{
        struct seen seen = { 0 };
        assert_int_equal(index_project_sources(x, "acme", "", MAX, see_text, &seen), 0);
        assert_string_equal(seen.text, "a;b;");
        seen = (struct seen){ 0 };
        assert_int_equal(index_project_sources(x, "acme", "a", MAX, see_text, &seen), 0);
        assert_string_equal(seen.text, "b;");
        seen = (struct seen){ 0 };
        assert_int_equal(index_project_sources(x, "acme", "", 1, see_text, &seen), 0);
        assert_string_equal(seen.text, "a;");
        seen = (struct seen){ .stop_at = 1 };
        assert_int_equal(index_project_sources(x, "acme", "", MAX, see_text, &seen), 42);
}

static void test_source_stays_while_something_is_its(_unused_ void **state)
{
        bool deleted = true;
        assert_int_equal(index_delete_source(x, "acme", "b", &deleted), 0);
        assert_false(deleted);
        assert_int_equal(index_delete_crash(x, 4), 0);
        assert_int_equal(index_delete_source(x, "acme", "b", &deleted), 0);
        assert_false(deleted); /* its log file */
        assert_int_equal(index_delete_log_file(x, 2, "2026-05-17"), 0);
        assert_int_equal(index_delete_source(x, "acme", "b", &deleted), 0);
        assert_true(deleted);
        assert_int_equal(index_delete_source(x, "acme", "b", &deleted), 0);
        assert_false(deleted);
        storage_expect("SELECT group_concat(project || '/' || install_id) FROM source", "acme/a,other/a");
}

/* ---- holding ---- */

static void test_holding(_unused_ void **state)
{
        struct seen seen = { 0 };
        bool held = false;
        assert_int_equal(index_crash_by_id(x, 2, see_crash, &seen, &held), 0);
        assert_true(held);
        assert_string_equal(seen.text, "2 acme/a held;");
        assert_int_equal(index_set_held(x, 2, false), 0);
        assert_int_equal(index_crash_by_id(x, 2, NULL, NULL, &held), 0);
        assert_false(held);
        assert_int_equal(index_crash_by_id(x, 77, NULL, NULL, &held), -ENOENT);
        assert_int_equal(index_set_held(x, 77, true), 0);
        storage_expect("SELECT count(*) FROM crash WHERE held", "0");
}

/* ---- surveys ---- */

static void expect_survey(const struct index_scope *scope, struct index_survey expected)
{
        struct index_survey survey;
        struct index *reader;
        assert_int_equal(index_open_readonly(storage_dir, &reader, NULL), 0);
        assert_int_equal(index_survey(reader, scope, &survey), 0);
        index_free(reader);
        assert_int_equal(survey.crashes, expected.crashes);
        assert_int_equal(survey.blobs, expected.blobs);
        assert_int_equal(survey.blob_bytes, expected.blob_bytes);
        assert_int_equal(survey.log_files, expected.log_files);
        assert_int_equal(survey.log_bytes, expected.log_bytes);
        assert_int_equal(survey.held, expected.held);
}

static void test_surveys(_unused_ void **state)
{
        struct index_scope scope = { .received_before = after(100), .day_before = "9999-99-99" };
        /* All that may expire: dumps a, c, d and the attachment, which no other crash uses. */
        expect_survey(&scope, (struct index_survey){
                                      .crashes = 4, .blobs = 4, .blob_bytes = 130, .log_files = 4, .log_bytes = 15 });
        scope.received_before = after(2);
        scope.day_before = "2026-05-18";
        expect_survey(&scope, (struct index_survey){
                                      .crashes = 1, .log_files = 1, .log_bytes = 4 }); /* dump a is crash 3's too */

        scope = (struct index_scope){ .project = "acme", .received_before = after(100), .day_before = "9999-99-99" };
        expect_survey(&scope,
                      (struct index_survey){
                              .crashes = 3, .blobs = 2, .blob_bytes = 20, .log_files = 3, .log_bytes = 7, .held = 1 });
        scope.held_too = true;
        expect_survey(&scope, (struct index_survey){
                                      .crashes = 4, .blobs = 3, .blob_bytes = 30, .log_files = 3, .log_bytes = 7 });
        scope.install_id = "a";
        expect_survey(&scope, (struct index_survey){
                                      .crashes = 3, .blobs = 2, .blob_bytes = 20, .log_files = 2, .log_bytes = 3 });
        scope.held_too = false;
        expect_survey(&scope,
                      (struct index_survey){
                              .crashes = 2, .blobs = 1, .blob_bytes = 10, .log_files = 2, .log_bytes = 3, .held = 1 });
}

static void test_survey_of_orphans(_unused_ void **state)
{
        struct index_survey survey = { .blobs = 1, .blob_bytes = 1 };
        struct index *reader;
        assert_int_equal(index_open_readonly(storage_dir, &reader, NULL), 0);
        assert_int_equal(index_survey_orphans(reader, &survey), 0);
        assert_int_equal(survey.blobs, 1);
        assert_int_equal(index_delete_crash(x, 4), 0);
        assert_int_equal(index_delete_crash(x, 5), 0); /* its attachment is crash 1's too */
        assert_int_equal(index_survey_orphans(reader, &survey), 0);
        index_free(reader);
        assert_int_equal(survey.blobs, 3);
        assert_int_equal(survey.blob_bytes, 21);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_a_purge_takes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pages_of_a_purge, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sources_of_a_project, setup, teardown),
                cmocka_unit_test_setup_teardown(test_source_stays_while_something_is_its, setup, teardown),
                cmocka_unit_test_setup_teardown(test_holding, setup, teardown),
                cmocka_unit_test_setup_teardown(test_surveys, setup, teardown),
                cmocka_unit_test_setup_teardown(test_survey_of_orphans, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
