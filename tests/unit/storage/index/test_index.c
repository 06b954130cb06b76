/* The index and its schema on real SQLite. */
#include "storage_fixture.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_copy.h"
#include "storage/index/index_internal.h"
#include "storage/index/index_list.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/index/migrations.h"

static struct index *x;
static bool created;

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static int setup(void **state)
{
        return storage_setup(state) == 0 && index_open(storage_dir, &x, &created, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

static void reopen(void)
{
        x = index_free(x);
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
}

static const struct index_blob_use uses[] = {
        { .sha256 = SHA_B, .len = 2, .key = "a", .filename = "a.txt", .content_type = "text/plain" },
        { .sha256 = SHA_C, .len = 3, .key = "b", .content_type = "x", .content_encoding = "zstd", .dedup = true },
        { .sha256 = SHA_B, .len = 2, .key = "c", .content_type = "y" },
};

/* In the transaction that is open, else in one of its own. */
static int insert_at(const char *install_id, const char *timestamp, const char *sha256, size_t n_attachments,
                     struct moment received_at)
{
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(install_id, timestamp);
        struct index_crash crash = {
                .metadata = m,
                .received_at = received_at,
                .dump = { .sha256 = sha256, .len = 1, .content_encoding = "gzip" },
                .n_attachments = n_attachments,
                .attachments = uses,
        };
        bool alone = !index_in_transaction(x);
        if (alone)
                assert_int_equal(index_begin(x), 0);
        int r = index_insert_crash(x, &crash);
        if (alone && r == 0)
                assert_int_equal(index_commit(x), 0);
        else if (alone)
                index_rollback(x);
        return r;
}

#define RECEIVED_1 ((struct moment){ .sec = 1779179400, .nsec = 7000000 }) /* 2026-05-19T08:30:00.007Z */

/* In a transaction of its own. */
static void insert(const char *install_id, const char *timestamp, const char *sha256, size_t n_attachments)
{
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(insert_at(install_id, timestamp, sha256, n_attachments, RECEIVED_1), 0);
        assert_int_equal(index_commit(x), 0);
}

static void expect_refs_right(void)
{
        storage_expect("SELECT count(*) FROM blob WHERE refs <> (SELECT count(*) FROM crash WHERE dump_sha256 = sha256)"
                       " + (SELECT count(*) FROM attachment WHERE attachment.sha256 = blob.sha256)",
                       "0");
}

static void expect_newest_version(void)
{
        char version[16];
        snprintf(version, sizeof(version), "%u", 7 + migrations_count); /* 1 to 7 were never released */
        storage_expect("PRAGMA user_version", version);
}

static void test_created_until_adopted(_unused_ void **state)
{
        struct stat st;
        assert_true(created);
        assert_int_equal(fstatat(storage_fd, "detritus.db", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777 & ~0640u, 0);
        expect_newest_version();
        storage_expect("PRAGMA journal_mode", "wal");
        reopen();
        assert_true(created); /* the first start did not get to its end */
        assert_int_equal(index_set_adopted(x), 0);
        storage_expect("PRAGMA application_id", "1685353076");
        reopen();
        assert_false(created);
}

static void test_newer_is_refused_and_left(_unused_ void **state)
{
        struct error err;
        x = index_free(x);
        storage_change("PRAGMA user_version = 99");
        assert_int_equal(index_open(storage_dir, &x, &created, &err), INDEX_TOO_NEW);
        assert_non_null(strstr(err.text, "99"));
        assert_non_null(strstr(err.text, "detritus.db"));
        assert_int_equal(index_open_readonly(storage_dir, &x, &err), INDEX_TOO_NEW);
        storage_expect("PRAGMA user_version", "99");
}

/* Every version from before the first release, with what to do about it. */
static void test_unreleased_is_refused_and_left(_unused_ void **state)
{
        struct error err;
        x = index_free(x);
        for (int version = 1; version <= 7; version++) {
                char sql[64], text[16];
                snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
                snprintf(text, sizeof(text), "%d", version);
                storage_change(sql);
                assert_int_equal(index_open(storage_dir, &x, &created, &err), INDEX_TOO_OLD);
                assert_non_null(strstr(err.text, "detritus.db"));
                assert_non_null(strstr(err.text, "detritusctl reindex"));
                assert_int_equal(index_open_readonly(storage_dir, &x, &err), INDEX_TOO_OLD);
                assert_non_null(strstr(err.text, "detritusctl reindex"));
                storage_expect("PRAGMA user_version", text);
        }
}

static void test_strange_database_is_refused(_unused_ void **state)
{
        struct error err;
        x = index_free(x);
        assert_int_equal(unlinkat(storage_fd, "detritus.db", 0), 0);
        storage_put("detritus.db", "");
        storage_change("CREATE TABLE theirs (a)");
        assert_int_equal(index_open(storage_dir, &x, &created, &err), -EINVAL);
        storage_expect("SELECT count(*) FROM sqlite_schema", "1");

        storage_put("detritus.db", "this is not SQLite, but it is more than a hundred bytes long so that nobody could"
                                   " take it for an empty or a truncated database file");
        assert_int_equal(index_open(storage_dir, &x, &created, &err), -EIO);
}

static void test_readonly(_unused_ void **state)
{
        struct error err;
        struct index *reader;
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        assert_int_equal(index_open_readonly(storage_dir, &reader, &err), 0);
        assert_true(index_delete_crash(reader, 1) < 0);
        storage_expect("SELECT count(*) FROM crash", "1");
        insert(INSTALL_A, TIME_2, SHA_A, 0); /* a reader hinders nobody */
        index_free(reader);

        x = index_free(x);
        assert_int_equal(unlinkat(storage_fd, "detritus.db", 0), 0);
        assert_true(index_open_readonly(storage_dir, &reader, &err) < 0);
        assert_false(storage_exists("detritus.db"));
}

static void test_rows(_unused_ void **state)
{
        insert(INSTALL_A, TIME_2, SHA_A, 3);
        storage_expect("SELECT json_array(project, install_id, platform, version, first_seen_at, last_seen_at)"
                       " FROM source",
                       "[\"acme\",\"" INSTALL_A "\",\"linux\",\"1.4.2\",\"2026-05-19T08:30:00.007Z\","
                       "\"2026-05-19T08:30:00.007Z\"]");
        storage_expect("SELECT json_array(dump_sha256, dump_content_encoding, kind, crashed_at, received_at, platform,"
                       " version, git_sha, profile, target_triple, panic_text, dedup, held) FROM crash",
                       "[\"" SHA_A "\",\"gzip\",\"Minidump\",\"2026-05-19T08:30:00.500000000Z\","
                       "\"2026-05-19T08:30:00.007Z\",\"linux\",\"1.4.2\",\"abc\",\"release\","
                       "\"x86_64-unknown-linux-gnu\",\"boom at \\u001b[31mline 1\\nand more\",0,0]");
        storage_expect("SELECT context ->> '$.seed' || ' ' || (metadata ->> '$.source.project') FROM crash",
                       "1.84467440737096e+19 acme");
        storage_expect("SELECT context FROM crash", "{\"seed\":18446744073709551615}");
        storage_expect("SELECT json_group_array(json_array(position, key, filename, content_type, content_encoding,"
                       " sha256, len, dedup)) FROM attachment",
                       "[[0,\"a\",\"a.txt\",\"text/plain\",null,\"" SHA_B "\",2,0],"
                       "[1,\"b\",null,\"x\",\"zstd\",\"" SHA_C "\",3,1],"
                       "[2,\"c\",null,\"y\",null,\"" SHA_B "\",2,0]]");
        storage_expect("SELECT json_group_array(json_array(len, refs)) FROM blob", "[[1,1],[2,2],[3,1]]");
        storage_expect("PRAGMA foreign_key_check", "");
        storage_expect("PRAGMA integrity_check", "ok");
}

/* The columns people were promised (docs/protocol.md), in their order. */
static void test_names_are_stable(_unused_ void **state)
{
        static const char *const promised[][2] = {
                { "source", "id,project,install_id,platform,version,first_seen_at,last_seen_at,crashes" },
                { "blob", "id,sha256,len,refs,created_at" },
                { "crash",
                  "id,source_id,dump_id,dump_sha256,dump_content_encoding,kind,crashed_at,received_at,platform,version,"
                  "git_sha,profile,target_triple,panic_text,context,metadata,dedup,held,source_project" },
                { "attachment",
                  "crash_id,position,key,filename,content_type,content_encoding,blob_id,sha256,len,dedup" },
                { "log_file", "source_id,day,bytes,lines,compressed,source_project" },
                { "blob_use", "blob_id,project,uses" },
                { "usage", "project,log_bytes,crash_bytes" },
                { "crash_overview", "id,project,install_id,platform,version,kind,crashed_at,received_at,dump_sha256,"
                                    "dump_len,attachments,panic_text,held" },
                { "crash_by_version", "project,version,crashes,installs,dumps,first_crashed_at,last_crashed_at" },
                { "top_crashes",
                  "project,kind,title,crashes,installs,versions,first_crashed_at,last_crashed_at,newest_id" },
                { "source_overview", "id,project,install_id,platform,version,first_seen_at,last_seen_at,crashes,"
                                     "last_crashed_at,log_days,log_bytes" },
                { "orphan_blob", "sha256,len,created_at,path" },
                { "token_use", "token_id,last_used_at" },
                { "crash_title", "id,project,source_id,platform,version,kind,crashed_at,received_at,held,dump_sha256,"
                                 "title" },
                { "version_health", "project,version,installs,crashed_installs,crashes,crash_free_percent" },
                { "storage_by_project", "project,log_bytes,crash_bytes,bytes" },
                { "log_volume_by_day", "day,project,sources,lines,bytes,compressed_files" },
                { "silent_source", "id,project,install_id,platform,version,last_seen_at,silent_days" },
                { "shared_dump", "dump_sha256,len,crashes,installs,projects,first_received_at,last_received_at" },
                { "next_to_expire", "id,project,received_at,version,kind,dump_sha256,dump_len,frees_bytes" },
                { "held_crash", "id,project,install_id,version,kind,received_at,dump_sha256,dump_len,panic_text" },
        };
        for (size_t i = 0; i < ARRAY_LEN(promised); i++) {
                char sql[128];
                snprintf(sql, sizeof(sql), "SELECT group_concat(name) FROM pragma_table_info('%s')", promised[i][0]);
                storage_expect(sql, promised[i][1]);
        }
}

#define BLOB(which) "(SELECT id, sha256 FROM blob WHERE sha256 = '" which "')"

static void test_refs_follow_every_use(_unused_ void **state)
{
        insert(INSTALL_A, TIME_1, SHA_A, 3);
        insert(INSTALL_B, TIME_1, SHA_A, 1);
        insert(INSTALL_A, TIME_2, SHA_B, 0); /* a dump here, an attachment there */
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY sha256)", "2,4,1");
        expect_refs_right();

        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_delete_crash(x, 1), 0);
        assert_int_equal(index_commit(x), 0);
        /* attachments went by cascade, counted */
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY sha256)", "1,2,0");
        storage_expect("SELECT count(*) FROM attachment", "1");
        storage_expect("SELECT sha256 || path FROM orphan_blob", SHA_C "crashes/by-hash/cc/" SHA_C ".bin");
        expect_refs_right();

        x = index_free(x);
        storage_change("UPDATE crash SET (dump_id, dump_sha256) = " BLOB(
                SHA_B) " WHERE id = 2;"
                       "UPDATE attachment SET (blob_id, sha256) = " BLOB(SHA_C) " WHERE crash_id = 2");
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY sha256)", "0,2,1");
        expect_refs_right();
}

static void test_blob_in_use_stays(_unused_ void **state)
{
        insert(INSTALL_A, TIME_1, SHA_A, 1);
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_delete_blob(x, SHA_A), 0);
        assert_int_equal(index_delete_blob(x, SHA_B), 0);
        assert_int_equal(index_delete_crash(x, 1), 0);
        assert_int_equal(index_delete_blob(x, SHA_A), 0);
        assert_int_equal(index_commit(x), 0);
        storage_expect("SELECT group_concat(sha256) FROM blob", SHA_B);
        bool there;
        assert_int_equal(index_has_blob(x, SHA_A, &there), 0);
        assert_false(there);
        assert_int_equal(index_has_blob(x, SHA_B, &there), 0);
        assert_true(there);
}

static void test_same_report_once(_unused_ void **state)
{
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, TIME_1);
        _cleanup_(storage_metadata_free) struct crash_metadata *later = storage_metadata(INSTALL_A, TIME_2);
        int64_t id = -1;
        assert_int_equal(index_has_crash(x, m, SHA_A, &id), 0);
        assert_int_equal(id, 0);
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        assert_int_equal(index_has_crash(x, m, SHA_A, &id), 0);
        assert_int_equal(id, 1);
        assert_int_equal(index_has_crash(x, m, SHA_B, &id), 0);
        assert_int_equal(id, 0);
        assert_int_equal(index_has_crash(x, later, SHA_A, &id), 0);
        assert_int_equal(id, 0);

        /* Undone alone: what the batch had before and after stays. */
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(insert_at(INSTALL_B, TIME_1, SHA_A, 0, RECEIVED_1), 0);
        assert_int_equal(index_savepoint(x), 0);
        assert_int_equal(insert_at(INSTALL_A, TIME_1, SHA_A, 2, RECEIVED_1), -EINVAL);
        assert_int_equal(index_rollback_to(x), 0);
        assert_int_equal(index_savepoint(x), 0);
        assert_int_equal(insert_at(INSTALL_B, TIME_2, SHA_A, 0, RECEIVED_1), 0);
        assert_int_equal(index_release(x), 0);
        assert_int_equal(index_commit(x), 0);
        storage_expect("SELECT count(*) FROM crash", "3");
        storage_expect("SELECT count(*) FROM attachment", "0");
        expect_refs_right();
}

static void test_ids_are_not_used_again(_unused_ void **state)
{
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        assert_int_equal(index_delete_crash(x, 1), 0);
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        storage_expect("SELECT id FROM crash", "2");
}

static void test_bad_rows_are_refused(_unused_ void **state)
{
        static const char *const bad[] = {
                "UPDATE blob SET sha256 = upper(sha256)",
                "UPDATE blob SET sha256 = substr(sha256, 2)",
                "UPDATE blob SET sha256 = 'g' || substr(sha256, 2)",
                "UPDATE blob SET len = -1",
                "UPDATE blob SET len = 'x'",
                "UPDATE blob SET refs = -1",
                "UPDATE blob SET created_at = '2026-05-19T08:30:00Z'",
                "UPDATE blob SET created_at = '2026-05-19 08:30:00.000Z'",
                "UPDATE blob SET created_at = '2026-13-19T08:30:00.000Z'",
                "UPDATE crash SET crashed_at = '2026-05-19T08:30:00.000Z'",
                "UPDATE crash SET received_at = '2026-05-19T08:30:00.000000000Z'",
                "UPDATE crash SET kind = 'minidump'",
                "UPDATE crash SET context = '{'",
                "UPDATE crash SET metadata = ''",
                "UPDATE crash SET dedup = 2",
                "UPDATE crash SET held = -1",
                "UPDATE crash SET dump_sha256 = '" SHA_C "'",
                "UPDATE crash SET source_id = 77",
                "UPDATE attachment SET position = -1",
                "UPDATE attachment SET sha256 = '" SHA_C "'",
                "UPDATE source SET project = '../x'",
                "UPDATE source SET project = 'a/b'",
                "UPDATE source SET install_id = ''",
                "DELETE FROM source",
                "DELETE FROM blob",
                "INSERT INTO log_file (source_id, day, bytes, source_project) VALUES (1, 'today', 1, 'acme')",
                "INSERT INTO log_file (source_id, day, bytes, source_project) VALUES (1, '2026-05-19', -1, 'acme')",
                "INSERT INTO log_file (source_id, day, bytes, source_project) VALUES (9, '2026-05-19', 1, 'acme')",
        };
        insert(INSTALL_A, TIME_1, SHA_A, 1);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                if ((sqlite3_exec(x->db, bad[i], NULL, NULL, NULL) & 0xFF) != SQLITE_CONSTRAINT)
                        fail_msg("taken: %s", bad[i]);
        }
}

static void test_source_follows_the_newest(_unused_ void **state)
{
        struct source source = { "acme", INSTALL_A };
        struct moment at = { .sec = 1779179400 }, before = { .sec = 1779179399 }, after = { .sec = 1779179401 };
        assert_int_equal(storage_log_file(x, &source, "linux", "2", "2026-05-19", 10, 1, at), 0);
        assert_int_equal(storage_log_file(x, &source, "beos", "1", "2026-05-19", 20, 2, before), 0);
        storage_expect("SELECT platform || version || first_seen_at || last_seen_at FROM source",
                       "linux2"
                       "2026-05-19T08:29:59.000Z"
                       "2026-05-19T08:30:00.000Z");
        assert_int_equal(storage_log_file(x, &source, "", "3", "2026-05-20", 5, 7, after), 0);
        storage_expect("SELECT platform || version || last_seen_at FROM source", "linux3"
                                                                                 "2026-05-19T08:30:01.000Z");
        storage_expect("SELECT group_concat(day || '=' || bytes || '/' || lines) FROM log_file",
                       "2026-05-19=20/3,2026-05-20=5/7");
}

static void test_uncounted_lines_stay_so(_unused_ void **state)
{
        struct source source = { "acme", INSTALL_A };
        bool known;
        assert_int_equal(index_has_log_file(x, &source, "2026-05-19", &known), 0);
        assert_false(known);
        assert_int_equal(index_add_log_file(x, &source, "2026-05-19", 10, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &source, "2026-05-19", 99, RECEIVED_1), 0);
        assert_int_equal(index_has_log_file(x, &source, "2026-05-19", &known), 0);
        assert_true(known);
        storage_expect("SELECT bytes || ' ' || coalesce(lines, 'unknown') FROM log_file", "10 unknown");
        assert_int_equal(storage_log_file(x, &source, "linux", "1", "2026-05-19", 20, 3, RECEIVED_1), 0);
        storage_expect("SELECT bytes || ' ' || coalesce(lines, 'unknown') FROM log_file", "20 unknown");
}

struct seen {
        unsigned n, stop_at;
        char text[1024];
};

static int see_crash(void *userdata, const struct index_crash_row *row)
{
        struct seen *seen = userdata;
        size_t used = strlen(seen->text);
        snprintf(seen->text + used, sizeof(seen->text) - used, "%lld %s %s %s %.4s;", (long long)row->id, row->project,
                 row->install_id, row->crashed_at, row->dump_sha256);
        return ++seen->n == seen->stop_at ? 42 : 0;
}

static void test_expired_crashes(_unused_ void **state)
{
        struct moment at = RECEIVED_1;
        for (unsigned i = 0; i < 5; i++) {
                char timestamp[32];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:0%uZ", i);
                at.nsec = (4 - i) * 1000000; /* the last one inserted is the oldest */
                assert_int_equal(insert_at(INSTALL_A, timestamp, SHA_A, 0, at), 0);
        }
        assert_int_equal(sqlite3_exec(x->db, "UPDATE crash SET held = 1 WHERE id = 4", NULL, NULL, NULL), SQLITE_OK);

        struct seen seen = { 0 };
        at.nsec = 2000000; /* crash 3's own millisecond: not before it */
        assert_int_equal(index_expired_crashes(x,
                                               &(struct index_expired){ .received_before = at,
                                                                        .received_after.sec = CLOCK_FIRST_SECOND },
                                               10, see_crash, &seen),
                         0);
        assert_string_equal(seen.text, "5 acme " INSTALL_A " 2026-05-19T08:30:04.000000000Z aaaa;");

        seen = (struct seen){ 0 };
        at.nsec = 3000000;
        assert_int_equal(index_expired_crashes(x,
                                               &(struct index_expired){ .received_before = at,
                                                                        .received_after.sec = CLOCK_FIRST_SECOND },
                                               10, see_crash, &seen),
                         0);
        assert_int_equal(seen.n, 2);
        assert_int_equal(strncmp(seen.text, "5 ", 2), 0);

        seen = (struct seen){ 0 };
        at.sec++;
        assert_int_equal(index_expired_crashes(x,
                                               &(struct index_expired){ .received_before = at,
                                                                        .received_after.sec = CLOCK_FIRST_SECOND },
                                               3, see_crash, &seen),
                         0);
        assert_int_equal(seen.n, 3);
        seen = (struct seen){ .stop_at = 2 };
        assert_int_equal(index_expired_crashes(x,
                                               &(struct index_expired){ .received_before = at,
                                                                        .received_after.sec = CLOCK_FIRST_SECOND },
                                               3, see_crash, &seen),
                         42);
        assert_int_equal(seen.n, 2);
        assert_int_equal(index_begin(x), 0); /* no statement left a transaction behind */
        index_rollback(x);
}

static int see_blob(void *userdata, const char *sha256, uint64_t len)
{
        struct seen *seen = userdata;
        size_t used = strlen(seen->text);
        snprintf(seen->text + used, sizeof(seen->text) - used, "%.2s %llu;", sha256, (unsigned long long)len);
        return ++seen->n == seen->stop_at ? 42 : 0;
}

static void test_orphan_blobs(_unused_ void **state)
{
        struct seen seen = { 0 };
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        assert_int_equal(index_add_blob(x, SHA_A, 1, RECEIVED_1), 0); /* kept as it is */
        assert_int_equal(index_add_blob(x, SHA_B, 22, RECEIVED_1), 0);
        assert_int_equal(index_add_blob(x, SHA_C, 33, RECEIVED_1), 0);
        assert_int_equal(index_orphan_blobs(x, 10, see_blob, &seen), 0);
        assert_string_equal(seen.text, "bb 22;cc 33;");
        seen = (struct seen){ 0 };
        assert_int_equal(index_orphan_blobs(x, 1, see_blob, &seen), 0);
        assert_int_equal(seen.n, 1);
        seen = (struct seen){ .stop_at = 1 };
        assert_int_equal(index_orphan_blobs(x, 10, see_blob, &seen), 42);
        storage_expect("SELECT group_concat(substr(sha256, 1, 1)) FROM orphan_blob", "b,c");
}

/* By counting, and by the triggers: the same. */
static void expect_usage_right(void)
{
        storage_expect("SELECT group_concat(project) FROM usage"
                       " WHERE log_bytes <> (SELECT coalesce(sum(bytes), 0) FROM log_file"
                       "                      WHERE usage.project IN ('', log_file.source_project))"
                       " OR crash_bytes <> (SELECT coalesce(sum(len), 0) FROM blob WHERE sha256 IN ("
                       "      SELECT dump_sha256 FROM crash WHERE usage.project IN ('', crash.source_project) UNION"
                       "      SELECT sha256 FROM attachment JOIN crash ON crash.id = crash_id"
                       "       WHERE usage.project IN ('', crash.source_project)))",
                       "");
        storage_expect("SELECT count(*) FROM crash_count WHERE crashes <>"
                       " (SELECT count(*) FROM crash WHERE crash_count.project IN ('', source_project))"
                       " OR (SELECT count(DISTINCT source_project) FROM crash) >= (SELECT count(*) FROM crash_count)",
                       "0");
        storage_expect(
                "SELECT count(*) FROM blob_use WHERE uses <>"
                " (SELECT count(*) FROM crash WHERE dump_id = blob_id AND crash.source_project = blob_use.project)"
                " + (SELECT count(*) FROM attachment JOIN crash ON crash.id = crash_id"
                "     WHERE attachment.blob_id = blob_use.blob_id AND crash.source_project = blob_use.project)",
                "0");
        storage_expect("SELECT count(*) FROM crash JOIN source ON source.id = source_id"
                       " WHERE crash.source_project <> source.project",
                       "0");
        storage_expect("SELECT count(*) FROM log_file JOIN source ON source.id = source_id"
                       " WHERE log_file.source_project <> source.project",
                       "0");
}

static void expect_usage(const char *project, uint64_t log_bytes, uint64_t crash_bytes)
{
        struct index_usage usage;
        assert_int_equal(index_usage(x, project, &usage), 0);
        assert_int_equal(usage.log_bytes, log_bytes);
        assert_int_equal(usage.crash_bytes, crash_bytes);
}

/* The source that inserted rows belong to is of another project from now on, as if it had always been. */
static void move_to_other(const char *install_id)
{
        char sql[512];
        x = index_free(x);
        snprintf(sql, sizeof(sql), "UPDATE source SET project = 'other' WHERE install_id = '%s'", install_id);
        storage_change(sql);
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
}

static void test_usage_of_blobs(_unused_ void **state)
{
        expect_usage("", 0, 0);
        expect_usage("nobody", 0, 0);
        insert(INSTALL_A, TIME_1, SHA_A, 3); /* 1, 2, 3 and the 2 again */
        expect_usage("acme", 0, 6);
        expect_usage("", 0, 6);
        insert(INSTALL_A, TIME_2, SHA_A, 1);
        expect_usage("acme", 0, 6);
        expect_usage_right();

        assert_int_equal(index_delete_crash(x, 1), 0);
        expect_usage("acme", 0, 3);
        expect_usage("", 0, 3); /* what waits for its deletion does not count */
        assert_int_equal(index_delete_blob(x, SHA_C), 0);
        expect_usage("", 0, 3);
        assert_int_equal(index_add_blob(x, SHA_C, 33, RECEIVED_1), 0);
        expect_usage("", 0, 3);
        expect_usage_right();
        assert_int_equal(index_delete_crash(x, 2), 0);
        expect_usage("acme", 0, 0);
        expect_usage("", 0, 0);
        storage_expect("SELECT count(*) FROM blob_use", "0");
}

static void test_usage_of_shared_blobs(_unused_ void **state)
{
        assert_int_equal(
                storage_log_file(x, &(struct source){ "other", INSTALL_B }, "l", "1", "2026-05-19", 1, 1, RECEIVED_1),
                0);
        move_to_other(INSTALL_B);
        insert(INSTALL_A, TIME_1, SHA_A, 1); /* of acme */
        x = index_free(x);
        storage_change(
                "INSERT INTO crash (source_id, dump_id, dump_sha256, kind, crashed_at, received_at, platform,"
                " version, git_sha, profile, target_triple, context, metadata, dedup, source_project)"
                " SELECT (SELECT id FROM source WHERE project = 'other'), dump_id, dump_sha256, kind, crashed_at,"
                " received_at, platform, version, git_sha, profile, target_triple, context, metadata, 1, 'other'"
                " FROM crash");
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        expect_usage("acme", 0, 3);
        expect_usage("other", 1, 1);
        expect_usage("", 1, 3);
        expect_usage_right();
        x = index_free(x);
        storage_change("UPDATE crash SET (dump_id, dump_sha256) = " BLOB(
                SHA_B) " WHERE source_project = 'other';"
                       "UPDATE attachment SET (blob_id, sha256) = " BLOB(
                               SHA_A) ";"
                                      "UPDATE blob SET len = 10 WHERE sha256 = '" SHA_A "'");
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        expect_usage("acme", 0, 10);
        expect_usage("other", 1, 2);
        expect_usage("", 1, 12);
        expect_usage_right();
        assert_int_equal(index_delete_crash(x, 1), 0);
        expect_usage("acme", 0, 0);
        expect_usage("", 1, 2);
        expect_usage_right();
}

static void test_usage_of_log_files(_unused_ void **state)
{
        struct source a = { "acme", "i" }, b = { "other", "i" };
        assert_int_equal(storage_log_file(x, &a, "l", "1", "2026-05-19", 10, 1, RECEIVED_1), 0);
        assert_int_equal(storage_log_file(x, &a, "l", "1", "2026-05-19", 15, 1, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &b, "2026-05-19", 100, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &b, "2026-05-19", 999, RECEIVED_1), 0); /* kept as it is */
        expect_usage("acme", 15, 0);
        expect_usage("other", 100, 0);
        expect_usage("", 115, 0);
        assert_int_equal(index_correct_log_file(x, 1, "2026-05-19", 5, 0), 0);
        expect_usage("acme", 5, 0);
        assert_int_equal(index_delete_log_file(x, 2, "2026-05-19"), 0);
        expect_usage("other", 0, 0);
        expect_usage("", 5, 0);
        expect_usage_right();
}

static int see_log_file(void *userdata, const struct index_log_file *row)
{
        struct seen *seen = userdata;
        size_t used = strlen(seen->text);
        snprintf(seen->text + used, sizeof(seen->text) - used, "%lld %s/%s %s %llu;", (long long)row->source_id,
                 row->project, row->install_id, row->day, (unsigned long long)row->bytes);
        return ++seen->n == seen->stop_at ? 42 : 0;
}

static void test_expired_log_files(_unused_ void **state)
{
        struct source a = { "acme", "i" };
        struct seen seen = { 0 };
        assert_int_equal(index_add_log_file(x, &a, "2026-05-20", 3, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &a, "2026-05-19", 2, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &a, "2025-12-31", 1, RECEIVED_1), 0);
        assert_int_equal(index_expired_log_files(x,
                                                 &(struct index_expired){ .day_before = "2026-05-20", .day_after = "" },
                                                 10, see_log_file, &seen),
                         0);
        assert_string_equal(seen.text, "1 acme/i 2025-12-31 1;1 acme/i 2026-05-19 2;");
        assert_int_equal(index_delete_log_file(x, 1, "2025-12-31"), 0);
        seen = (struct seen){ 0 };
        assert_int_equal(index_expired_log_files(x,
                                                 &(struct index_expired){ .day_before = "9999-99-99", .day_after = "" },
                                                 1, see_log_file, &seen),
                         0);
        assert_string_equal(seen.text, "1 acme/i 2026-05-19 2;");
        seen = (struct seen){ .stop_at = 1 };
        assert_int_equal(index_expired_log_files(x,
                                                 &(struct index_expired){ .day_before = "9999-99-99", .day_after = "" },
                                                 9, see_log_file, &seen),
                         42);
}

static int see_crash_id(void *userdata, const struct index_crash_row *row)
{
        struct seen *seen = userdata;
        size_t used = strlen(seen->text);
        snprintf(seen->text + used, sizeof(seen->text) - used, "%lld %s;", (long long)row->id, row->project);
        return ++seen->n == seen->stop_at ? 42 : 0;
}

static void test_oldest_of_a_project(_unused_ void **state)
{
        struct source a = { "acme", "i" }, b = { "other", "i" };
        struct seen seen = { 0 };
        struct moment later = { .sec = RECEIVED_1.sec + 5 };
        assert_int_equal(insert_at(INSTALL_A, TIME_1, SHA_A, 0, later), 0);
        assert_int_equal(insert_at(INSTALL_B, TIME_1, SHA_A, 0, RECEIVED_1), 0);
        assert_int_equal(index_project_crashes(x, "acme", 9, see_crash_id, &seen), 0);
        assert_string_equal(seen.text, "2 acme;1 acme;");
        seen = (struct seen){ 0 };
        assert_int_equal(index_project_crashes(x, "other", 9, see_crash_id, &seen), 0);
        assert_int_equal(seen.n, 0);

        assert_int_equal(index_add_log_file(x, &a, "2026-05-20", 3, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &b, "2026-05-18", 1, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &a, "2026-05-19", 2, RECEIVED_1), 0);
        assert_int_equal(index_add_log_file(x, &a, "2026-05-21", 4, RECEIVED_1), 0);
        seen = (struct seen){ 0 };
        assert_int_equal(index_project_log_files(x, "acme", "2026-05-21", 9, see_log_file, &seen), 0);
        assert_string_equal(seen.text, "3 acme/i 2026-05-19 2;3 acme/i 2026-05-20 3;");
}

/* A table is big when it grows with what clients send. */
static bool reads_a_whole_table(const char *sql, const char *plan)
{
        static const char *const tables[] = { "crash", "blob", "source", "attachment", "log_file", "blob_use" };
        for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
                char scan[32];
                snprintf(scan, sizeof(scan), "SCAN %s", tables[i]);
                const char *rest = strncmp(plan, scan, strlen(scan)) == 0 ? plan + strlen(scan) : NULL;
                if (!rest || (*rest != '\0' && *rest != ' '))
                        continue;
                /* in the order of an index, up to a LIMIT; or an index of only the rows wanted */
                bool in_order = strncmp(rest, " USING", 6) == 0 && strstr(sql, "LIMIT");
                if (!in_order && !strstr(rest, " INDEX blob_unreferenced"))
                        return true;
        }
        return strstr(plan, "AUTOMATIC") ||
               (strstr(plan, "TEMP B-TREE") && !strstr(plan, "LAST TERM") && !strstr(plan, "RIGHT PART"));
}

/* Few rows are sorted, where sql/queries/ says so. And there is one row a source. */
static bool may_sort(enum index_statement i, const char *plan)
{
        if (i == INDEX_LIST_SOURCES && strcmp(plan, "SCAN source") == 0)
                return true;
        return index_statements[i].plan == INDEX_PLAN_SORTS &&
               strncmp(plan, "USE TEMP B-TREE FOR", strlen("USE TEMP B-TREE FOR")) == 0;
}

#define NO_STATEMENT INDEX_STATEMENT_MAX_

/* What is asked for is not looked for among all there is, though in the order of an index. */
static const struct {
        const char *asked, *planned;
} narrowing[] = {
        { "source_project = ?1", "(source_project=?" },
        { "log_file.compressed = 0", " log_file_plain " },
};

/* The line of the plan that is not good enough; "it cannot be prepared". "": all are. `i` when it is one of ours. */
static void judge(const char *sql, enum index_statement i, char ret_bad[256])
{
        char explain[4096];
        sqlite3_stmt *s;
        bool narrow[ARRAY_LEN(narrowing)];
        for (size_t n = 0; n < ARRAY_LEN(narrowing); n++)
                narrow[n] = !strstr(sql, narrowing[n].asked);
        snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
        ret_bad[0] = '\0';
        if (sqlite3_prepare_v2(x->db, explain, -1, &s, NULL) != SQLITE_OK) {
                snprintf(ret_bad, 256, "it cannot be prepared");
                return;
        }
        while (!ret_bad[0] && sqlite3_step(s) == SQLITE_ROW) {
                const char *plan = (const char *)sqlite3_column_text(s, 3);
                if (reads_a_whole_table(sql, plan) && (i == NO_STATEMENT || !may_sort(i, plan)))
                        snprintf(ret_bad, 256, "%s", plan);
                for (size_t n = 0; n < ARRAY_LEN(narrowing); n++)
                        narrow[n] |= strstr(plan, narrowing[n].planned) != NULL;
        }
        sqlite3_finalize(s);
        for (size_t n = 0; n < ARRAY_LEN(narrowing) && !ret_bad[0]; n++) {
                if (!narrow[n])
                        snprintf(ret_bad, 256, "no %s", narrowing[n].planned);
        }
}

/* The control: what would be refused. */
static void test_reading_a_table_is_seen(_unused_ void **state)
{
        static const char *const questions[] = {
                "SELECT id FROM crash WHERE git_sha = ?1",
                "SELECT id FROM crash WHERE version = ?1 ORDER BY crashed_at DESC LIMIT 50",
                "SELECT sha256 FROM blob ORDER BY len DESC LIMIT 1",
                "SELECT crash_id FROM attachment WHERE key = ?1",
                "SELECT source_id FROM log_file WHERE bytes > ?1",
                "SELECT blob_id FROM blob_use WHERE uses > ?1",
                "SELECT count(*) FROM crash",
                "SELECT day FROM log_file WHERE day < ?2 AND +source_project = ?1 ORDER BY day LIMIT ?3",
                "SELECT group_concat(received_at) FROM crash_overview ORDER BY received_at",
        };
        char bad[256];
        for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
                judge(questions[i], NO_STATEMENT, bad);
                if (!bad[0] || strstr(bad, "prepared"))
                        fail_msg("%s: %s", questions[i], bad[0] ? bad : "is let through");
        }
}

static bool is_explained(enum index_statement i)
{
        return index_statements[i].plan == INDEX_PLAN_BY_INDEX || index_statements[i].plan == INDEX_PLAN_SORTS;
}

/* What statements of copy.sql read. */
static void attach_other(void)
{
        char sql[256], other[192];
        snprintf(other, sizeof(other), "%s/other.db", storage_dir);
        assert_int_equal(index_copy_to(x, other, NULL, NULL), 0);
        snprintf(sql, sizeof(sql), "ATTACH '%s' AS other", other);
        assert_int_equal(sqlite3_exec(x->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void test_no_statement_reads_a_table(_unused_ void **state)
{
        char bad[256];
        attach_other();
        for (enum index_statement i = 0; i < INDEX_STATEMENT_MAX_; i++) {
                sqlite3_stmt *s;
                if (sqlite3_prepare_v2(x->db, index_statements[i].sql, -1, &s, NULL) != SQLITE_OK)
                        fail_msg("%s: %s", index_statements[i].sql, sqlite3_errmsg(x->db));
                sqlite3_finalize(s);
                if (is_explained(i))
                        judge(index_statements[i].sql, i, bad);
                if (is_explained(i) && bad[0])
                        fail_msg("%s: %s", index_statements[i].sql, bad);
        }
}

/* Deleting a parent asks its children: without an index on them that is a scan which no plan shows. */
static const char *const children[] = {
        "SELECT 1 FROM crash WHERE dump_id = ? AND dump_sha256 = ?",
        "SELECT 1 FROM crash WHERE source_id = ?",
        "SELECT 1 FROM attachment WHERE blob_id = ? AND sha256 = ?",
        "SELECT 1 FROM attachment WHERE crash_id = ?",
        "SELECT 1 FROM log_file WHERE source_id = ?",
        "SELECT 1 FROM blob_use WHERE blob_id = ?",
        "SELECT id FROM held_crash", /* people's: few, and found without the others */
};

static void test_foreign_keys_have_indices(_unused_ void **state)
{
        char bad[256];
        for (size_t i = 0; i < ARRAY_LEN(children); i++) {
                judge(children[i], NO_STATEMENT, bad);
                if (bad[0])
                        fail_msg("%s: %s", children[i], bad);
        }
}

static bool is_missed(void)
{
        char bad[256] = "";
        for (enum index_statement i = 0; i < INDEX_STATEMENT_MAX_ && !bad[0]; i++) {
                if (is_explained(i))
                        judge(index_statements[i].sql, i, bad);
        }
        for (size_t i = 0; i < ARRAY_LEN(children) && !bad[0]; i++)
                judge(children[i], NO_STATEMENT, bad);
        return bad[0];
}

/* The control of both: every index is there for something, so without any of them something reads too much. */
static void test_a_dropped_index_is_seen(_unused_ void **state)
{
        char names[64][64], sql[128];
        unsigned n = 0;
        sqlite3_stmt *s;
        assert_int_equal(sqlite3_prepare_v2(x->db,
                                            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
                                            -1, &s, NULL),
                         SQLITE_OK);
        while (n < ARRAY_LEN(names) && sqlite3_step(s) == SQLITE_ROW)
                snprintf(names[n++], sizeof(names[0]), "%.63s", sqlite3_column_text(s, 0));
        sqlite3_finalize(s);
        assert_in_range(n, 13, ARRAY_LEN(names) - 1);
        attach_other();
        assert_false(is_missed());
        for (unsigned i = 0; i < n; i++) {
                snprintf(sql, sizeof(sql), "SAVEPOINT one; DROP INDEX %.63s", names[i]);
                assert_int_equal(sqlite3_exec(x->db, sql, NULL, NULL, NULL), SQLITE_OK);
                if (!is_missed())
                        fail_msg("nothing misses %s", names[i]);
                assert_int_equal(sqlite3_exec(x->db, "ROLLBACK TO one; RELEASE one", NULL, NULL, NULL), SQLITE_OK);
        }
}

static void test_views_answer(_unused_ void **state)
{
        insert(INSTALL_A, TIME_1, SHA_A, 3);
        insert(INSTALL_B, TIME_2, SHA_A, 0);
        insert(INSTALL_B, TIME_1, SHA_B, 0);
        storage_expect("SELECT group_concat(id || ':' || attachments || ':' || dump_len) FROM crash_overview"
                       " WHERE install_id = '" INSTALL_A "'",
                       "1:3:1");
        storage_expect("SELECT project || ' ' || version || ' ' || crashes || ' ' || installs || ' ' || dumps || ' '"
                       " || last_crashed_at FROM crash_by_version",
                       "acme 1.4.2 3 2 2 2026-05-19T08:30:00.500000000Z");
        storage_expect("SELECT title || '|' || crashes || '|' || installs FROM top_crashes",
                       "boom at \x1b[31mline 1|3|2");
        storage_expect("SELECT crashes || ' ' || log_days || ' ' || log_bytes FROM source_overview"
                       " WHERE install_id = '" INSTALL_B "'",
                       "2 0 0");
}

/* What a panic is called, whichever thread it was in and wherever the line is today. */
static void test_titles_of_panics(_unused_ void **state)
{
        static const struct {
                const char *panic_text, *title;
        } cases[] = {
                { "thread 'main' panicked at src/x.rs:1:2:\nboom: 7\nmore", "src/x.rs: boom: 7" },
                { "thread '<unnamed>' panicked at src/x.rs:10:22:\nboom: 7", "src/x.rs: boom: 7" },
                { "thread 'worker-3' (4711) panicked at src/x.rs:3:4:\nboom: 7\n", "src/x.rs: boom: 7" },
                { "thread 'main' panicked at 'boom', src/y.rs:12:5", "'boom', src/y.rs" },
                { "thread 'io' panicked at 'boom', src/y.rs:13:7\nnote: x", "'boom', src/y.rs" },
                { "thread 'main' panicked at src/x.rs:1:2:\n", "src/x.rs: " },
                { "thread 'main' panicked at ", "" },
                { "the thread 'main' panicked at 7:7", "the thread 'main' panicked at 7:7" },
                { "out of memory\nthread 'main' panicked at x:1:2:\n", "out of memory" },
        };
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char *sql = sqlite3_mprintf("UPDATE crash SET panic_text = %Q", cases[i].panic_text);
                storage_change(sql);
                sqlite3_free(sql);
                storage_expect("SELECT title FROM crash_title", cases[i].title);
                storage_expect("SELECT title FROM top_crashes", cases[i].title);
        }
}

static int collect_json(void *userdata, const char *json)
{
        struct json_object *object = json_tokener_parse(json);
        assert_non_null(object);
        json_object_array_add(userdata, object);
        return 0;
}

static const char *member(struct json_object *list, size_t i, const char *key)
{
        return json_object_get_string(json_object_object_get(json_object_array_get_idx(list, i), key));
}

static void test_lists_for_people(_unused_ void **state)
{
        const struct index_crash_filter any = { 0 };
        struct index_page page = { 0 };
        struct moment at = RECEIVED_1;
        struct json_object *list = json_object_new_array();
        assert_int_equal(insert_at(INSTALL_A, TIME_1, SHA_A, 2, at), 0);
        at.sec++;
        assert_int_equal(insert_at(INSTALL_A, TIME_2, SHA_A, 0, at), 0);
        assert_int_equal(index_list_crashes(x, &any, &page, collect_json, list), 0);
        assert_int_equal(json_object_array_length(list), 2);
        assert_string_equal(member(list, 0, "id"), "2");
        assert_string_equal(member(list, 1, "attachments"), "2");
        assert_string_equal(member(list, 1, "held"), "false");
        page.max = 1;
        assert_int_equal(index_list_crashes(x, &any, &page, collect_json, list), 0);
        assert_int_equal(json_object_array_length(list), 3);

        assert_int_equal(index_show_crash(x, 1, collect_json, list), 0);
        assert_string_equal(member(list, 3, "git_sha"), "abc");
        struct json_object *shown = json_object_array_get_idx(list, 3);
        struct json_object *attachments = json_object_object_get(shown, "attachments");
        assert_int_equal(json_object_array_length(attachments), 2);
        assert_string_equal(member(attachments, 1, "path"), "crashes/by-hash/cc/" SHA_C ".bin");
        assert_string_equal(
                json_object_to_json_string_ext(json_object_object_get(shown, "context"), JSON_C_TO_STRING_PLAIN),
                "{\"seed\":18446744073709551615}");
        assert_int_equal(index_show_crash(x, 3, collect_json, list), -ENOENT);
        json_object_put(list);

        int64_t ids[4] = { 0 };
        size_t n = 0;
        assert_int_equal(index_find_crashes(x, "aaaa", 4, ids, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(ids[0], 2);
        assert_int_equal(index_find_crashes(x, "aaaa", 1, ids, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(index_find_crashes(x, SHA_A, 4, ids, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(index_find_crashes(x, "ab", 4, ids, &n), 0);
        assert_int_equal(n, 0);
}

static int compare_report(void *userdata, const struct index_crash *crash)
{
        assert_string_equal(crash->metadata->source.install_id, INSTALL_A);
        assert_int_equal(crash->received_at.sec, RECEIVED_1.sec);
        assert_int_equal(crash->received_at.nsec, RECEIVED_1.nsec);
        assert_string_equal(crash->dump.sha256, SHA_A);
        assert_string_equal(crash->dump.content_encoding, "gzip");
        assert_int_equal(crash->n_attachments, 3);
        for (size_t i = 0; i < 3; i++) {
                assert_string_equal(crash->attachments[i].sha256, uses[i].sha256);
                assert_string_equal(crash->attachments[i].key, uses[i].key);
                assert_int_equal(crash->attachments[i].len, uses[i].len);
                assert_int_equal(crash->attachments[i].dedup, uses[i].dedup);
        }
        assert_string_equal(crash->attachments[0].filename, "a.txt");
        assert_null(crash->attachments[1].filename);
        assert_string_equal(crash->attachments[1].content_encoding, "zstd");
        assert_null(crash->attachments[2].content_encoding);
        *(bool *)userdata = true;
        return 7;
}

static void test_report_comes_back(_unused_ void **state)
{
        bool compared = false;
        insert(INSTALL_A, TIME_1, SHA_A, 3);
        assert_int_equal(index_read_crash(x, 1, compare_report, &compared), 7);
        assert_true(compared);
        assert_int_equal(index_read_crash(x, 2, compare_report, &compared), -ENOENT);
}

/* As it does on a full disk, say: nothing is committed then, and a writer that passed over the error is told. */
static void test_sqlite_ends_the_transaction(_unused_ void **state)
{
        assert_int_equal(index_begin(x), 0);
        assert_true(insert_at(INSTALL_A, TIME_1, SHA_A, 0, RECEIVED_1) >= 0);
        assert_int_equal(sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(index_commit(x), -ECANCELED);
        index_rollback(x);
        storage_expect("SELECT count(*) FROM crash", "0");
}

/* A database that may not grow is what a full disk looks like, but that SQLite keeps the transaction. */
static void test_full_is_enospc(_unused_ void **state)
{
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        assert_int_equal(sqlite3_exec(x->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(index_begin(x), 0);
        int r = 0;
        for (unsigned i = 0; r == 0 && i < 100; i++) {
                char timestamp[32];
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:31:00.%03uZ", i);
                r = insert_at(INSTALL_A, timestamp, SHA_A, 3, RECEIVED_1);
        }
        assert_int_equal(r, -ENOSPC);
        index_rollback(x);
        storage_expect("SELECT count(*) FROM crash", "1");
        assert_int_equal(sqlite3_exec(x->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
        insert(INSTALL_A, TIME_2, SHA_A, 0);
}

static off_t wal_bytes(void)
{
        struct stat st;
        return fstatat(storage_fd, "detritus.db-wal", &st, 0) == 0 ? st.st_size : -1;
}

static void grow_wal(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char sql[128];
                snprintf(sql, sizeof(sql), "UPDATE crash SET panic_text = hex(zeroblob(100000 + %u))", i);
                assert_int_equal(sqlite3_exec(x->db, sql, NULL, NULL, NULL), SQLITE_OK);
        }
}

static void test_wal_is_checkpointed(_unused_ void **state)
{
        insert(INSTALL_A, TIME_1, SHA_A, 0);
        assert_int_equal(index_checkpoint_if_due(x), 0);
        grow_wal(25); /* 50 pages each: past 1,000 */
        off_t before = wal_bytes();
        assert_true(before > 1000 * 4096);
        assert_int_equal(index_checkpoint_if_due(x), 0);
        grow_wal(5);
        assert_int_equal(wal_bytes(), before); /* started over */

        sqlite3 *reader;
        char path[192];
        snprintf(path, sizeof(path), "%s/detritus.db", storage_dir);
        assert_int_equal(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT * FROM source", NULL, NULL, NULL), SQLITE_OK);
        grow_wal(100);
        assert_true(wal_bytes() > 16 * 1024 * 1024);
        assert_int_equal(index_checkpoint_if_due(x), 0); /* a reader holds it up: not now, and no wait */
        sqlite3_close(reader);
        grow_wal(25);
        assert_int_equal(index_checkpoint_if_due(x), 0);
        assert_int_equal(wal_bytes(), 0);
}

/* A caller goes on after the last row that it got, and keeps that row's key in the very memory it asked with. */
struct cursor {
        struct index_log_file_key after;
        char day[CLOCK_DAY_SIZE];
        unsigned rows;
};

static int go_on(void *userdata, const struct index_log_file *row)
{
        struct cursor *c = userdata;
        c->after.source_id = row->source_id;
        snprintf(c->day, sizeof(c->day), "%s", row->day);
        c->rows++;
        return 0;
}

static void test_pages_of_log_files(_unused_ void **state)
{
        static const char *const days[] = { "2026-05-18", "2026-05-19" };
        for (unsigned source = 0; source < 5; source++) {
                struct source s = { .project = "acme" };
                snprintf(s.install_id, sizeof(s.install_id), "i%u", source);
                for (size_t day = 0; day < ARRAY_LEN(days); day++)
                        assert_int_equal(storage_log_file(x, &s, "", "", days[day], 1, 1, RECEIVED_1), 0);
        }
        for (int which = 0; which < 3; which++) {
                struct cursor c = { .after.day = c.day };
                unsigned before;
                do {
                        before = c.rows;
                        int r = which == 0   ? index_newest_log_files(x, &c.after, 4, go_on, &c)
                                : which == 1 ? index_plain_log_files(x, &c.after, "9", 4, go_on, &c)
                                             : index_log_files_after(x, &c.after, 4, go_on, &c);
                        assert_int_equal(r, 0);
                } while (c.rows != before);
                assert_int_equal(c.rows, 10);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pages_of_log_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_created_until_adopted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_newer_is_refused_and_left, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unreleased_is_refused_and_left, setup, teardown),
                cmocka_unit_test_setup_teardown(test_strange_database_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_readonly, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
                cmocka_unit_test_setup_teardown(test_names_are_stable, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refs_follow_every_use, setup, teardown),
                cmocka_unit_test_setup_teardown(test_blob_in_use_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(test_same_report_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ids_are_not_used_again, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_rows_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_source_follows_the_newest, setup, teardown),
                cmocka_unit_test_setup_teardown(test_uncounted_lines_stay_so, setup, teardown),
                cmocka_unit_test_setup_teardown(test_expired_crashes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_orphan_blobs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_usage_of_blobs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_usage_of_shared_blobs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_usage_of_log_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_oldest_of_a_project, setup, teardown),
                cmocka_unit_test_setup_teardown(test_expired_log_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_statement_reads_a_table, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reading_a_table_is_seen, setup, teardown),
                cmocka_unit_test_setup_teardown(test_foreign_keys_have_indices, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_dropped_index_is_seen, setup, teardown),
                cmocka_unit_test_setup_teardown(test_titles_of_panics, setup, teardown),
                cmocka_unit_test_setup_teardown(test_views_answer, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lists_for_people, setup, teardown),
                cmocka_unit_test_setup_teardown(test_report_comes_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sqlite_ends_the_transaction, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_is_enospc, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wal_is_checkpointed, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
