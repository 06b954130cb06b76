/* Lines of plain and compressed files: short ones, ones longer than the window, torn ends, damage. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "storage/log_days/log_lines.h"
#include "util/files/durable.h"

static char dir[64];
static int dir_fd;

static int setup(_unused_ void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/detritus-lines-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0 ? -1 : 0;
}

static int teardown(_unused_ void **state)
{
        unlinkat(dir_fd, "f", 0);
        unlinkat(dir_fd, "f.zst", 0);
        close(dir_fd);
        return rmdir(dir);
}

static void put(const char *name, const void *data, size_t len)
{
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        assert_int_equal(durable_write_all(fd, data, len), 0);
        close(fd);
}

/* As two frames. */
static size_t put_packed(const void *data, size_t len)
{
        size_t cap = 2 * ZSTD_compressBound(len), half = len / 2;
        _cleanup_(freep) char *packed = malloc(cap);
        assert_non_null(packed);
        size_t n = ZSTD_compress(packed, cap, data, half, 1);
        n += ZSTD_compress(packed + n, cap - n, (const char *)data + half, len - half, 1);
        put("f.zst", packed, n);
        return n;
}

struct outcome {
        size_t lines, bytes;
        int end;
};

static struct outcome read_all(const char *name)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        struct outcome o = { 0 };
        const char *line;
        size_t len;
        assert_int_equal(log_lines_open(dir_fd, name, &l), 0);
        while ((o.end = log_lines_next(l, &line, &len)) == LOG_LINES_LINE) {
                assert_int_equal(line[len], '\n');
                o.lines++;
                o.bytes += len;
        }
        if (o.end == LOG_LINES_TORN) {
                o.bytes += len;
                assert_int_equal(log_lines_next(l, &line, &len), 0);
        }
        return o;
}

static void expect(const char *data, size_t len, size_t lines, int end)
{
        put("f", data, len);
        put_packed(data, len);
        for (int packed = 0; packed < 2; packed++) {
                struct outcome o = read_all(packed ? "f.zst" : "f");
                assert_int_equal(o.lines, lines);
                assert_int_equal(o.end, end);
                if (end >= 0 && end != LOG_LINES_TOO_LONG)
                        assert_int_equal(o.bytes, len - lines);
        }
}

static void test_ends(_unused_ void **state)
{
        expect("", 0, 0, 0);
        expect("\n", 1, 1, 0);
        expect("a\n\nb\n", 5, 3, 0);
        expect("a\nb", 3, 1, LOG_LINES_TORN);
        expect("b", 1, 0, LOG_LINES_TORN);
}

static void test_long_lines(_unused_ void **state)
{
        size_t len = ((size_t)3 << 20) + 5;
        _cleanup_(freep) char *data = malloc(len);
        assert_non_null(data);
        for (size_t line = 100000; line < 1300000; line += 300000) {
                memset(data, 'x', len);
                for (size_t at = line; at < len; at += line)
                        data[at - 1] = '\n';
                expect(data, len, (len - 1) / line, LOG_LINES_TORN);
        }
}

static void test_the_longest_line(_unused_ void **state)
{
        size_t len = LOG_LINES_MAX_BYTES + 1;
        _cleanup_(freep) char *data = malloc(len);
        assert_non_null(data);
        memset(data, 'x', len);
        data[LOG_LINES_MAX_BYTES - 1] = '\n'; /* with its newline just in */
        expect(data, LOG_LINES_MAX_BYTES, 1, 0);
        data[LOG_LINES_MAX_BYTES - 1] = 'x';
        data[LOG_LINES_MAX_BYTES] = '\n';
        expect(data, len, 0, LOG_LINES_TOO_LONG);
}

static void test_damaged_frames(_unused_ void **state)
{
        static const char text[] = "{\"a\":1}\n{\"b\":2}\n";
        char packed[256];
        size_t n = put_packed(text, strlen(text));
        int fd = openat(dir_fd, "f.zst", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, packed, sizeof(packed)), n);
        close(fd);
        put("f.zst", packed, n - 1); /* cut short */
        assert_int_equal(read_all("f.zst").end, -EBADMSG);
        put("f.zst", text, strlen(text));
        assert_int_equal(read_all("f.zst").end, -EBADMSG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_ends),
                TEST(test_long_lines),
                TEST(test_the_longest_line),
                TEST(test_damaged_frames),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
