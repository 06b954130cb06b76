/* Data directories without a database: what the mirror says comes back, and nothing is lost that was not understood. */
#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "storage/store/adopt.h"

static struct index *x;
static bool created;

static int setup(void **state)
{
        return storage_setup(state) == 0 && index_open(storage_dir, &x, &created, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

static void make_blob(const char *content, struct index_blob_use *use, char sha256[BLOB_HEX_SIZE])
{
        char path[BLOB_PATH_SIZE], dir[32];
        blob_path(storage_hash(content, sha256), path);
        snprintf(dir, sizeof(dir), "crashes/by-hash/%.2s", sha256);
        storage_make_dirs(dir);
        storage_put(path, content);
        use->sha256 = sha256;
        use->len = strlen(content);
}

static void remove_blob(const char *content)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE];
        blob_path(storage_hash(content, sha256), path);
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
}

/* As a reference receiver leaves a report: blobs and the JSON file, received at a time of old. */
static void make_report(const char *install_id, const char *timestamp, const char *dump, const char *attachment)
{
        char dump_sha256[BLOB_HEX_SIZE], attachment_sha256[BLOB_HEX_SIZE], path[MIRROR_PATH_SIZE];
        struct index_blob_use use = { .key = "a", .content_type = "text/plain", .dedup = true };
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(install_id, timestamp);
        struct index_crash crash = {
                .metadata = m,
                .dump.content_encoding = "zstd",
                .n_attachments = 1,
                .attachments = &use,
        };
        make_blob(dump, &crash.dump, dump_sha256);
        make_blob(attachment, &use, attachment_sha256);
        assert_int_equal(mirror_write(storage_fd, &crash), 0);
        mirror_path(&m->source, m->timestamp, dump_sha256, path);
        struct timespec old[2] = { { .tv_sec = 1700000000 }, { .tv_sec = 1700000000, .tv_nsec = 5000000 } };
        assert_int_equal(utimensat(storage_fd, path, old, 0), 0);
}

static struct adopt_counts adopt(bool all)
{
        struct adopt_counts counts;
        assert_int_equal(adopt_data_dir(storage_fd, x, all ? ADOPT_ALL : ADOPT_LOGS, &counts), 0);
        return counts;
}

static void test_empty_directory(_unused_ void **state)
{
        struct adopt_counts counts = adopt(true);
        assert_int_equal(counts.crashes + counts.log_files + counts.unreadable + counts.blobs_missing, 0);
        x = index_free(x);
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        assert_false(created);
}

static void test_crashes_come_back(_unused_ void **state)
{
        make_report(INSTALL_A, TIME_2, "dump", "text");
        make_report(INSTALL_B, TIME_1, "dump", "more text");
        struct adopt_counts counts = adopt(true);
        assert_int_equal(counts.crashes, 2);
        assert_int_equal(counts.unreadable, 0);
        storage_expect("SELECT install_id || crashed_at || received_at || attachments || dump_len FROM crash_overview"
                       " WHERE install_id = '" INSTALL_A "'",
                       INSTALL_A "2026-05-19T08:30:00.500000000Z2023-11-14T22:13:20.005Z14");
        storage_expect("SELECT key || filename || content_type || dedup FROM attachment", "aa.txttext/plain1");
        storage_expect("SELECT group_concat(DISTINCT dump_content_encoding) FROM crash", "zstd");
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY refs)", "1,1,2");
        storage_expect("PRAGMA foreign_key_check", "");

        counts = adopt(true); /* a walk that is repeated changes nothing */
        assert_int_equal(counts.crashes, 0);
        storage_expect("SELECT count(*) FROM crash", "2");
}

static void test_unused_blobs_become_orphans(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE];
        struct index_blob_use use;
        make_report(INSTALL_A, TIME_1, "dump", "text");
        make_blob("left over", &use, sha256);
        storage_make_dirs("crashes/by-hash/zz");
        storage_put("crashes/by-hash/zz/README", "not a blob");
        adopt(true);
        storage_expect("SELECT group_concat(sha256 || len) FROM orphan_blob",
                       strcat(strcpy((char[80]){ 0 }, storage_hash("left over", sha256)), "9"));
        storage_expect("SELECT count(*) FROM blob", "3");
}

/* Its blobs may be named by what could not be read: they must not become anybody's orphans. */
static void expect_kept(uint64_t unreadable, uint64_t missing)
{
        struct adopt_counts counts = adopt(true);
        assert_int_equal(counts.unreadable, unreadable);
        assert_int_equal(counts.blobs_missing, missing);
        assert_int_equal(counts.crashes, 1);
        storage_expect("SELECT count(*) FROM orphan_blob", "0");
        storage_expect("SELECT count(*) FROM blob", "2");
}

static void test_missing_blob(_unused_ void **state)
{
        make_report(INSTALL_A, TIME_1, "dump", "text");
        make_report(INSTALL_B, TIME_1, "other dump", "other text");
        remove_blob("other text");
        expect_kept(0, 1);
}

static void test_cut_blob(_unused_ void **state)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE];
        make_report(INSTALL_A, TIME_1, "dump", "text");
        make_report(INSTALL_B, TIME_1, "other dump", "other text");
        blob_path(storage_hash("other dump", sha256), path);
        storage_put(path, "other");
        expect_kept(0, 1);
}

static void test_unreadable_files(_unused_ void **state)
{
        static const char *const bad[] = {
                "",
                "{",
                "null",
                "[]",
                "{\"metadata\":{}}",
                "{\"metadata\":null,\"dump\":null,\"attachments\":null}",
                "{} {}",
                "\xff",
        };
        char sha256[BLOB_HEX_SIZE], path[128];
        struct index_blob_use use;
        make_report(INSTALL_A, TIME_1, "dump", "text");
        make_blob("perhaps somebody's", &use, sha256);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                snprintf(path, sizeof(path), "crashes/by-source/acme/" INSTALL_A "/%zu.json", i);
                storage_put(path, bad[i]);
        }
        expect_kept(ARRAY_LEN(bad), 0);
}

static void replace_in(const char *path, const char *from, const char *to)
{
        _cleanup_(freep) char *text = storage_text(path);
        _cleanup_(freep) char *changed = calloc(1, strlen(text) + strlen(to) + 1);
        char *at = strstr(text, from);
        assert_non_null(at);
        *at = '\0';
        sprintf(changed, "%s%s%s", text, to, at + strlen(from));
        storage_put(path, changed);
}

static void test_wrong_members(_unused_ void **state)
{
        static const char *const changes[][2] = {
                { "\"sha256\": \"", "\"sha256\": \"X" },
                { "\"len\": 4", "\"len\": \"4\"" },
                { "\"len\": 4", "\"len\": -4" },
                { "\"dump\"", "\"dumb\"" },
                { "\"attachments\": [\n    {\n      \"key\": \"a\",\n      \"content_type\": \"text/plain\",\n      "
                  "\"sha",
                  "\"attachments\": [\n    {\n      \"kex\": \"a\",\n      \"content_type\": \"text/plain\",\n      "
                  "\"sha" },
                { "\"schema_version\": 1", "\"schema_version\": 2" },
        };
        char sha256[BLOB_HEX_SIZE], path[MIRROR_PATH_SIZE];
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_B, TIME_1);
        mirror_path(&m->source, m->timestamp, storage_hash("dump", sha256), path);
        for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
                struct adopt_counts counts;
                make_report(INSTALL_B, TIME_1, "dump", "text");
                _cleanup_(freep) char *text = storage_text(path);
                if (!strstr(text, changes[i][0]))
                        fail_msg("%s\n%s", changes[i][0], text);
                replace_in(path, changes[i][0], changes[i][1]);
                counts = adopt(true);
                if (counts.unreadable != 1 || counts.crashes != 0)
                        fail_msg("taken: %s", changes[i][1]);
        }
        storage_expect("SELECT count(*) FROM crash", "0");
}

static void test_odd_names_are_passed_over(_unused_ void **state)
{
        storage_make_dirs("crashes/by-source/acme");
        storage_put("crashes/by-source/stray.json", "{");
        storage_put("crashes/by-source/acme/stray.json", "{");
        storage_make_dirs("crashes/by-source/acme/x");
        storage_put("crashes/by-source/acme/x/.new-1-1.json", "{");
        storage_put("crashes/by-source/acme/x/notes.txt", "{");
        assert_int_equal(symlinkat("/etc", storage_fd, "crashes/by-source/acme/link"), 0);
        struct adopt_counts counts = adopt(true);
        assert_int_equal(counts.unreadable, 0);
}

static void test_log_files_without_a_row(_unused_ void **state)
{
        storage_make_dirs("logs/acme/one");
        storage_make_dirs("logs/acme/one/2026-05-21.ndjson");
        storage_make_dirs("logs/acme/bad name");
        storage_put("logs/acme/one/2026-05-19.ndjson", "{}\n{}\n");
        storage_put("logs/acme/one/2026-05-20.ndjson", "");
        storage_put("logs/acme/one/2026-05-20.ndjson.torn", "{");
        storage_put("logs/acme/one/2026-5-20.ndjson", "{}\n");
        storage_put("logs/acme/bad name/2026-05-20.ndjson", "{}\n");
        storage_put("logs/stray.ndjson", "{}\n");
        struct adopt_counts counts = adopt(false);
        assert_int_equal(counts.log_files, 2);
        storage_expect("SELECT group_concat(day || '=' || bytes || coalesce(lines, '')) FROM log_file",
                       "2026-05-19=6,2026-05-20=0");
        storage_expect("SELECT project || install_id || platform || version FROM source", "acmeone");
        counts = adopt(false);
        assert_int_equal(counts.log_files, 0);
        x = index_free(x);
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        assert_true(created); /* only a whole walk ends the adoption */
}

static void test_many_rows(_unused_ void **state)
{
        char path[64];
        storage_make_dirs("logs/acme/one");
        for (unsigned i = 0; i < 1203; i++) {
                snprintf(path, sizeof(path), "logs/acme/one/%04u-01-01.ndjson", i + 1000);
                storage_put(path, "");
        }
        struct adopt_counts counts = adopt(false);
        assert_int_equal(counts.log_files, 1203);
        storage_expect("SELECT count(*) FROM log_file", "1203");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_empty_directory, setup, teardown),
                cmocka_unit_test_setup_teardown(test_crashes_come_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unused_blobs_become_orphans, setup, teardown),
                cmocka_unit_test_setup_teardown(test_missing_blob, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cut_blob, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unreadable_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wrong_members, setup, teardown),
                cmocka_unit_test_setup_teardown(test_odd_names_are_passed_over, setup, teardown),
                cmocka_unit_test_setup_teardown(test_log_files_without_a_row, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_rows, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
