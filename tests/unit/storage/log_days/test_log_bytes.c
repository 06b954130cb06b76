/* The bytes of plain and compressed files, with room for more or for less than the decoder has at once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "storage/log_days/log_bytes.h"
#include "util/files/durable.h"

#define LEN_MAX ((size_t)300001)

static char dir[64];
static int dir_fd;
static char text[LEN_MAX], packed[2 * LEN_MAX], read_back[LEN_MAX];

static int setup(_unused_ void **state)
{
        unsigned seed = 1;
        for (size_t i = 0; i < LEN_MAX; i++) /* so that much of it is left when it is compressed */
                text[i] = (char)('a' + (seed = seed * 1103515245 + 12345) / 65536 % 16);
        snprintf(dir, sizeof(dir), "/tmp/detritus-bytes-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0 ? -1 : 0;
}

static int teardown(_unused_ void **state)
{
        unlinkat(dir_fd, "f", 0);
        close(dir_fd);
        return rmdir(dir);
}

static void put(const void *data, size_t len, int flags)
{
        _cleanup_(closep) int fd = openat(dir_fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0640);
        assert_true(fd >= 0);
        assert_int_equal(durable_write_all(fd, data, len), 0);
}

static size_t pack(size_t len, int checksum)
{
        ZSTD_CCtx *c = ZSTD_createCCtx();
        assert_non_null(c);
        ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
        size_t n = ZSTD_compress2(c, packed, sizeof(packed), text, len);
        assert_false(ZSTD_isError(n));
        ZSTD_freeCCtx(c);
        return n;
}

/* How it ends; *ret_len: what came before. */
static int read_all(struct log_bytes *b, size_t room, size_t *ret_len)
{
        size_t n = 1;
        int r = 0;
        for (*ret_len = 0; n > 0; *ret_len += n) {
                size_t left = LEN_MAX - *ret_len;
                n = 0;
                r = log_bytes_read(b, read_back + *ret_len, room < left ? room : left, &n);
                if (r < 0 || *ret_len + n == LEN_MAX)
                        break;
        }
        return r;
}

static void test_any_room(_unused_ void **state)
{
        static const size_t lens[] = { 1, 1000, 131072, 2 * 131072, LEN_MAX - 1 };
        static const size_t rooms[] = { 7, 1000, 4096, 65536, 131072, 131073, 2 * 131072, LEN_MAX };
        for (size_t i = 0; i < 3 * ARRAY_LEN(lens) * ARRAY_LEN(rooms); i++) {
                size_t len = lens[i / 3 % ARRAY_LEN(lens)], room = rooms[i / 3 / ARRAY_LEN(lens)], got;
                bool compressed = i % 3 > 0;
                _cleanup_(log_bytes_freep) struct log_bytes *b = NULL;
                put(compressed ? packed : text, compressed ? pack(len, i % 3 == 2) : len, O_TRUNC);
                assert_int_equal(log_bytes_open(dir_fd, "f", compressed, &b), 0);
                int r = read_all(b, room, &got);
                if (r != 0 || got != len || memcmp(read_back, text, len) != 0)
                        fail_msg("%zu bytes, room for %zu, way %zu: %d behind %zu", len, room, i % 3, r, got);
        }
}

static void test_stops_and_goes_on(_unused_ void **state)
{
        _cleanup_(log_bytes_freep) struct log_bytes *stops = NULL, *goes_on = NULL;
        size_t len;
        put(text, 1000, O_TRUNC);
        assert_int_equal(log_bytes_open(dir_fd, "f", false, &stops), 0);
        assert_int_equal(log_bytes_open(dir_fd, "f", false, &goes_on), 0);
        log_bytes_stop_at_size(stops);
        put(text, 500, O_APPEND);
        assert_int_equal(log_bytes_file_size(stops), 1000);
        assert_int_equal(read_all(stops, 300, &len), 0);
        assert_int_equal(len, 1000);
        assert_int_equal(log_bytes_seek(stops, 900), 0);
        assert_int_equal(read_all(stops, 300, &len), 0);
        assert_int_equal(len, 100);
        assert_int_equal(read_all(goes_on, 300, &len), 0);
        assert_int_equal(len, 1500);
}

static void test_what_is_no_log(_unused_ void **state)
{
        struct log_bytes *b = NULL;
        size_t len;
        assert_int_equal(log_bytes_open(dir_fd, "nothing", false, &b), -ENOENT);
        assert_int_equal(log_bytes_open(dir_fd, ".", false, &b), -EINVAL);
        assert_int_equal(symlinkat("/etc/passwd", dir_fd, "link"), 0);
        assert_int_equal(log_bytes_open(dir_fd, "link", false, &b), -ELOOP);
        unlinkat(dir_fd, "link", 0);
        size_t n = pack(1000, 1);
        for (size_t cut = 1; cut < n; cut += 50) {
                put(packed, n - cut, O_TRUNC);
                assert_int_equal(log_bytes_open(dir_fd, "f", true, &b), 0);
                assert_int_equal(read_all(b, 4096, &len), -EBADMSG);
                b = log_bytes_free(b);
        }
        put(text, 1000, O_TRUNC);
        assert_int_equal(log_bytes_open(dir_fd, "f", true, &b), 0);
        assert_int_equal(read_all(b, 4096, &len), -EBADMSG);
        log_bytes_free(b);
}

/* However little room there is, all that is whole before the cut comes out. */
static void test_a_cut_file_gives_what_it_has(_unused_ void **state)
{
        ZSTD_CCtx *c = ZSTD_createCCtx();
        ZSTD_outBuffer out = { packed, sizeof(packed), 0 };
        assert_non_null(c);
        for (size_t at = 0; at < 1000; at += 100) { /* a block each */
                ZSTD_inBuffer in = { text + at, 100, 0 };
                assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush), 0);
        }
        ZSTD_freeCCtx(c);
        for (size_t len = 20; len <= out.pos; len++) {
                size_t got[2];
                put(packed, len, O_TRUNC);
                for (size_t i = 0; i < ARRAY_LEN(got); i++) {
                        _cleanup_(log_bytes_freep) struct log_bytes *b = NULL;
                        assert_int_equal(log_bytes_open(dir_fd, "f", true, &b), 0);
                        assert_int_equal(read_all(b, i ? LEN_MAX : 7, &got[i]), -EBADMSG);
                }
                assert_int_equal(got[0], got[1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_any_room, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stops_and_goes_on, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_no_log, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_cut_file_gives_what_it_has, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
