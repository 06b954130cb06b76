/* The disk governor over a file system that says what a test wants. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/space/space.h"
#include "storage/space/space_forecast.h"
#include "storage/space/space_reserve.h"
#include "util/log.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SEC_NS UINT64_C(1000000000)
#define FULL_PAUSE_NS (2 * SEC_NS)

static struct {
        uint64_t size, avail, now_ns;
        uint64_t late_bytes; /* written by somebody between the count and the look */
        bool broken;
} disk;
static struct space *space;
static struct metrics *metrics;
static char directory[64];
static int directory_fd;

int __wrap_fstatvfs64(int fd, struct statvfs *ret);
uint64_t __wrap_clock_monotonic_ns(void);

int __wrap_fstatvfs64(_unused_ int fd, struct statvfs *ret)
{
        if (disk.broken) {
                errno = EIO;
                return -1;
        }
        *ret = (struct statvfs){ .f_frsize = 4, .f_blocks = disk.size / 4, .f_bavail = disk.avail / 4 };
        uint64_t promised = 0;
        if (disk.late_bytes > 0) {
                struct refusal r = { 0 };
                assert_int_equal(space_promise(space, SPACE_LOGS, disk.late_bytes, &promised, &r), 0);
                space_spend(space, disk.late_bytes, &promised);
        }
        return 0;
}

uint64_t __wrap_clock_monotonic_ns(void)
{
        return disk.now_ns;
}

static int setup(_unused_ void **state)
{
        log_setup(LOG_FORMAT_PRETTY, LOG_LEVEL_ERROR + 1);
        snprintf(directory, sizeof(directory), "/tmp/detritus-space-XXXXXX");
        if (!mkdtemp(directory))
                return -1;
        directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        metrics = metrics_new();
        memset(&disk, 0, sizeof(disk));
        disk.now_ns = 1000 * SEC_NS;
        return directory_fd < 0 ? -1 : 0;
}

static int teardown(_unused_ void **state)
{
        space = space_free(space);
        metrics = metrics_free(metrics);
        unlinkat(directory_fd, "reserve", 0);
        close(directory_fd);
        return rmdir(directory);
}

static void open_space(uint64_t size, uint64_t avail, uint64_t reserve_uploads, uint64_t reserve_logs)
{
        const struct space_config config = {
                .datadir_fd = directory_fd,
                .metrics = metrics,
                .full_pause_ns = FULL_PAUSE_NS,
                .reserve_bytes = { [SPACE_UPLOADS] = reserve_uploads, [SPACE_LOGS] = reserve_logs },
        };
        disk.size = size;
        disk.avail = avail;
        assert_int_equal(space_new(&config, &space), 0);
}

static void look(uint64_t avail)
{
        disk.avail = avail;
        disk.now_ns += SEC_NS / 4;
        space_look(space);
}

static bool takes(enum space_kind kind, uint64_t bytes)
{
        struct refusal r = { 0 };
        int e = space_check(space, kind, bytes, &r);
        assert_true(e == 0 || e == ANSWER_UNAVAILABLE);
        assert_true(e == 0 || r.retry_after_ms > 0);
        return e == 0;
}

static uint64_t reserve_bytes_on_disk(void)
{
        struct stat st;
        assert_int_equal(fstatat(directory_fd, "reserve", &st, 0), 0);
        return (uint64_t)st.st_blocks * 512;
}

/* ---- reserves ---- */

static void expect_reserve(enum space_kind kind, uint64_t bytes)
{
        look(bytes);
        look(bytes * 2);
        look(bytes);
        assert_true(takes(kind, 0));
        look(bytes - 4);
        assert_false(takes(kind, 0));
        look(bytes * 2);
}

static void test_default_reserves(_unused_ void **state)
{
        open_space(GIB, GIB, 0, 0);
        expect_reserve(SPACE_UPLOADS, (GIB / 20 + 3) / 4 * 4);
        expect_reserve(SPACE_LOGS, (GIB / 50 + 3) / 4 * 4);
}

static void test_default_reserves_have_a_top(_unused_ void **state)
{
        open_space(1000 * GIB, 500 * GIB, 0, 0);
        expect_reserve(SPACE_UPLOADS, GIB);
        expect_reserve(SPACE_LOGS, 256 * MIB);
}

static void test_hysteresis(_unused_ void **state)
{
        open_space(GIB, GIB, 1000, 400);
        look(1000);
        assert_true(takes(SPACE_UPLOADS, 0)); /* N */
        look(996);
        assert_false(takes(SPACE_UPLOADS, 0)); /* N + 1 */
        assert_true(takes(SPACE_LOGS, 0));
        look(1248);
        assert_false(takes(SPACE_UPLOADS, 0));
        assert_int_equal(metrics_gauge_get(metrics, METRICS_DISK_REFUSING_UPLOADS), 1);
        look(1252);
        assert_true(takes(SPACE_UPLOADS, 0));
        assert_int_equal(metrics_gauge_get(metrics, METRICS_DISK_REFUSING_UPLOADS), 0);
        look(1000);
        assert_true(takes(SPACE_UPLOADS, 0));
        look(396);
        assert_false(takes(SPACE_LOGS, 0));
        look(500);
        assert_true(takes(SPACE_LOGS, 0));
        assert_false(takes(SPACE_UPLOADS, 0));
}

static void test_a_request_that_is_too_much_alone(_unused_ void **state)
{
        open_space(GIB, 5000, 1000, 400);
        assert_true(takes(SPACE_UPLOADS, 4000));  /* N */
        assert_false(takes(SPACE_UPLOADS, 4001)); /* N + 1 */
        assert_true(takes(SPACE_UPLOADS, 4000));  /* and nobody else suffers */
        assert_int_equal(metrics_gauge_get(metrics, METRICS_DISK_REFUSING_UPLOADS), 0);
}

static void test_words(_unused_ void **state)
{
        struct refusal r = { 0 };
        open_space(GIB, 900, 1000, 400);
        assert_int_equal(space_check(space, SPACE_UPLOADS, 0, &r), ANSWER_UNAVAILABLE);
        assert_string_equal(r.message,
                            "the server's disk reserve for uploads is reached: 900 bytes free, 1000 must stay "
                            "free");
        assert_int_equal(space_check_health(space, &r), 0);
        look(392);
        assert_int_equal(space_check_health(space, &r), ANSWER_UNAVAILABLE);
        assert_non_null(strstr(r.message, "disk reserve for logs is reached: 392 bytes free"));
        look(0);
        assert_int_equal(space_check(space, SPACE_LOGS, 5, &r), ANSWER_UNAVAILABLE);
        assert_non_null(strstr(r.message, ": 0 bytes free"));
}

/* ---- promises ---- */

static void test_promises_count(_unused_ void **state)
{
        struct refusal r = { 0 };
        uint64_t mine = 0, other = 0;
        open_space(GIB, 5000, 1000, 400);
        assert_int_equal(space_promise(space, SPACE_UPLOADS, 3000, &mine, &r), 0);
        assert_int_equal(mine, 3000);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_DISK_IN_FLIGHT_BYTES), 3000);
        assert_int_equal(space_promise(space, SPACE_UPLOADS, 1001, &other, &r), ANSWER_UNAVAILABLE);
        assert_int_equal(other, 0);
        assert_int_equal(space_promise(space, SPACE_UPLOADS, 1000, &other, &r), 0);
        assert_true(takes(SPACE_LOGS, 600)); /* the other reserve */
        assert_false(takes(SPACE_LOGS, 601));

        space_spend(space, 2000, &mine); /* written: not free until a look finds it so */
        assert_int_equal(mine, 1000);
        assert_false(takes(SPACE_UPLOADS, 1));
        space_give_back(space, &mine);
        assert_true(takes(SPACE_UPLOADS, 1000));
        assert_false(takes(SPACE_UPLOADS, 1001));
        space_give_back(space, &other);
        space_give_back(space, &other);
        assert_true(takes(SPACE_UPLOADS, 2000));
        assert_false(takes(SPACE_UPLOADS, 2001));
        assert_int_equal(metrics_gauge_get(metrics, METRICS_DISK_IN_FLIGHT_BYTES), 0);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_DISK_REFUSING_UPLOADS), 0);
}

static void test_a_look_replaces_what_was_written(_unused_ void **state)
{
        struct refusal r = { 0 };
        uint64_t mine = 0;
        open_space(GIB, 5000, 1000, 400);
        assert_int_equal(space_promise(space, SPACE_UPLOADS, 3000, &mine, &r), 0);
        space_spend(space, 2000, &mine);
        look(3000); /* as expected: 5000 - 2000 */
        assert_true(takes(SPACE_UPLOADS, 1000));
        assert_false(takes(SPACE_UPLOADS, 1001));
        look(3400); /* what was written was compressed */
        assert_true(takes(SPACE_UPLOADS, 1400));
        assert_false(takes(SPACE_UPLOADS, 1401));
        space_give_back(space, &mine);
        assert_true(takes(SPACE_UPLOADS, 2400));
        assert_false(takes(SPACE_UPLOADS, 2401));
}

static void test_what_is_deleted_unused_is_free_at_once(_unused_ void **state)
{
        struct refusal r = { 0 };
        uint64_t mine = 0;
        open_space(GIB, 5000, 1000, 400);
        for (int looks = 0; looks < 2; looks++) {
                assert_int_equal(space_promise(space, SPACE_UPLOADS, 4000, &mine, &r), 0);
                space_spend(space, 4000, &mine);
                if (looks)
                        look(1000); /* finds it written */
                assert_false(takes(SPACE_UPLOADS, 1));
                space_unspend(space, 4000);
                assert_true(takes(SPACE_UPLOADS, 4000));
                assert_false(takes(SPACE_UPLOADS, 4001));
                look(5000); /* and gone */
                assert_true(takes(SPACE_UPLOADS, 4000));
                assert_false(takes(SPACE_UPLOADS, 4001));
        }
}

/* A look between the two finds too little. */
static void test_a_look_beside_a_deletion(_unused_ void **state)
{
        struct refusal r = { 0 };
        uint64_t mine = 0;
        open_space(GIB, 5000, 1000, 400);
        assert_int_equal(space_promise(space, SPACE_UPLOADS, 4000, &mine, &r), 0);
        space_spend(space, 4000, &mine);
        space_unspend(space, 4000);
        look(1000);
        assert_false(takes(SPACE_UPLOADS, 1));
        look(5000);
        assert_true(takes(SPACE_UPLOADS, 4000));
        assert_false(takes(SPACE_UPLOADS, 4001));
}

/* Counted twice, until the next look; never not at all. */
static void test_a_write_beside_a_look(_unused_ void **state)
{
        open_space(GIB, 5000, 1000, 400);
        disk.late_bytes = 500;
        look(4500);
        disk.late_bytes = 0;
        assert_true(takes(SPACE_UPLOADS, 3000));
        assert_false(takes(SPACE_UPLOADS, 3001));
        look(4500);
        assert_true(takes(SPACE_UPLOADS, 3500));
        assert_false(takes(SPACE_UPLOADS, 3501));
}

static void test_refusals_are_counted(_unused_ void **state)
{
        struct buf text = { 0 };
        open_space(GIB, 900, 1000, 400);
        takes(SPACE_UPLOADS, 0);
        takes(SPACE_UPLOADS, 0);
        takes(SPACE_LOGS, 501);
        takes(SPACE_LOGS, 500);
        assert_int_equal(metrics_render(metrics, &text), 0);
        _cleanup_(freep) char *shown = buf_take_str(&text);
        assert_non_null(strstr(shown, "\ndetritus_disk_refusals_total{kind=\"uploads\"} 2\n"));
        assert_non_null(strstr(shown, "\ndetritus_disk_refusals_total{kind=\"logs\"} 1\n"));
        assert_non_null(strstr(shown, "\ndetritus_disk_refusing{kind=\"uploads\"} 1\n"));
        assert_non_null(strstr(shown, "\ndetritus_disk_refusing{kind=\"logs\"} 0\n"));
        assert_non_null(strstr(shown, "\ndetritus_disk_free_bytes 900\n"));
        assert_non_null(strstr(shown, "\ndetritus_disk_size_bytes 1073741824\n"));
        assert_non_null(strstr(shown, "\ndetritus_disk_forecast_days 0.000\n"));
}

/* ---- a full disk ---- */

static void test_full_is_full_for_a_while(_unused_ void **state)
{
        struct refusal r = { 0 };
        open_space(GIB, GIB, 1000, 400);
        space_saw_full(space);
        assert_false(takes(SPACE_UPLOADS, 0));
        assert_false(takes(SPACE_LOGS, 0));
        assert_int_equal(space_check_health(space, &r), ANSWER_UNAVAILABLE);
        assert_non_null(strstr(r.message, "disk is full"));
        disk.now_ns += FULL_PAUSE_NS;
        assert_false(takes(SPACE_LOGS, 0)); /* only a look ends it */
        disk.now_ns -= SEC_NS / 4 + 1;      /* look() adds the quarter */
        look(GIB);
        assert_false(takes(SPACE_LOGS, 0));
        disk.now_ns -= SEC_NS / 4 - 1;
        look(GIB);
        assert_true(takes(SPACE_LOGS, 0));
        assert_true(takes(SPACE_UPLOADS, 0));
        space_saw_full(NULL);
        assert_false(space_give_up_reserve(NULL));
}

static void test_full_again_begins_anew(_unused_ void **state)
{
        open_space(GIB, GIB, 1000, 400);
        space_saw_full(space);
        disk.now_ns += FULL_PAUSE_NS - 1;
        space_saw_full(space);
        look(GIB);
        assert_false(takes(SPACE_LOGS, 0));
        disk.now_ns += FULL_PAUSE_NS;
        look(300); /* there is no space after all */
        assert_false(takes(SPACE_LOGS, 0));
        look(500);
        assert_true(takes(SPACE_LOGS, 0));
}

static void test_a_look_that_fails_changes_nothing(_unused_ void **state)
{
        const struct space_config config = { .datadir_fd = directory_fd, .metrics = metrics };
        struct space *other;
        open_space(GIB, 5000, 1000, 400);
        disk.broken = true;
        look(0);
        assert_true(takes(SPACE_UPLOADS, 4000));
        assert_int_equal(space_new(&config, &other), -EIO);
}

/* ---- the reserve file ---- */

static void give_up_all(void)
{
        for (int i = 0; i < SPACE_RESERVE_PORTIONS; i++) {
                uint64_t before = reserve_bytes_on_disk();
                assert_true(space_give_up_reserve(space));
                assert_true(reserve_bytes_on_disk() < before);
        }
        assert_int_equal(reserve_bytes_on_disk(), 0);
        assert_false(space_give_up_reserve(space));
}

static void test_reserve_file_is_kept(_unused_ void **state)
{
        open_space(GIB, GIB, 0, 0);
        assert_int_equal(reserve_bytes_on_disk(), SPACE_RESERVE_MAX_BYTES);
        give_up_all();
        uint64_t enough = GIB / 20 + GIB / 20 / 4 + SPACE_RESERVE_MAX_BYTES;
        look(enough - 8);
        assert_int_equal(reserve_bytes_on_disk(), 0);
        look(enough + 8);
        assert_int_equal(reserve_bytes_on_disk(), SPACE_RESERVE_MAX_BYTES);

        space = space_free(space); /* it outlives the daemon */
        open_space(GIB, GIB / 2, 0, 0);
        assert_true(space_give_up_reserve(space));
        uint64_t rest = reserve_bytes_on_disk();
        space = space_free(space);
        open_space(GIB, SPACE_RESERVE_MAX_BYTES, 0, 0); /* enough to start, too little to make it whole */
        assert_int_equal(reserve_bytes_on_disk(), rest);
        look(GIB);
        assert_int_equal(reserve_bytes_on_disk(), SPACE_RESERVE_MAX_BYTES);
}

static void test_reserve_file_of_a_small_disk(_unused_ void **state)
{
        open_space(64 * MIB, 64 * MIB, 0, 0);
        assert_int_equal(reserve_bytes_on_disk(), MIB);
}

static void test_a_start_on_a_full_disk_has_the_reserve(_unused_ void **state)
{
        open_space(64 * MIB, 64 * MIB, 0, 0);
        space = space_free(space);
        open_space(64 * MIB, MIB, 0, 0);
        assert_int_equal(reserve_bytes_on_disk(), MIB); /* N: enough is free */
        space = space_free(space);
        open_space(64 * MIB, MIB - 4, 0, 0);
        assert_in_range(reserve_bytes_on_disk(), 1, MIB / SPACE_RESERVE_PORTIONS);
        assert_true(space_give_up_reserve(space)); /* and a deletion has the last portion */
        assert_int_equal(reserve_bytes_on_disk(), 0);
}

static void test_no_reserve_file_while_full(_unused_ void **state)
{
        open_space(64 * MIB, 64 * MIB, 0, 0);
        space_saw_full(space);
        give_up_all();
        look(64 * MIB);
        assert_int_equal(reserve_bytes_on_disk(), 0);
        disk.now_ns += FULL_PAUSE_NS;
        look(64 * MIB);
        assert_int_equal(reserve_bytes_on_disk(), MIB);
}

/* ---- forecast ---- */

#define HOUR_NS (3600 * SEC_NS)
#define DISK INT64_C(100000000000)
#define NEVER (SPACE_FORECAST_MAX_DAYS * UINT64_C(1000))

static void test_forecast_of_steady_growth(_unused_ void **state)
{
        struct space_forecast f = { 0 };
        assert_int_equal(space_forecast_millidays(&f, 1000, DISK), NEVER);
        assert_int_equal(space_forecast_millidays(&f, 0, DISK), 0);
        assert_int_equal(space_forecast_millidays(&f, -5, DISK), 0);
        for (unsigned i = 0; i < 24 * 60; i++)
                space_forecast_note(&f, 60 * 1000, HOUR_NS / 60); /* 1,000 bytes a second for a day */
        uint64_t days = space_forecast_millidays(&f, INT64_C(864000000), DISK);
        assert_in_range(days, 9999, 10000);
        space_forecast_note(&f, 0, 0); /* no time, no rate */
        assert_int_equal(space_forecast_millidays(&f, INT64_C(864000000), DISK), days);
        assert_int_equal(space_forecast_millidays(&f, INT64_MAX, DISK), NEVER);
        assert_int_equal(space_forecast_millidays(&f, 1, DISK), 0);
}

/* What a start writes says nothing of the days to come. */
static void test_forecast_of_a_start(_unused_ void **state)
{
        struct space_forecast f = { 0 };
        space_forecast_note(&f, DISK / 100 - 1, SEC_NS);
        assert_int_equal(space_forecast_millidays(&f, 86400000, DISK), NEVER);
        space_forecast_note(&f, 0, HOUR_NS - 2 * SEC_NS);
        assert_int_equal(space_forecast_millidays(&f, 86400000, DISK), NEVER);
        space_forecast_note(&f, 0, SEC_NS);
        assert_in_range(space_forecast_millidays(&f, INT64_C(86400000000), DISK), 1, NEVER - 1);
}

/* A hundredth of the disk in a second is worth a word; it counts as an hour's growth at most. */
static void test_forecast_of_a_burst(_unused_ void **state)
{
        struct space_forecast f = { 0 };
        space_forecast_note(&f, DISK / 100, SEC_NS);
        assert_in_range(space_forecast_millidays(&f, DISK * 24 / 100, DISK), 850, 1010);
}

static void test_forecast_of_shrinking(_unused_ void **state)
{
        struct space_forecast f = { 0 };
        space_forecast_note(&f, -5000000, HOUR_NS);
        assert_int_equal(space_forecast_millidays(&f, 1000, DISK), NEVER);
        space_forecast_note(&f, 5000000, HOUR_NS); /* what was deleted and what came weigh each other up, nearly */
        space_forecast_note(&f, 500000, 12 * HOUR_NS);
        assert_in_range(space_forecast_millidays(&f, 1000000, DISK), 100, NEVER - 1);
}

static void test_forecast_is_told(_unused_ void **state)
{
        open_space(100 * GIB, 50 * GIB, GIB, 0);
        for (unsigned i = 0; i < 24; i++) {
                disk.now_ns += HOUR_NS;
                look(50 * GIB - (i + 1) * GIB / 24);
        }
        /* 48 GiB until uploads are refused, at 1 GiB a day */
        assert_in_range(metrics_gauge_get(metrics, METRICS_DISK_FORECAST_MILLIDAYS), 47900, 48100);
}

/* ---- the thread ---- */

static void test_thread_starts_and_stops(_unused_ void **state)
{
        open_space(GIB, GIB, 0, 0);
        assert_int_equal(space_start(space), 0);
        space_stop(space);
        space_stop(space);
        assert_true(takes(SPACE_LOGS, 1));
        space_stop(NULL);
        assert_null(space_free(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_default_reserves, setup, teardown),
                cmocka_unit_test_setup_teardown(test_default_reserves_have_a_top, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hysteresis, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_request_that_is_too_much_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_words, setup, teardown),
                cmocka_unit_test_setup_teardown(test_promises_count, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_look_replaces_what_was_written, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_deleted_unused_is_free_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_look_beside_a_deletion, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_write_beside_a_look, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refusals_are_counted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_is_full_for_a_while, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_again_begins_anew, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_look_that_fails_changes_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reserve_file_is_kept, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reserve_file_of_a_small_disk, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_start_on_a_full_disk_has_the_reserve, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_reserve_file_while_full, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forecast_of_steady_growth, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forecast_of_a_start, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forecast_of_a_burst, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forecast_of_shrinking, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forecast_is_told, setup, teardown),
                cmocka_unit_test_setup_teardown(test_thread_starts_and_stops, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
