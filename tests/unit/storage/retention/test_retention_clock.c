/* When is the clock believed? Cycles under a clock, an uptime and a boot id that the test sets. */
#include "retention_fixture.h"

#include <stdio.h>
#include <string.h>

#include "storage/index/index_read.h"
#include "storage/retention/retention.h"

#define NOW INT64_C(1800000000) /* 2027-01-15 */
#define HOUR 3600

static struct {
        int64_t wall_secs;
        uint64_t uptime_secs;
        const char *boot_id;
} fake;

struct moment __wrap_clock_now(void);
uint64_t __wrap_clock_uptime_secs(void);
void __wrap_clock_boot_id(char ret[CLOCK_BOOT_ID_SIZE]);

struct moment __wrap_clock_now(void)
{
        return (struct moment){ .sec = fake.wall_secs };
}

uint64_t __wrap_clock_uptime_secs(void)
{
        return fake.uptime_secs;
}

void __wrap_clock_boot_id(char ret[CLOCK_BOOT_ID_SIZE])
{
        snprintf(ret, CLOCK_BOOT_ID_SIZE, "%s", fake.boot_id);
}

static struct retention retention;

/* A daemon that starts: it knows what its directory knows. */
static void restart(void)
{
        deletion_free(retention.deletion);
        retention = (struct retention){ .config = &config, .metrics = metrics };
        assert_int_equal(deletion_new(&stores, &retention.deletion), 0);
        deletion_begin(retention.deletion);
}

static int setup(void **state)
{
        fake.wall_secs = NOW;
        fake.uptime_secs = 1000;
        fake.boot_id = "first boot";
        if (retention_setup(state) != 0)
                return -1;
        restart();
        return 0;
}

static int teardown(void **state)
{
        retention.deletion = deletion_free(retention.deletion);
        return retention_teardown(state);
}

static void pass(int64_t secs)
{
        fake.wall_secs += secs;
        fake.uptime_secs += (uint64_t)secs;
}

static void boot(const char *boot_id)
{
        fake.boot_id = boot_id;
        fake.uptime_secs = 10;
        restart();
}

/* A cycle. doubt: part of why nothing was deleted; NULL: it believed the clock. */
static void cycle(const char *doubt)
{
        struct retention_cycle ended;
        retention_run(&retention, &ended);
        assert_int_equal(ended.result, 0);
        if (!doubt)
                assert_string_equal(ended.clock_doubt, "");
        else if (!strstr(ended.clock_doubt, doubt))
                fail_msg("\"%s\" is not in \"%s\"", doubt, ended.clock_doubt);
}

static void store_something(void)
{
        assert_int_equal(put(INSTALL_A, TIME_1, "dump", "attachment", clock_now()), 0);
        put_log_file(INSTALL_A, 0, true);
}

static void expect_stored(bool stored)
{
        storage_expect("SELECT count(*) FROM crash", stored ? "1" : "0");
        storage_expect("SELECT count(*) FROM log_file", stored ? "1" : "0");
}

static void test_time_passes(_unused_ void **state)
{
        store_something();
        for (int i = 0; i < 100; i++) {
                cycle(NULL);
                pass(24 * HOUR);
                if (i < 13)
                        expect_stored(true);
        }
        cycle(NULL);
        expect_stored(false);
}

/* NTP, a leap second, somebody who sets the clock by his watch. */
static void test_small_corrections(_unused_ void **state)
{
        cycle(NULL);
        for (int i = 0; i < 10; i++) {
                pass(HOUR);
                fake.wall_secs += i % 2 ? 500 : -500;
                cycle(NULL);
        }
}

static void test_ahead_for_a_moment(_unused_ void **state)
{
        store_something();
        cycle(NULL);
        fake.wall_secs += 100 * DAY_SECS;
        pass(5);
        cycle("ahead by 100 days");
        expect_stored(true);
        fake.wall_secs -= 100 * DAY_SECS;
        pass(5);
        cycle(NULL);
        expect_stored(true);
        for (int i = 0; i < 100; i++) { /* and then it goes when its time has come */
                pass(24 * HOUR);
                cycle(NULL);
        }
        expect_stored(false);
}

static void test_start_with_a_clock_ahead(_unused_ void **state)
{
        store_something();
        cycle(NULL);
        fake.wall_secs += 100 * DAY_SECS;
        pass(60);
        restart();
        cycle("ahead by 100 days");
        restart();
        cycle("ahead by 100 days");
        expect_stored(true);
}

static void test_set_back(_unused_ void **state)
{
        cycle(NULL);
        fake.wall_secs -= 30 * DAY_SECS;
        pass(60);
        cycle("set back by 30 days");
        fake.wall_secs += 30 * DAY_SECS;
        cycle(NULL);
}

/* It was wrong before, then. */
static void test_steady_for_a_day(_unused_ void **state)
{
        store_something();
        cycle(NULL);
        fake.wall_secs += 100 * DAY_SECS;
        for (int i = 0; i < 12; i++) {
                pass(HOUR);
                cycle("ahead");
        }
        fake.wall_secs += DAY_SECS; /* not steady: the day begins again */
        for (int i = 0; i < 24; i++) {
                pass(HOUR);
                if (i == 12)
                        restart();
                cycle("ahead");
                expect_stored(true);
        }
        pass(HOUR);
        cycle(NULL);
        expect_stored(false);
        pass(HOUR);
        cycle(NULL);
}

static void test_confirmed(_unused_ void **state)
{
        store_something();
        cycle(NULL);
        fake.wall_secs += 100 * DAY_SECS;
        cycle("ahead");
        retention.confirm_clock = true;
        cycle(NULL);
        expect_stored(false);
        pass(HOUR);
        restart();
        cycle(NULL);
}

/* A dead battery: 1970 until the network is up. */
static void test_first_start_in_1970(_unused_ void **state)
{
        fake.wall_secs = 40;
        cycle("before this program was made");
        store_something();
        pass(HOUR);
        put_log_file(INSTALL_B, 0, true);
        fake.wall_secs = NOW;
        cycle(NULL);
        storage_expect("SELECT count(*) FROM crash", "1");
        storage_expect("SELECT count(*) FROM log_file", "2");
        for (int i = 0; i < 13; i++) {
                pass(24 * HOUR);
                if (i == 5)
                        restart();
                cycle(NULL);
        }
        storage_expect("SELECT count(*) FROM log_file", "2");
        pass(24 * HOUR + 1);
        cycle(NULL);
        storage_expect("SELECT count(*) FROM log_file", "0");
        storage_expect("SELECT count(*) FROM crash", "1");
        for (int i = 0; i < 76; i++) {
                pass(24 * HOUR);
                cycle(NULL);
        }
        storage_expect("SELECT count(*) FROM crash", "0");
}

/* Known time, then a start in 1970, then right again. */
static void test_later_start_in_1970(_unused_ void **state)
{
        cycle(NULL);
        fake.wall_secs = 40;
        boot("second boot");
        cycle("before this program was made");
        store_something();
        pass(60);
        fake.wall_secs = NOW + 3 * HOUR;
        cycle(NULL);
        expect_stored(true);
}

static void test_off_for_long(_unused_ void **state)
{
        store_something();
        cycle(NULL);
        fake.wall_secs += 12 * HOUR;
        boot("second boot");
        cycle(NULL);
        fake.wall_secs += 60 * DAY_SECS;
        boot("third boot");
        cycle("60 days"); /* the log file is all there is */
        expect_stored(true);
        put_log_file(INSTALL_B, 0, true); /* under the same clock, so it proves nothing */
        restart();
        cycle("60 days");
        for (int i = 0; i < 24; i++) {
                pass(HOUR);
                cycle(i < 23 ? "60 days" : NULL);
        }
}

/* Little would go, so nothing speaks against it. */
static void test_off_for_long_with_little_to_expire(_unused_ void **state)
{
        cycle(NULL);
        for (unsigned i = 0; i < 3; i++)
                put_log_file(INSTALL_A, i, true);
        fake.wall_secs += 5 * DAY_SECS;
        boot("second boot");
        cycle(NULL);
}

static void test_behind_after_another_boot(_unused_ void **state)
{
        cycle(NULL);
        fake.wall_secs -= 2 * DAY_SECS;
        boot("second boot");
        cycle("2 days behind");
}

/* The operator wants less to be kept: that has nothing to do with the clock. */
static void test_shorter_life(_unused_ void **state)
{
        put_log_file(INSTALL_A, 10, true);
        put_log_file(INSTALL_B, 10, true);
        cycle(NULL);
        config.logs_ttl_days = 7;
        fake.wall_secs += 2 * DAY_SECS;
        boot("second boot");
        cycle(NULL);
        storage_expect("SELECT count(*) FROM log_file", "0");
}

/* Everything goes at each cycle, whatever the time is. */
static void test_zero_days(_unused_ void **state)
{
        cycle(NULL);
        store_something();
        config.logs_ttl_days = config.crashes_ttl_days = 0;
        fake.wall_secs += 100 * DAY_SECS;
        cycle("ahead");
        expect_stored(false);
}

static void test_damaged_file(_unused_ void **state)
{
        static const char *const texts[] = { "", "{", "[]", "{\"believed\":[1]}",
                                             "{\"believed\":{\"wall_secs\":\"x\"}}" };
        store_something();
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
                storage_put("journal/clock", texts[i]);
                restart();
                cycle(NULL);
                expect_stored(true);
        }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_time_passes),
                CASE(test_small_corrections),
                CASE(test_ahead_for_a_moment),
                CASE(test_start_with_a_clock_ahead),
                CASE(test_set_back),
                CASE(test_steady_for_a_day),
                CASE(test_confirmed),
                CASE(test_first_start_in_1970),
                CASE(test_later_start_in_1970),
                CASE(test_off_for_long),
                CASE(test_off_for_long_with_little_to_expire),
                CASE(test_behind_after_another_boot),
                CASE(test_shorter_life),
                CASE(test_zero_days),
                CASE(test_damaged_file),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
