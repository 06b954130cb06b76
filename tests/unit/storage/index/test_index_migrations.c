/* Later migrations, with a table of migrations of its own: sql/0001_index.sql and the files of later/. */
#include "storage_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_write.h"
#include "storage/index/migrations.h"

#define FIRST "8" /* user_version of a database of the first migration alone */
#define NEWEST "10"

static struct index *x;
static bool created;

static int teardown(void **state)
{
        x = index_free(x);
        return storage_teardown(state);
}

/* As a detritus left it that knew the first migration alone, with a crash. */
static void make_first(void)
{
        storage_put("detritus.db", "");
        storage_change(migrations[0]);
        storage_change("PRAGMA journal_mode = WAL; PRAGMA application_id = 1685353076; PRAGMA user_version = " FIRST ";"
                       "INSERT INTO source (id, project, install_id, platform, version, first_seen_at, last_seen_at)"
                       " VALUES (1, 'acme', 'i', '', '', '2026-05-19T08:30:00.000Z', '2026-05-19T08:30:00.000Z');"
                       "INSERT INTO log_file (source_id, day, bytes, lines, source_project)"
                       " VALUES (1, '2026-05-19', 5, 1, 'acme')");
}

static void test_new_database_runs_all(_unused_ void **state)
{
        assert_int_equal(migrations_count, 3);
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        assert_true(created);
        storage_expect("PRAGMA user_version", NEWEST);
        storage_expect("SELECT count(*) FROM pragma_table_info('source') WHERE name = 'note'", "1");
        storage_expect("SELECT count(*) FROM later", "0");
}

static void test_older_database_runs_the_rest(_unused_ void **state)
{
        make_first();
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        assert_false(created);
        storage_expect("PRAGMA user_version", NEWEST);
        storage_expect("SELECT project || ' ' || note FROM source", "acme changed");
        storage_expect("SELECT bytes FROM log_file", "5"); /* what refers to a table that is made again stays */
        storage_expect("SELECT count(*) FROM pragma_foreign_key_check", "0");
        /* from then on foreign keys are looked at */
        assert_int_equal(index_begin(x), 0);
        assert_int_equal(index_correct_log_file(x, 1, "2026-05-19", 6, 1), 0);
        assert_int_equal(index_commit(x), 0);
        x = index_free(x);
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        storage_expect("SELECT bytes || ' ' || lines FROM log_file", "6 2");
}

static void test_failed_migration_is_undone_alone(_unused_ void **state)
{
        struct error err;
        make_first();
        storage_change("CREATE TABLE later (b INTEGER)");
        assert_true(index_open(storage_dir, &x, &created, &err) < 0);
        assert_non_null(strstr(err.text, "migration 3"));
        storage_expect("PRAGMA user_version", "9"); /* the one before it ran */
        storage_expect("SELECT note FROM source", "kept");
        storage_change("DROP TABLE later");
        assert_int_equal(index_open(storage_dir, &x, &created, NULL), 0);
        storage_expect("PRAGMA user_version", NEWEST);
}

static void test_readers_ask_for_the_daemon(_unused_ void **state)
{
        struct error err;
        make_first();
        assert_int_equal(index_open_readonly(storage_dir, &x, &err), -EINVAL);
        assert_non_null(strstr(err.text, "start detritusd once to bring it to " NEWEST));
        storage_expect("PRAGMA user_version", FIRST);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_new_database_runs_all, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_older_database_runs_the_rest, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_migration_is_undone_alone, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_readers_ask_for_the_daemon, storage_setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
