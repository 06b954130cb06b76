/* A data directory whose database is from before the first release (storage/index/old_schema/): reindex and import move
 * every row over, whichever of the seven versions it has. */
#include "storage_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_write.h"
#include "upkeep/import.h"
#include "upkeep/reindex.h"

#define VERSIONS 7
#define TOKENS_SINCE 6

static struct index *x;

static const char *const old_files[VERSIONS] = {
        "0001_index.sql",   "0002_usage.sql",     "0003_plain_log_files.sql", "0004_counts.sql",
        "0005_reading.sql", "0006_questions.sql", "0007_blob_ids.sql",
};

/* Every column of every table, but ids, which are given again, and when a blob's row was made. */
static const char rows_sql[] =
        "SELECT "
        "(SELECT json_group_array(json_array(project, install_id, platform, version, first_seen_at, last_seen_at, "
        "crashes))"
        "   FROM (SELECT * FROM source ORDER BY project, install_id)),"
        "(SELECT json_group_array(json_array(install_id, dump_sha256, dump_content_encoding, kind, crashed_at,"
        "     received_at, platform, version, git_sha, profile, target_triple, panic_text, context, metadata, dedup, "
        "held,"
        "     source_project, sha256))"
        "   FROM (SELECT crash.*, install_id, sha256 FROM crash JOIN source ON source.id = source_id"
        "           JOIN blob ON blob.id = dump_id ORDER BY install_id, crashed_at)),"
        "(SELECT json_group_array(json_array(crashed_at, position, key, filename, content_type, content_encoding, "
        "sha256,"
        "     len, dedup, named))"
        "   FROM (SELECT attachment.*, crashed_at, blob.sha256 AS named FROM attachment"
        "           JOIN crash ON crash.id = crash_id JOIN blob ON blob.id = blob_id ORDER BY crashed_at, position)),"
        "(SELECT json_group_array(json_array(install_id, day, bytes, lines, compressed, source_project))"
        "   FROM (SELECT log_file.*, install_id FROM log_file JOIN source ON source.id = source_id ORDER BY day, "
        "install_id)),"
        "(SELECT json_group_array(json_array(sha256, len, refs)) FROM (SELECT * FROM blob WHERE %s ORDER BY sha256)),"
        "(SELECT json_group_array(json_array(sha256, project, uses))"
        "   FROM (SELECT blob_use.*, sha256 FROM blob_use JOIN blob ON blob.id = blob_id ORDER BY sha256, project)),"
        "(SELECT json_group_array(json_array(project, log_bytes, crash_bytes)) FROM (SELECT * FROM usage ORDER BY 1)),"
        "(SELECT json_group_array(json_array(project, crashes)) FROM (SELECT * FROM crash_count ORDER BY 1))";

#define TABLES 8

struct rows {
        char *tables[TABLES];
};

static void rows_done(struct rows *rows)
{
        for (size_t i = 0; i < TABLES; i++)
                free(rows->tables[i]);
}

static struct rows read_rows(const char *dir, const char *which_blobs)
{
        char path[256], sql[4096];
        sqlite3 *db;
        sqlite3_stmt *s;
        struct rows rows;
        snprintf(path, sizeof(path), "%s/detritus.db", dir);
        snprintf(sql, sizeof(sql), rows_sql, which_blobs);
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
                fail_msg("%s", sqlite3_errmsg(db));
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        for (int i = 0; i < TABLES; i++)
                rows.tables[i] = strdup((const char *)sqlite3_column_text(s, i));
        sqlite3_finalize(s);
        sqlite3_close(db);
        return rows;
}

static void expect_rows(const char *dir, const struct rows *expected)
{
        _cleanup_(rows_done) struct rows rows = read_rows(dir, "true");
        for (size_t i = 0; i < TABLES; i++) {
                if (strcmp(rows.tables[i], expected->tables[i]) != 0)
                        fail_msg("table %zu:\n%.450s\nexpected\n%.450s", i, rows.tables[i], expected->tables[i]);
        }
}

/* ---- a data directory ---- */

static struct moment at(int64_t sec)
{
        return (struct moment){ .sec = 1779179400 + sec, .nsec = 7000000 }; /* 2026-05-19T08:30:00.007Z */
}

static void set_time(const char *path, struct moment m)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = m.sec, .tv_nsec = m.nsec } };
        assert_int_equal(utimensat(storage_fd, path, times, 0), 0);
}

static struct index_blob_use put_blob(const char *content, char sha256[BLOB_HEX_SIZE])
{
        char path[BLOB_PATH_SIZE], dir[32];
        blob_path(storage_hash(content, sha256), path);
        snprintf(dir, sizeof(dir), "crashes/by-hash/%.2s", sha256);
        storage_make_dirs(dir);
        storage_put(path, content);
        return (struct index_blob_use){ .sha256 = sha256, .len = strlen(content) };
}

static void put_crash(const char *install_id, const char *timestamp, const char *dump, size_t n_attachments,
                      struct moment received_at)
{
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(install_id, timestamp);
        char sha256[3][BLOB_HEX_SIZE], path[MIRROR_PATH_SIZE];
        struct index_blob_use uses[2] = { put_blob("att", sha256[1]), put_blob("one", sha256[2]) };
        struct index_crash crash = {
                .metadata = m,
                .received_at = received_at,
                .dump = put_blob(dump, sha256[0]),
                .n_attachments = n_attachments,
                .attachments = uses,
        };
        crash.dump.content_encoding = "zstd";
        crash.dump.dedup = n_attachments == 0;
        uses[0].key = "a";
        uses[0].filename = "a.txt";
        uses[1].key = "b";
        uses[0].content_type = uses[1].content_type = "text/plain";
        assert_int_equal(index_insert_crash(x, &crash), 0);
        assert_int_equal(mirror_write(storage_fd, &crash), 0);
        mirror_path(&m->source, m->timestamp, crash.dump.sha256, path);
        if (n_attachments == 0) /* as after a copy that keeps no times */
                set_time(path, at(60));
}

static void put_log(const char *install_id, const char *name, const char *text, uint64_t lines, bool compressed)
{
        struct source source = { .project = "acme" };
        char path[128], day[CLOCK_DAY_SIZE];
        snprintf(source.install_id, sizeof(source.install_id), "%s", install_id);
        snprintf(path, sizeof(path), "logs/acme/%s", install_id);
        storage_make_dirs(path);
        snprintf(path, sizeof(path), "logs/acme/%s/%s", install_id, name);
        storage_put(path, text);
        set_time(path, at(100));
        snprintf(day, sizeof(day), "%.10s", name);
        assert_int_equal(storage_log_file(x, &source, "linux", "1.5.0", day, strlen(text), lines, at(100)), 0);
        if (compressed)
                assert_int_equal(index_mark_compressed(x, 1, day, strlen(text)), 0);
}

static void fill(void)
{
        char sha256[BLOB_HEX_SIZE];
        bool created;
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        assert_int_equal(index_begin(x), 0);
        put_crash(INSTALL_A, TIME_1, "one", 2, at(1));
        put_crash(INSTALL_A, TIME_2, "two", 1, at(2));
        put_crash(INSTALL_B, TIME_1, "one", 0, at(3)); /* held below */
        put_log(INSTALL_A, "2026-05-19.ndjson", "{}\n{}\n", 2, false);
        put_log(INSTALL_A, "2026-05-18.ndjson.zst", "(a compressed file)", 9, true);
        put_log(INSTALL_B, "2026-05-19.ndjson", "{}\n", 1, false);
        put_blob("nobody's", sha256);
        assert_int_equal(index_add_blob(x, sha256, strlen("nobody's"), at(0)), 0);
        assert_int_equal(index_upsert_token_use(x, "ci", at(5)), 0);
        assert_int_equal(index_commit(x), 0);
        x = index_free(x);
        storage_change("UPDATE crash SET held = 1 WHERE id = 3;"
                       "INSERT INTO source (project, install_id, platform, version, first_seen_at, last_seen_at)"
                       " VALUES ('gone', 'long-ago', 'beos', '0.1', '2025-01-01T00:00:00.000Z',"
                       " '2025-02-01T00:00:00.000Z')");
}

/* ---- its database, as an earlier detritus would have left it ---- */

static void run_old_file(const char *name)
{
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", OLD_SCHEMA, name);
        FILE *f = fopen(path, "re");
        assert_non_null(f);
        static char sql[65536];
        size_t n = fread(sql, 1, sizeof(sql) - 1, f);
        assert_true(n > 0 && n < sizeof(sql) - 1);
        sql[n] = '\0';
        fclose(f);
        storage_change(sql);
}

/* A database of the first version with all that it can hold, brought up from there. Blobs come last: they bring their
 * references. */
static void make_old(int version)
{
        static const char *const tables[][2] = {
                { "source", "id, project, install_id, platform, version, first_seen_at, last_seen_at" },
                { "crash", "id, source_id, dump_sha256, dump_content_encoding, kind, crashed_at, received_at, platform,"
                           " version, git_sha, profile, target_triple, panic_text, context, metadata, dedup, held" },
                { "attachment",
                  "crash_id, position, key, filename, content_type, content_encoding, sha256, len, dedup" },
                { "log_file", "source_id, day, bytes, lines, compressed" },
                { "blob", "sha256, len, refs, created_at" },
        };
        char sql[1024];
        assert_int_equal(renameat(storage_fd, "detritus.db", storage_fd, "later.db"), 0);
        storage_put("detritus.db", "");
        run_old_file(old_files[0]);
        for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
                snprintf(sql, sizeof(sql),
                         "ATTACH '%s/later.db' AS later; INSERT INTO main.%s (%s) SELECT %s FROM later.%s", storage_dir,
                         tables[i][0], tables[i][1], tables[i][1], tables[i][0]);
                storage_change(sql);
        }
        for (int i = 1; i < version; i++)
                run_old_file(old_files[i]);
        snprintf(sql, sizeof(sql), "ATTACH '%s/later.db' AS later; INSERT INTO token_use SELECT * FROM later.token_use",
                 storage_dir);
        if (version >= TOKENS_SINCE)
                storage_change(sql);
        snprintf(sql, sizeof(sql),
                 "PRAGMA user_version = %d; PRAGMA application_id = 1685353076; PRAGMA journal_mode = WAL", version);
        storage_change(sql);
        assert_int_equal(unlinkat(storage_fd, "later.db", 0), 0);
}

/* ---- moving over ---- */

static void reindex(int version)
{
        struct reindex_counts counts;
        struct error err = { "" };
        fill();
        _cleanup_(rows_done) struct rows before = read_rows(storage_dir, "true");
        make_old(version);
        if (reindex_data_dir(storage_dir, false, &counts, &err) != 0)
                fail_msg("version %d: %s", version, err.text);
        assert_true(counts.taken_over);
        assert_int_equal(counts.before.crashes, 3);
        assert_int_equal(counts.after.crashes, 3);
        expect_rows(storage_dir, &before);
        storage_expect("SELECT group_concat(token_id || ' ' || last_used_at) FROM token_use",
                       version >= TOKENS_SINCE ? "ci 2026-05-19T08:30:05.007Z" : "");
        storage_expect("PRAGMA user_version", "8");
        storage_expect("PRAGMA integrity_check", "ok");
        assert_true(storage_exists(REINDEX_KEPT));
}

static void fail_on(_unused_ void *userdata, const char *path, const char *why)
{
        fail_msg("%s: %s", path, why);
}

static void import(int version)
{
        char to[192];
        struct offline *o;
        struct import_counts counts;
        struct error err = { "" };
        fill();
        _cleanup_(rows_done) struct rows before = read_rows(storage_dir, "refs > 0");
        make_old(version);
        snprintf(to, sizeof(to), "%s/to", storage_dir);
        storage_make_dirs("to");
        assert_int_equal(offline_open(to, OFFLINE_INDEX, &o, &err), 0);
        const struct import_config config = { .from = storage_dir, .left = fail_on };
        if (import_run(&config, o, &counts, &err) != 0)
                fail_msg("version %d: %s", version, err.text);
        assert_int_equal(offline_close(o, true), 0);
        assert_true(counts.details);
        assert_int_equal(counts.crashes, 3);
        expect_rows(to, &before);
}

static char left_path[64], left_why[128];

static void note_left(_unused_ void *userdata, const char *path, const char *why)
{
        snprintf(left_path, sizeof(left_path), "%s", path);
        snprintf(left_why, sizeof(left_why), "%s", why);
}

/* A crash whose JSON file is gone: its row cannot be read, but is counted. */
static void import_without_a_file(int version)
{
        char to[192], sha256[BLOB_HEX_SIZE], path[MIRROR_PATH_SIZE];
        struct offline *o;
        struct import_counts counts;
        struct error err = { "" };
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, TIME_1);
        fill();
        make_old(version);
        mirror_path(&m->source, m->timestamp, storage_hash("one", sha256), path);
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
        snprintf(to, sizeof(to), "%s/to", storage_dir);
        storage_make_dirs("to");
        assert_int_equal(offline_open(to, OFFLINE_INDEX, &o, &err), 0);
        const struct import_config config = { .from = storage_dir, .left = note_left };
        if (import_run(&config, o, &counts, &err) != 0)
                fail_msg("version %d: %s", version, err.text);
        assert_int_equal(offline_close(o, true), 0);
        assert_int_equal(counts.crashes, 2);
        assert_int_equal(counts.others_left, 1);
        assert_string_equal(left_path, "detritus.db");
        assert_string_equal(left_why, "it has 3 crashes, and there are JSON files of 2; the others were not taken");
}

static void each_version(void (*move)(int version), void **state)
{
        for (int version = 1; version <= VERSIONS; version++) {
                assert_int_equal(storage_setup(state), 0);
                move(version);
                storage_teardown(state);
        }
}

static void test_reindex_keeps_every_row(void **state)
{
        each_version(reindex, state);
}

static void test_import_keeps_every_row(void **state)
{
        each_version(import, state);
}

static void test_import_tells_of_rows_without_files(void **state)
{
        each_version(import_without_a_file, state);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reindex_keeps_every_row),
                cmocka_unit_test(test_import_keeps_every_row),
                cmocka_unit_test(test_import_tells_of_rows_without_files),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
