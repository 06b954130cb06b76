/* Lists for people: filters, pages, and what is new, on real SQLite. */
#include "storage_fixture.h"

#include <errno.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_internal.h"
#include "storage/index/index_list.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"

static struct index *x;

#define RECEIVED INT64_C(1779179400) /* 2026-05-19T08:30:00Z */

static int setup(void **state)
{
        bool created;
        return storage_setup(state) == 0 && index_open(storage_dir, &x, &created, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

struct row {
        const char *project, *install_id, *platform, *version, *kind, *panic_text;
        int64_t sec; /* received, after RECEIVED */
};

/* Past crash_metadata_parse(), so that every field can be chosen. Within a transaction. */
static void insert_within(const struct row *row)
{
        static unsigned n;
        char hash[65], json[64];
        snprintf(hash, sizeof(hash), "%064x", ++n);
        snprintf(json, sizeof(json), "{}");
        struct crash_metadata m = {
                .platform = row->platform ? row->platform : "linux",
                .version = row->version ? row->version : "1.0",
                .timestamp = { .sec = RECEIVED + n },
                .kind = row->kind ? row->kind : "Minidump",
                .git_sha = "g",
                .profile = "p",
                .target_triple = "t",
                .panic_text = row->panic_text,
                .context = json,
                .json = json,
        };
        snprintf(m.source.project, sizeof(m.source.project), "%s", row->project ? row->project : "acme");
        snprintf(m.source.install_id, sizeof(m.source.install_id), "%s", row->install_id ? row->install_id : INSTALL_A);
        struct index_crash crash = {
                .metadata = &m,
                .received_at = { .sec = RECEIVED + row->sec },
                .dump = { .sha256 = hash, .len = 1 },
        };
        assert_int_equal(index_insert_crash(x, &crash), 0);
}

static void insert(const struct row *row)
{
        assert_int_equal(index_begin(x), 0);
        insert_within(row);
        assert_int_equal(index_commit(x), 0);
}

static char seen[8192];

static int see_id(_unused_ void *userdata, const char *json)
{
        struct json_object *object = json_tokener_parse(json);
        assert_non_null(object);
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof(seen) - used, "%s ", json_object_get_string(json_object_object_get(object, "id")));
        json_object_put(object);
        for (sqlite3_stmt *s = sqlite3_next_stmt(x->db, NULL); s; s = sqlite3_next_stmt(x->db, s))
                assert_false(sqlite3_stmt_busy(s)); /* no snapshot is kept while people read */
        return 0;
}

static struct index_page page;

static void expect_list(const struct index_crash_filter *filter, const struct index_cursor *after, size_t max,
                        const char *ids)
{
        seen[0] = '\0';
        page = (struct index_page){ .after = after ? *after : (struct index_cursor){ "", 0 }, .max = max };
        assert_int_equal(index_list_crashes(x, filter, &page, see_id, NULL), 0);
        assert_string_equal(seen, ids);
}

#define EXPECT(ids, ...) expect_list(&(struct index_crash_filter){ __VA_ARGS__ }, NULL, 0, ids)

static void insert_various(void)
{
        static const struct row rows[] = {
                { .sec = 1, .panic_text = "index out of bounds" },
                { .sec = 2, .install_id = INSTALL_B, .version = "2.0", .panic_text = "unwrap on a None value" },
                { .sec = 3, .project = "other", .platform = "windows" },
                { .sec = 4, .project = "other", .install_id = INSTALL_B, .kind = "PanicTarball", .version = "2.0" },
                { .sec = 0, .platform = "windows", .kind = "RustcIce", .panic_text = "Index Out Of Bounds" },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                insert(&rows[i]);
}

static void test_each_filter(_unused_ void **state)
{
        struct moment at_2 = { .sec = RECEIVED + 2 }, at_4 = { .sec = RECEIVED + 4 };
        insert_various();
        EXPECT("4 3 2 1 5 ", 0);
        EXPECT("2 1 5 ", .project = "acme");
        EXPECT("4 2 ", .install_id = INSTALL_B);
        EXPECT("3 5 ", .platform = "windows");
        EXPECT("4 2 ", .version = "2.0");
        EXPECT("4 ", .kind = "PanicTarball");
        EXPECT("4 3 2 ", .since = &at_2);
        EXPECT("3 2 1 5 ", .until = &at_4);
        EXPECT("3 2 ", .since = &at_2, .until = &at_4);
        expect_list(&(struct index_crash_filter){ .until = &at_4 },
                    &(struct index_cursor){ "2026-05-19T08:30:04.000Z", INT64_MAX }, 0, "3 2 1 5 ");
        EXPECT("1 5 ", .grep = "OUT of");
        EXPECT("", .grep = "no such words");
        EXPECT("", .project = "nobody");
        EXPECT("", .install_id = "' OR 1 --");
}

/* Whichever index it goes along, the other filters count. */
static void test_filters_together(_unused_ void **state)
{
        struct moment at_3 = { .sec = RECEIVED + 3 };
        insert_various();
        EXPECT("4 ", .project = "other", .install_id = INSTALL_B);
        EXPECT("5 ", .project = "acme", .platform = "windows");
        EXPECT("5 ", .kind = "RustcIce", .platform = "windows", .version = "1.0", .install_id = INSTALL_A);
        EXPECT("", .kind = "RustcIce", .project = "other");
        EXPECT("4 ", .version = "2.0", .since = &at_3);
        EXPECT("2 ", .install_id = INSTALL_B, .until = &at_3);
        EXPECT("2 ", .install_id = INSTALL_B, .grep = "unwrap");
        EXPECT("1 ", .project = "acme", .platform = "linux", .grep = "bounds");
}

static int pages_looked_at(void)
{
        int hits, misses, unused;
        sqlite3_db_status(x->db, SQLITE_DBSTATUS_CACHE_HIT, &hits, &unused, 1);
        sqlite3_db_status(x->db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &unused, 1);
        return hits + misses;
}

/* Two filters that each leave half, and nothing together: an index is read, and not the rows. */
static void test_filters_that_never_meet(_unused_ void **state)
{
        enum { ROWS = 400 };
        static char long_text[3000];
        memset(long_text, 'x', sizeof(long_text) - 1);
        assert_int_equal(index_begin(x), 0);
        for (unsigned i = 0; i < ROWS; i++) {
                const struct row odd = { .sec = i,
                                         .project = "other",
                                         .version = "2.0",
                                         .platform = "windows",
                                         .kind = "RustcIce",
                                         .panic_text = long_text };
                const struct row even = { .sec = i, .install_id = INSTALL_B, .panic_text = long_text };
                insert_within(i % 2 ? &odd : &even);
        }
        assert_int_equal(index_commit(x), 0);
        const struct index_crash_filter filters[] = {
                { .version = "1.0", .project = "other" },
                { .version = "1.0", .platform = "windows" },
                { .version = "1.0", .kind = "RustcIce" },
                { .project = "acme", .platform = "windows" },
                { .project = "acme", .kind = "RustcIce" },
                { .platform = "linux", .kind = "RustcIce" },
                { .install_id = INSTALL_B, .project = "other" },
                { .project = "acme", .grep = "no such text" }, /* the control: reads the texts of its half */
        };
        for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
                pages_looked_at();
                expect_list(&filters[i], NULL, 50, "");
                int looked = pages_looked_at();
                if (filters[i].grep)
                        assert_in_range(looked, ROWS / 2, INT_MAX);
                else if (looked > ROWS / 8)
                        fail_msg("filters %zu look at %d pages", i, looked);
        }
}

/* Too many to sort, all of them old: the newer ones of others are passed over in the index. */
static void test_an_installation_of_long_ago(_unused_ void **state)
{
        enum { OLD = 10001, NEWER = 2000 };
        char newest[16];
        assert_int_equal(index_begin(x), 0);
        for (unsigned i = 0; i < OLD + NEWER; i++)
                insert_within(&(struct row){ .sec = i, .install_id = i < OLD ? INSTALL_A : INSTALL_B });
        assert_int_equal(index_commit(x), 0);
        snprintf(newest, sizeof(newest), "%d ", OLD);
        pages_looked_at();
        expect_list(&(struct index_crash_filter){ .install_id = INSTALL_A }, NULL, 1, newest);
        assert_in_range(pages_looked_at(), 1, NEWER / 2);
}

/* Every page by every index: together all, none twice, and ties in time make no difference. */
static void test_pages(_unused_ void **state)
{
        for (unsigned i = 0; i < 20; i++)
                insert(&(struct row){ .sec = i / 7 });
        const struct index_crash_filter filters[] = {
                { 0 },
                { .project = "acme" },
                { .install_id = INSTALL_A },
                { .version = "1.0" },
                { .platform = "linux" },
                { .kind = "Minidump" },
        };
        for (size_t f = 0; f < ARRAY_LEN(filters); f++) {
                char all[512] = "";
                struct index_cursor after = { 0 };
                unsigned pages = 0;
                do {
                        seen[0] = '\0';
                        page = (struct index_page){ .after = after, .max = 6 };
                        assert_int_equal(index_list_crashes(x, &filters[f], &page, see_id, NULL), 0);
                        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s", seen);
                        after = page.end;
                        pages++;
                } while (page.more);
                assert_int_equal(pages, 4);
                assert_int_equal(page.n, 2);
                assert_string_equal(all, "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 ");
                expect_list(&filters[f], NULL, 20, all);
                assert_false(page.more);
        }
}

static int delete_next(_unused_ void *userdata, const char *json)
{
        see_id(NULL, json);
        assert_int_equal(index_delete_crash(x, 5), 0);
        return 0;
}

static void test_deleted_under_the_list(_unused_ void **state)
{
        const struct index_crash_filter any = { 0 };
        insert_various();
        seen[0] = '\0';
        page = (struct index_page){ 0 };
        assert_int_equal(index_list_crashes(x, &any, &page, delete_next, NULL), 0);
        assert_string_equal(seen, "4 3 2 1 ");
        assert_int_equal(page.n, 4);
}

static void test_grep_looks_so_far(_unused_ void **state)
{
        struct index_crash_filter deep = { .grep = "needle", .grep_depth = 10 };
        insert(&(struct row){ .panic_text = "a needle" });
        for (unsigned i = 1; i <= 12; i++)
                insert(&(struct row){ .sec = i, .panic_text = i == 12 ? "the Needle" : "hay" });
        expect_list(&deep, NULL, 0, "13 ");
        assert_true(page.looked_enough);
        assert_int_equal(page.looked, 10);
        assert_int_equal(page.end.id, 4); /* the last one looked at */
        struct index_cursor after = page.end;
        expect_list(&deep, &after, 0, "1 ");
        assert_false(page.looked_enough);
        assert_int_equal(page.looked, 3);

        deep.grep_depth = 13; /* just enough: it may not be the end */
        expect_list(&deep, NULL, 0, "13 1 ");
        assert_true(page.looked_enough);
        deep.grep_depth = 14;
        expect_list(&deep, NULL, 0, "13 1 ");
        assert_false(page.looked_enough);
        expect_list(&deep, NULL, 1, "13 ");
        assert_false(page.looked_enough && page.more);
        deep.grep_depth = 0;
        expect_list(&deep, NULL, 1, "13 ");
        assert_true(page.more);
        after = page.end;
        expect_list(&deep, &after, 1, "1 ");
        assert_false(page.more);
}

static int count_calls(void *userdata, _unused_ const char *json)
{
        ++*(size_t *)userdata;
        return 0;
}

/* More than a batch, and more of one installation than are sorted. */
static void test_long_lists(_unused_ void **state)
{
        insert(&(struct row){ .install_id = INSTALL_B });
        x = index_free(x);
        storage_change(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)"
                "INSERT INTO crash (source_id, dump_id, dump_sha256, kind, crashed_at, received_at, platform, version,"
                " git_sha, profile, target_triple, context, metadata, dedup, source_project)"
                " SELECT source_id, dump_id, dump_sha256, kind, strftime('%Y-%m-%dT%H:%M:%S', '2026-06-01', i || ' "
                "seconds')"
                " || '.000000000Z', received_at, platform, version, git_sha, profile, target_triple, context,"
                " metadata, 1, source_project FROM crash, n");
        bool created;
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        insert(&(struct row){ .sec = 9 });
        const struct index_crash_filter hot = { .install_id = INSTALL_B };
        expect_list(&hot, NULL, 3, "10501 10500 10499 ");
        struct index_cursor after = page.end;
        expect_list(&hot, &after, 2, "10498 10497 ");
        const struct index_crash_filter any = { 0 };
        size_t n = 0;
        page = (struct index_page){ 0 };
        assert_int_equal(index_list_crashes(x, &any, &page, count_calls, &n), 0);
        assert_int_equal(n, 10502);
        n = 0;
        page = (struct index_page){ .max = 255 };
        assert_int_equal(index_list_crashes(x, &hot, &page, count_calls, &n), 0);
        assert_int_equal(n, 255);
        assert_true(page.more);
}

static void test_new_crashes(_unused_ void **state)
{
        struct index_crash_filter any = { 0 }, other = { .project = "other" }, panic = { .grep = "BOUNDS" };
        int64_t id = 0, version = 0, later = 0;
        assert_int_equal(index_newest_crash(x, &id), 0);
        assert_int_equal(id, 0);
        insert_various();
        assert_int_equal(index_newest_crash(x, &id), 0);
        assert_int_equal(id, 5);

        struct index *reader;
        assert_int_equal(index_open_readonly(storage_dir, &reader, NULL), 0);
        assert_int_equal(index_data_version(reader, &version), 0);
        assert_int_equal(index_data_version(reader, &later), 0);
        assert_int_equal(version, later);
        insert_various();
        assert_int_equal(index_data_version(reader, &later), 0);
        assert_true(version != later);
        index_free(reader);

        seen[0] = '\0';
        assert_int_equal(index_new_crashes(x, &any, &id, see_id, NULL), 0);
        assert_string_equal(seen, "6 7 8 9 10 ");
        assert_int_equal(id, 10);
        seen[0] = '\0';
        assert_int_equal(index_new_crashes(x, &any, &id, see_id, NULL), 0);
        assert_string_equal(seen, "");
        id = 5;
        assert_int_equal(index_new_crashes(x, &other, &id, see_id, NULL), 0);
        assert_string_equal(seen, "8 9 ");
        assert_int_equal(id, 10); /* what did not fit is not looked at again */
        id = 5;
        seen[0] = '\0';
        assert_int_equal(index_new_crashes(x, &panic, &id, see_id, NULL), 0);
        assert_string_equal(seen, "6 10 ");
}

static void expect_sources(const char *project, const struct index_cursor *after, size_t max, const char *ids)
{
        seen[0] = '\0';
        page = (struct index_page){ .after = after ? *after : (struct index_cursor){ "", 0 }, .max = max };
        assert_int_equal(index_list_sources(x, project, &page, see_id, NULL), 0);
        assert_string_equal(seen, ids);
}

static void test_sources(_unused_ void **state)
{
        insert_various(); /* acme/A 1, acme/B 2, other/A 3, other/B 4 */
        expect_sources(NULL, NULL, 0, "4 3 2 1 ");
        expect_sources("acme", NULL, 0, "2 1 ");
        expect_sources("nobody", NULL, 0, "");
        expect_sources(NULL, NULL, 3, "4 3 2 ");
        assert_true(page.more);
        struct index_cursor after = page.end;
        expect_sources(NULL, &after, 3, "1 ");
        assert_false(page.more);

        int64_t ids[4];
        size_t n;
        assert_int_equal(index_find_sources(x, NULL, INSTALL_B, 4, ids, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(index_find_sources(x, "other", INSTALL_B, 4, ids, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(ids[0], 4);
        assert_int_equal(index_find_sources(x, NULL, "x", 4, ids, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(index_show_source(x, 4, see_id, NULL), 0);
        assert_int_equal(index_show_source(x, 5, see_id, NULL), -ENOENT);
}

static void test_sources_know_their_crashes(_unused_ void **state)
{
        insert_various();
        storage_expect("SELECT group_concat(crashes) FROM source", "2,1,1,1");
        assert_int_equal(index_delete_crash(x, 1), 0);
        storage_expect("SELECT group_concat(crashes) FROM source", "1,1,1,1");
        x = index_free(x);
        storage_change("UPDATE crash SET source_id = 2 WHERE id = 5");
        storage_expect("SELECT group_concat(crashes) FROM source", "0,2,1,1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_each_filter, setup, teardown),
                cmocka_unit_test_setup_teardown(test_filters_together, setup, teardown),
                cmocka_unit_test_setup_teardown(test_filters_that_never_meet, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_installation_of_long_ago, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
                cmocka_unit_test_setup_teardown(test_deleted_under_the_list, setup, teardown),
                cmocka_unit_test_setup_teardown(test_grep_looks_so_far, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_lists, setup, teardown),
                cmocka_unit_test_setup_teardown(test_new_crashes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sources, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sources_know_their_crashes, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
