/* Each kind of damage is found, and repaired or left as repair.h says, without a daemon. A second look finds no more
 * than what cannot be repaired. */
#include "upkeep_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_read.h"
#include "storage/store/offline.h"
#include "upkeep/repair.h"

#define DAY "2026-05-19"

static struct offline *o;
static struct repair noted;
static unsigned n_outcomes;
static enum repair_outcome last_outcome;
static enum verify_kind last_kind;
static char last_how[256];

static void open_here(void)
{
        struct error err = { "" };
        if (offline_open(storage_dir, OFFLINE_INDEX, &o, &err) < 0)
                fail_msg("%s", err.text);
}

static int setup(void **state)
{
        if (storage_setup(state) < 0)
                return -1;
        noted = (struct repair){ 0 };
        upkeep_put_crash("", TIME_1, "one");
        upkeep_put_log("", DAY, "{}\n{}\n");
        open_here();
        return 0;
}

static int teardown(void **state)
{
        repair_done(&noted);
        offline_close(TAKE_PTR(o), false);
        return storage_teardown(state);
}

static uint64_t findings(void)
{
        struct verify_counts counts;
        const struct verify_config config = { .deep = true, .held = true, .finding = repair_note, .userdata = &noted };
        repair_done(&noted);
        assert_int_equal(verify_data_dir(o->dir.fd, o->index, &config, &counts), 0);
        return counts.findings;
}

static void note(_unused_ void *userdata, const struct verify_finding *finding, enum repair_outcome outcome,
                 const char *how)
{
        assert_true(repair_knows(finding));
        n_outcomes++;
        last_outcome = outcome;
        last_kind = finding->kind;
        snprintf(last_how, sizeof(last_how), "%s", how);
}

static void repair_one(enum verify_kind kind, enum repair_outcome outcome, const char *how)
{
        assert_int_equal(findings(), 1);
        n_outcomes = 0;
        repair_run(&noted, o->dir.fd, o->index, false, note, NULL);
        assert_int_equal(n_outcomes, 1);
        assert_string_equal(verify_kind_name(last_kind), verify_kind_name(kind));
        if (last_outcome != outcome || !strstr(last_how, how))
                fail_msg("%s: %s", repair_outcome_name(last_outcome), last_how);
        uint64_t left = outcome == REPAIR_MENDED ? 0 : 1;
        assert_int_equal(findings(), left);
}

/* By a hand, while the index is closed. */
static void change(const char *sql)
{
        assert_int_equal(offline_close(TAKE_PTR(o), true), 0);
        storage_change(sql);
        open_here();
}

static void test_all_is_well(_unused_ void **state)
{
        assert_int_equal(findings(), 0);
}

static void test_counts(_unused_ void **state)
{
        change("UPDATE blob SET refs = 7");
        repair_one(VERIFY_COUNT, REPAIR_MENDED, "counted again");
        storage_expect("SELECT refs FROM blob", "1");
}

static void test_json_files(_unused_ void **state)
{
        char path[512];
        _cleanup_(freep) char *text = storage_text(upkeep_mirror("", TIME_1, "one", path));
        upkeep_remove(path);
        repair_one(VERIFY_MIRROR_MISSING, REPAIR_MENDED, "written from its row");
        upkeep_expect_text(path, text);
        storage_put(path, "{\"dump\":{}}");
        repair_one(VERIFY_MIRROR_DIFFERENT, REPAIR_MENDED, "written from its row");
        upkeep_expect_text(path, text);
}

/* Another layout, as detritus-server writes it, is no difference. */
static void test_layout_does_not_matter(_unused_ void **state)
{
        char path[512], spaced[8192];
        _cleanup_(freep) char *text = storage_text(upkeep_mirror("", TIME_1, "one", path));
        assert_int_equal(text[0], '{');
        snprintf(spaced, sizeof(spaced), "{ \n\t%s", text + 1);
        storage_put(path, spaced);
        assert_int_equal(findings(), 0);
}

static void test_a_json_file_without_a_row(_unused_ void **state)
{
        char path[512];
        upkeep_put_crash("", TIME_2, "one"); /* of a blob that is known */
        repair_one(VERIFY_MIRROR_EXTRA, REPAIR_MENDED, "indexed again");
        storage_expect("SELECT count(*) FROM crash", "2");
        upkeep_put_crash("", "2020-01-01T00:00:00Z", "gone");
        upkeep_remove(upkeep_blob("", "gone", path));
        repair_one(VERIFY_MIRROR_EXTRA, REPAIR_LEFT, "its blobs are not there");
}

static void test_blobs(_unused_ void **state)
{
        char path[512], orphan[512];
        upkeep_put_crash("", TIME_2, "orphan");
        upkeep_remove(upkeep_mirror("", TIME_2, "orphan", path));
        repair_one(VERIFY_BLOB_ORPHAN, REPAIR_MENDED, "retention collects it");
        storage_expect("SELECT group_concat(refs) FROM (SELECT refs FROM blob ORDER BY refs)", "0,1");
        assert_true(storage_exists(upkeep_blob("", "orphan", orphan)));
        upkeep_remove(upkeep_blob("", "one", path));
        repair_one(VERIFY_BLOB_MISSING, REPAIR_LEFT, "only a backup");
}

/* Of the right length, and not: what is corrupt is set aside, and what is there now is missing. */
static void test_corrupt_blobs_are_set_aside(_unused_ void **state)
{
        char path[512], sha256[BLOB_HEX_SIZE], aside[128];
        storage_put(upkeep_blob("", "one", path), "0ne");
        repair_one(VERIFY_BLOB_CORRUPT, REPAIR_ASIDE, "moved to corrupt/");
        assert_false(storage_exists(path));
        snprintf(aside, sizeof(aside), "corrupt/%s.bin", storage_hash("one", sha256));
        upkeep_expect_text(aside, "0ne");
        storage_put(path, "longer");
        repair_one(VERIFY_BLOB_LENGTH, REPAIR_ASIDE, "moved to corrupt/");
        upkeep_expect_text(aside, "0ne");
        snprintf(aside + strlen(aside), 4, ".1");
        upkeep_expect_text(aside, "longer");
}

static void test_rows_of_log_files(_unused_ void **state)
{
        char path[512];
        upkeep_put_log("", DAY, "{}\n{}\n{}\n");
        repair_one(VERIFY_LOG_SIZE, REPAIR_MENDED, "its row is corrected");
        storage_expect("SELECT bytes FROM log_file", "9");
        upkeep_put_log("", DAY, "{}\n");
        repair_one(VERIFY_LOG_SIZE, REPAIR_MENDED, "its row is corrected");
        storage_expect("SELECT bytes FROM log_file", "3");
        upkeep_remove(upkeep_log("", DAY, "", path));
        repair_one(VERIFY_LOG_MISSING, REPAIR_MENDED, "its row is removed");
        storage_expect("SELECT count(*) FROM log_file", "0");
        upkeep_put_log("", DAY, "{}\n");
        repair_one(VERIFY_LOG_UNKNOWN, REPAIR_MENDED, "it has a row now");
        storage_expect("SELECT bytes FROM log_file", "3");
}

static void test_compressed_log_files(_unused_ void **state)
{
        char path[512];
        upkeep_pack_log("", DAY, "{}\n{}\n");
        upkeep_remove(upkeep_log("", DAY, "", path));
        repair_one(VERIFY_LOG_SIZE, REPAIR_MENDED, "its row is corrected");
        storage_expect("SELECT compressed FROM log_file", "1");
        change("UPDATE log_file SET bytes = 1");
        repair_one(VERIFY_LOG_SIZE, REPAIR_MENDED, "its row is corrected");
        upkeep_put_log("", DAY, "{}\n");
        upkeep_remove(upkeep_log("", DAY, ".zst", path));
        repair_one(VERIFY_LOG_MISSING, REPAIR_MENDED, "says what is there");
        storage_expect("SELECT compressed || ' ' || bytes FROM log_file", "0 3");
}

static void test_torn_ends(_unused_ void **state)
{
        char path[512];
        upkeep_put_log("", DAY, "{}\n{\"t");
        change("UPDATE log_file SET bytes = 6"); /* the size is as it should be */
        repair_one(VERIFY_LOG_TORN, REPAIR_MENDED, "its end was moved to");
        upkeep_expect_text(upkeep_log("", DAY, "", path), "{}\n");
        upkeep_expect_text(upkeep_log("", DAY, ".torn", path), "{\"t");
}

static void test_damaged_lines_are_left(_unused_ void **state)
{
        upkeep_put_log("", DAY, "{}\n{]\n");
        repair_one(VERIFY_LOG_DAMAGED, REPAIR_LEFT, "left as it is");
}

/* A path from outside is never touched. */
static void test_foreign_paths_are_not_known(_unused_ void **state)
{
        static const struct verify_finding foreign[] = {
                { .kind = VERIFY_BLOB_CORRUPT, .what = "crashes/by-hash/../../etc/passwd" },
                { .kind = VERIFY_BLOB_ORPHAN, .what = "lock" },
                { .kind = VERIFY_LOG_TORN, .what = "logs/../x/2026-05-19.ndjson" },
                { .kind = VERIFY_MIRROR_EXTRA, .what = "crashes/by-source/a/b/../c.json" },
                { .kind = VERIFY_MIRROR_MISSING, .what = "x", .id = 0 },
        };
        for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
                assert_false(repair_knows(&foreign[i]));
}

static void test_names(_unused_ void **state)
{
        enum repair_outcome outcome;
        for (unsigned i = 0; i < REPAIR_OUTCOMES_; i++) {
                assert_true(repair_outcome_parse(repair_outcome_name(i), &outcome));
                assert_int_equal(outcome, i);
        }
        assert_false(repair_outcome_parse("healed", &outcome));
        assert_false(repair_outcome_parse(NULL, &outcome));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_all_is_well),
                TEST(test_counts),
                TEST(test_json_files),
                TEST(test_layout_does_not_matter),
                TEST(test_a_json_file_without_a_row),
                TEST(test_blobs),
                TEST(test_corrupt_blobs_are_set_aside),
                TEST(test_rows_of_log_files),
                TEST(test_compressed_log_files),
                TEST(test_torn_ends),
                TEST(test_damaged_lines_are_left),
                TEST(test_foreign_paths_are_not_known),
                TEST(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
