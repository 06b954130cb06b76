/* One day's lines: plain, compressed, both, growing, torn, broken, sought in. */
#include "planted_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "storage/log_days/log_day.h"
#include "storage/log_days/log_lines.h"
#include "util/buf.h"
#include "util/files/durable.h"

static const struct source source = { "acme", "i" };
static struct log_day *d;

static int teardown(void **state)
{
        d = log_day_free(d);
        return storage_teardown(state);
}

static void open_day(void)
{
        d = log_day_free(d);
        assert_int_equal(log_day_open(storage_fd, &source, DAY_1, &d), 0);
}

static void expect_line(const char *expected)
{
        const char *line;
        size_t len;
        assert_int_equal(log_day_next(d, &line, &len), LOG_DAY_LINE);
        if (len != strlen(expected) || memcmp(line, expected, len) != 0)
                fail_msg("\"%.*s\" is not \"%s\"", (int)len, line, expected);
}

static void expect_end(int r)
{
        const char *line;
        size_t len;
        assert_int_equal(log_day_next(d, &line, &len), r);
}

static void test_nothing_there(_unused_ void **state)
{
        assert_int_equal(log_day_open(storage_fd, &source, DAY_1, &d), -ENOENT);
        storage_make_dirs("logs/acme/i");
        assert_int_equal(log_day_open(storage_fd, &source, DAY_1, &d), -ENOENT);
        assert_int_equal(symlinkat("/etc/passwd", storage_fd, "logs/acme/i/" DAY_1 ".ndjson"), 0);
        assert_int_equal(log_day_open(storage_fd, &source, DAY_1, &d), -ENOENT);
        storage_put("logs/acme/i/" DAY_2 ".ndjson", "");
        assert_int_equal(log_day_open(storage_fd, &source, DAY_2, &d), 0);
        expect_end(0);
}

static void test_grows_under_the_reader(_unused_ void **state)
{
        planted_append("acme/i", DAY_1, "one\n\ntwo\nthr");
        open_day();
        expect_line("one");
        expect_line("");
        expect_line("two");
        expect_end(0); /* what is being written is no line yet */
        assert_int_equal(log_day_offset(d), 9);
        planted_append("acme/i", DAY_1, "ee\nfour\n");
        expect_line("three");
        expect_line("four");
        expect_end(0);
        assert_int_equal(log_day_offset(d), 20);
}

/* Enough for several frames, of lines of known places. */
static void add_many(unsigned n)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(buf_printf(&text, "%08u %0*u\n", i, (int)(i % 3000), i), 0);
        assert_int_equal(buf_append_char(&text, '\0'), 0);
        planted_append("acme/i", DAY_1, (const char *)text.data);
}

static unsigned read_number(void)
{
        const char *line;
        size_t len;
        unsigned n = 0;
        char digits[9];
        assert_int_equal(log_day_next(d, &line, &len), LOG_DAY_LINE);
        assert_true(len >= 8);
        snprintf(digits, sizeof(digits), "%.8s", line); /* there is no NUL after a line */
        assert_int_equal(sscanf(digits, "%8u", &n), 1);
        return n;
}

static void read_everywhere(void)
{
        static uint64_t starts[3001];
        uint64_t size;
        open_day();
        for (unsigned i = 0; i < 3000; i++) {
                starts[i] = log_day_offset(d);
                assert_int_equal(read_number(), i);
        }
        expect_end(0);
        assert_int_equal(log_day_size(d, &size), 0);
        assert_int_equal(size, log_day_offset(d));
        for (unsigned i = 2999; i > 100; i -= 97) {
                assert_int_equal(log_day_seek(d, starts[i]), 0);
                assert_int_equal(read_number(), i);
                assert_int_equal(log_day_seek(d, starts[i] - 5), 0);
                const char *line;
                size_t len;
                assert_int_equal(log_day_next(d, &line, &len), LOG_DAY_LINE);
                assert_int_equal(len, 4); /* the rest of the one before */
                assert_int_equal(read_number(), i);
        }
        assert_int_equal(log_day_seek(d, size), 0);
        expect_end(0);
        assert_int_equal(log_day_seek(d, size + 1000), 0);
        expect_end(0);
}

static void test_plain(_unused_ void **state)
{
        add_many(3000);
        read_everywhere();
}

static void test_compressed(_unused_ void **state)
{
        add_many(3000);
        planted_compress("acme/i", DAY_1, true);
        read_everywhere();
}

/* The instant between the compressed file's name and the plain one's end. */
static void test_both_with_the_same_lines(_unused_ void **state)
{
        add_many(3000);
        planted_compress("acme/i", DAY_1, false);
        read_everywhere();
}

static void test_both_with_other_lines(_unused_ void **state)
{
        planted_append("acme/i", DAY_1, "old\nolder\n");
        planted_compress("acme/i", DAY_1, true);
        planted_append("acme/i", DAY_1, "new\n");
        open_day();
        expect_line("old");
        expect_line("older");
        expect_line("new");
        expect_end(0);
        uint64_t size;
        assert_int_equal(log_day_size(d, &size), 0);
        assert_int_equal(size, 14);
        assert_int_equal(log_day_seek(d, 10), 0);
        expect_line("new");
        assert_int_equal(log_day_seek(d, 4), 0);
        expect_line("older");
        expect_line("new");
}

/* Deleted while it is open: what was begun is read to its end. */
static void test_deleted_under_the_reader(_unused_ void **state)
{
        add_many(3000);
        open_day();
        assert_int_equal(read_number(), 0);
        planted_compress("acme/i", DAY_1, true);
        for (unsigned i = 1; i < 3000; i++)
                assert_int_equal(read_number(), i);
        expect_end(0);
}

static void put_bytes(const void *data, size_t len)
{
        storage_make_dirs("logs/acme/i");
        _cleanup_(closep) int fd =
                openat(storage_fd, "logs/acme/i/" DAY_1 ".ndjson.zst", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        assert_int_equal(write(fd, data, len), (ssize_t)len);
}

static void test_compressed_by_others(_unused_ void **state)
{
        char text[200000], packed[300000];
        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = i % 100 == 99 ? '\n' : (char)('a' + i / 100 % 26);
        size_t half = ZSTD_compress(packed, sizeof(packed), text, 100000, 1);
        size_t len = half + ZSTD_compress(packed + half, sizeof(packed) - half, text + 100000, 100000, 1);
        put_bytes(packed, len);
        uint64_t size;
        open_day();
        assert_int_equal(log_day_size(d, &size), 0);
        assert_int_equal(size, 200000);
        assert_int_equal(log_day_seek(d, 199900), 0);
        const char *line;
        size_t n;
        assert_int_equal(log_day_next(d, &line, &n), LOG_DAY_LINE);
        assert_int_equal(n, 99);
        assert_int_equal(line[0], 'a' + 1999 % 26);
        expect_end(0);
}

static void test_broken(_unused_ void **state)
{
        static char packed[1 << 20];
        add_many(1500);
        planted_compress("acme/i", DAY_1, true);
        _cleanup_(closep) int fd = openat(storage_fd, "logs/acme/i/" DAY_1 ".ndjson.zst", O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, packed, sizeof(packed));
        assert_true(len > 1000);

        put_bytes(packed, (size_t)len / 2); /* cut: no table, and the end is missing */
        const char *line;
        size_t n;
        int r;
        open_day();
        while ((r = log_day_next(d, &line, &n)) == LOG_DAY_LINE)
                ;
        assert_int_equal(r, -EBADMSG);

        packed[len / 3] = (char)(packed[len / 3] ^ 0x55); /* a checksum does not fit, or the format */
        put_bytes(packed, (size_t)len);
        open_day();
        while ((r = log_day_next(d, &line, &n)) == LOG_DAY_LINE)
                ;
        assert_int_equal(r, -EBADMSG);

        put_bytes("garbage", 7);
        open_day();
        expect_end(-EBADMSG);
        uint64_t size;
        assert_int_equal(log_day_size(d, &size), -EBADMSG);

        memset(packed + len - 9, 0xFF, 4); /* a table of 4 milliard frames */
        put_bytes(packed, (size_t)len);
        open_day();
        expect_line("00000000 0");
}

/* At the limit and one more. */
static void test_long_lines(_unused_ void **state)
{
        storage_make_dirs("logs/acme/i");
        _cleanup_(closep) int fd =
                openat(storage_fd, "logs/acme/i/" DAY_1 ".ndjson", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        char *text = malloc(LOG_LINES_MAX_BYTES + 1);
        memset(text, 'x', LOG_LINES_MAX_BYTES);
        text[LOG_LINES_MAX_BYTES - 1] = '\n'; /* counts */
        assert_int_equal(durable_write_all(fd, text, LOG_LINES_MAX_BYTES), 0);
        text[LOG_LINES_MAX_BYTES - 1] = 'x';
        text[LOG_LINES_MAX_BYTES] = '\n';
        assert_int_equal(durable_write_all(fd, text, LOG_LINES_MAX_BYTES + 1), 0);
        assert_int_equal(durable_write_all(fd, "short\n", 6), 0);
        free(text);

        const char *line;
        size_t len;
        open_day();
        assert_int_equal(log_day_next(d, &line, &len), LOG_DAY_LINE);
        assert_int_equal(len, LOG_LINES_MAX_BYTES - 1);
        expect_line("short");
        assert_int_equal(log_day_passed_over(d), 1);
        expect_end(0);
        uint64_t size;
        assert_int_equal(log_day_size(d, &size), 0);
        assert_int_equal(log_day_offset(d), size);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_there, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_grows_under_the_reader, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_plain, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_compressed, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_both_with_the_same_lines, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_both_with_other_lines, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_deleted_under_the_reader, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_compressed_by_others, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_broken, storage_setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_lines, storage_setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
