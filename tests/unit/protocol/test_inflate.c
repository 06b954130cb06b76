/* Bounded decompression: ceilings at N and N+1, input cut at every byte, what is not the format, and bombs. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "protocol/inflate.h"
#include "util/buf.h"

static const enum encoding encodings[] = { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD, ENCODING_DEFLATE };

static void zlib_bytes(struct buf *out, const void *data, size_t len, int window_bits)
{
        z_stream z = { 0 };
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
        size_t bound = deflateBound(&z, len);
        assert_int_equal(buf_reserve(out, bound), 0);
        z.next_in = (Bytef *)data;
        z.avail_in = (uInt)len;
        z.next_out = out->data + out->len;
        z.avail_out = (uInt)bound;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out->len += z.total_out;
        deflateEnd(&z);
}

static void zstd_bytes(struct buf *out, const void *data, size_t len, int window_log)
{
        ZSTD_CCtx *c = ZSTD_createCCtx();
        size_t bound = ZSTD_compressBound(len);
        assert_int_equal(buf_reserve(out, bound), 0);
        if (window_log) {
                ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
                ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
        }
        size_t n = ZSTD_compress2(c, out->data + out->len, bound, data, len);
        assert_false(ZSTD_isError(n));
        out->len += n;
        ZSTD_freeCCtx(c);
}

static struct buf packed(enum encoding e, const void *data, size_t len)
{
        struct buf out = { 0 };
        if (e == ENCODING_GZIP)
                zlib_bytes(&out, data, len, 15 + 16);
        else if (e == ENCODING_DEFLATE)
                zlib_bytes(&out, data, len, 15);
        else if (e == ENCODING_ZSTD)
                zstd_bytes(&out, data, len, 0);
        else
                assert_int_equal(buf_append(&out, data, len), 0);
        return out;
}

struct sink {
        struct buf out;
        size_t stop_at; /* bytes; 0: never */
        size_t largest;
};

static int take(void *userdata, const uint8_t *data, size_t len)
{
        struct sink *s = userdata;
        assert_true(len > 0);
        if (len > s->largest)
                s->largest = len;
        assert_int_equal(buf_append(&s->out, data, len), 0);
        return s->stop_at && s->out.len >= s->stop_at ? -1 : 0;
}

/* Feeds b in pieces of step bytes. */
static int run(enum encoding e, uint64_t max, const struct buf *b, size_t step, struct sink *s)
{
        _cleanup_(inflate_freep) struct inflate *f = NULL;
        assert_int_equal(inflate_new(e, max, &f), 0);
        for (size_t at = 0; at < b->len; at += step) {
                size_t n = b->len - at < step ? b->len - at : step;
                uint8_t *piece = malloc(n); /* so that reading past it is seen */
                memcpy(piece, b->data + at, n);
                int r = inflate_write(f, piece, n, take, s);
                free(piece);
                if (r != 0)
                        return r;
        }
        return inflate_end(f);
}

static int run_whole(enum encoding e, uint64_t max, const struct buf *b)
{
        struct sink s = { 0 };
        int r = run(e, max, b, b->len + 1, &s);
        buf_done(&s.out);
        return r;
}

/* Text that compresses, but not to nothing. */
static void fill(uint8_t *data, size_t len)
{
        uint32_t x = 1;
        for (size_t i = 0; i < len; i++) {
                x = x * 1664525 + 1013904223;
                data[i] = (uint8_t)("abcdefgh"[x >> 29]);
        }
}

static void names(void **state)
{
        (void)state;
        static const struct {
                const char *name;
                enum encoding e;
        } cases[] = {
                { "", ENCODING_IDENTITY },     { "identity", ENCODING_IDENTITY }, { "Identity", ENCODING_IDENTITY },
                { "gzip", ENCODING_GZIP },     { "GZIP", ENCODING_GZIP },         { "x-gzip", ENCODING_GZIP },
                { "zstd", ENCODING_ZSTD },     { "ZStd", ENCODING_ZSTD },         { "deflate", ENCODING_DEFLATE },
                { "gzip ", ENCODING_UNKNOWN }, { "gzi", ENCODING_UNKNOWN },       { "gzip, gzip", ENCODING_UNKNOWN },
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                assert_int_equal(encoding_from_name(cases[i].name, strlen(cases[i].name)), cases[i].e);
        assert_int_equal(encoding_from_name("gzip\0", 5), ENCODING_UNKNOWN);
        assert_string_equal(encoding_name(ENCODING_IDENTITY), "identity");
        assert_string_equal(encoding_name(ENCODING_GZIP), "gzip");
        assert_string_equal(encoding_name(ENCODING_ZSTD), "zstd");
        assert_string_equal(encoding_name(ENCODING_UNKNOWN), "unknown");
        struct inflate *f = NULL;
        assert_int_equal(inflate_new(ENCODING_UNKNOWN, 1, &f), -EINVAL);
        assert_null(inflate_free(NULL));
}

static void decodes_in_any_cut(void **state)
{
        (void)state;
        static const size_t steps[] = { 1, 2, 3, 7, 1000, 65536, 1 << 20 };
        static uint8_t data[200000];
        fill(data, sizeof(data));
        for (size_t e = 0; e < ARRAY_LEN(encodings); e++) {
                struct buf b = packed(encodings[e], data, sizeof(data));
                for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
                        struct sink s = { 0 };
                        assert_int_equal(run(encodings[e], sizeof(data), &b, steps[i], &s), 0);
                        assert_int_equal(s.out.len, sizeof(data));
                        assert_memory_equal(s.out.data, data, sizeof(data));
                        assert_in_range(s.largest, 1, 65536);
                        buf_done(&s.out);
                }
                buf_done(&b);
        }
}

static void the_ceiling_is_exact(void **state)
{
        (void)state;
        static const size_t sizes[] = { 1, 2, 1000, 65535, 65536, 65537, 131072, 131073, 200000 };
        static uint8_t data[200000];
        fill(data, sizeof(data));
        for (size_t e = 0; e < ARRAY_LEN(encodings); e++) {
                for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                        struct buf b = packed(encodings[e], data, sizes[i]);
                        assert_int_equal(run_whole(encodings[e], sizes[i], &b), 0);
                        struct sink s = { 0 };
                        assert_int_equal(run(encodings[e], sizes[i] - 1, &b, 997, &s), INFLATE_TOO_LARGE);
                        assert_in_range(s.out.len, 0, sizes[i] - 1); /* nothing over it is delivered */
                        buf_done(&s.out);
                        assert_int_equal(run_whole(encodings[e], sizes[i] - 1, &b), INFLATE_TOO_LARGE);
                        buf_done(&b);
                }
                struct buf nothing = packed(encodings[e], "", 0);
                assert_int_equal(run_whole(encodings[e], 0, &nothing), 0);
                buf_done(&nothing);
        }
}

static void a_cut_end_is_corrupt(void **state)
{
        (void)state;
        uint8_t data[300];
        fill(data, sizeof(data));
        for (size_t e = 1; e < ARRAY_LEN(encodings); e++) {
                struct buf b = packed(encodings[e], data, sizeof(data));
                for (size_t len = 0; len < b.len; len++) {
                        struct buf cut = { .data = b.data, .len = len };
                        assert_int_equal(run_whole(encodings[e], 1000, &cut), INFLATE_CORRUPT);
                }
                assert_int_equal(run_whole(encodings[e], 1000, &b), 0);
                buf_done(&b);
        }
        struct buf empty = { 0 };
        assert_int_equal(run_whole(ENCODING_IDENTITY, 0, &empty), 0);
}

static void members_follow_one_another(void **state)
{
        (void)state;
        for (size_t e = 1; e < ARRAY_LEN(encodings); e++) {
                struct buf b = { 0 };
                if (encodings[e] == ENCODING_DEFLATE) /* is one stream */
                        continue;
                for (int i = 0; i < 3; i++) {
                        struct buf one = packed(encodings[e], "one after another;", i == 1 ? 0 : 18);
                        assert_int_equal(buf_append(&b, one.data, one.len), 0);
                        buf_done(&one);
                }
                for (size_t step = 1; step <= b.len; step++) {
                        struct sink s = { 0 };
                        assert_int_equal(run(encodings[e], 36, &b, step, &s), 0);
                        assert_int_equal(s.out.len, 36);
                        buf_done(&s.out);
                }
                assert_int_equal(run_whole(encodings[e], 35, &b), INFLATE_TOO_LARGE); /* over all of them */
                buf_done(&b);
        }
}

static void trailing_bytes_are_corrupt(void **state)
{
        (void)state;
        static const char *const garbage[] = { "\x01", "garbage", "\x1f", "\x28\xb5\x2f", "\x1f\x8b\x08\x00\xff" };
        for (size_t e = 1; e < ARRAY_LEN(encodings); e++) {
                for (size_t i = 0; i < ARRAY_LEN(garbage) + 1; i++) {
                        struct buf b = packed(encodings[e], "x", 1);
                        if (i < ARRAY_LEN(garbage))
                                assert_int_equal(buf_append_str(&b, garbage[i]), 0);
                        else
                                assert_int_equal(buf_append(&b, "\0\0\0\0", 4), 0); /* padding, as tar does it */
                        for (size_t step = 1; step <= b.len; step += b.len - 1) {
                                struct sink s = { 0 };
                                assert_int_equal(run(encodings[e], 100, &b, step, &s), INFLATE_CORRUPT);
                                buf_done(&s.out);
                        }
                        buf_done(&b);
                }
        }
}

static void other_formats_are_corrupt(void **state)
{
        (void)state;
        struct buf gzip = packed(ENCODING_GZIP, "x", 1), zstd = packed(ENCODING_ZSTD, "x", 1);
        uint8_t zlib_format[64];
        uLongf len = sizeof(zlib_format);
        compress(zlib_format, &len, (const Bytef *)"x", 1);
        struct buf zlib = { .data = zlib_format, .len = len };
        struct buf legacy = { .data = (uint8_t *)"\x27\xb5\x2f\xfd\x00\x00\x00\x00\x00\x00\x00\x00", .len = 12 };
        assert_int_equal(run_whole(ENCODING_GZIP, 100, &zstd), INFLATE_CORRUPT);
        assert_int_equal(run_whole(ENCODING_ZSTD, 100, &gzip), INFLATE_CORRUPT);
        assert_int_equal(run_whole(ENCODING_GZIP, 100, &zlib), INFLATE_CORRUPT);
        assert_int_equal(run_whole(ENCODING_ZSTD, 100, &legacy), INFLATE_CORRUPT); /* zstd 0.7 */
        buf_done(&gzip);
        buf_done(&zstd);
}

/* Both that the name is used for, cut anywhere. */
static void bare_deflate(void **state)
{
        (void)state;
        uint8_t data[2000];
        fill(data, sizeof(data));
        for (size_t len = 1; len <= sizeof(data); len += 333) {
                struct buf b = { 0 };
                struct sink s = { 0 };
                zlib_bytes(&b, data, len, -15);
                for (size_t step = 1; step <= b.len; step += 7)
                        assert_int_equal(run(ENCODING_DEFLATE, len, &b, step, &s), 0);
                assert_int_equal(run_whole(ENCODING_DEFLATE, len, &b), 0);
                assert_int_equal(run_whole(ENCODING_DEFLATE, len - 1, &b), INFLATE_TOO_LARGE);
                b.len--;
                assert_int_equal(run_whole(ENCODING_DEFLATE, len, &b), INFLATE_CORRUPT);
                b.len++;
                assert_int_equal(buf_append_char(&b, 'x'), 0);
                assert_int_equal(run_whole(ENCODING_DEFLATE, len, &b), INFLATE_CORRUPT);
                buf_done(&b);
        }
}

static void damage_is_seen(void **state)
{
        (void)state;
        uint8_t data[2000];
        fill(data, sizeof(data));
        struct buf b = packed(ENCODING_GZIP, data, sizeof(data));
        b.data[b.len - 8] ^= 1; /* CRC-32 */
        assert_int_equal(run_whole(ENCODING_GZIP, 10000, &b), INFLATE_CORRUPT);
        buf_done(&b);
        for (size_t e = 1; e < ARRAY_LEN(encodings); e++) {
                b = packed(encodings[e], data, sizeof(data));
                for (size_t i = 0; i < b.len; i++) {
                        b.data[i] ^= 0x10;
                        int r = run_whole(encodings[e], 10000, &b);
                        assert_true(r == 0 || r == INFLATE_CORRUPT || r == INFLATE_TOO_LARGE);
                        b.data[i] ^= 0x10;
                }
                buf_done(&b);
        }
}

static void skippable_frames_are_skipped(void **state)
{
        (void)state;
        struct buf b = { 0 };
        assert_int_equal(buf_append(&b, "\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz", 11), 0);
        zstd_bytes(&b, "data", 4, 0);
        for (size_t step = 1; step <= b.len; step++) {
                struct sink s = { 0 };
                assert_int_equal(run(ENCODING_ZSTD, 4, &b, step, &s), 0);
                assert_int_equal(s.out.len, 4);
                buf_done(&s.out);
        }
        buf_done(&b);
}

static void large_windows_are_refused(void **state)
{
        (void)state;
        static uint8_t data[9 << 20];
        struct buf fits = { 0 }, over = { 0 };
        memset(data, 'x', sizeof(data));
        zstd_bytes(&fits, data, sizeof(data), 23);
        zstd_bytes(&over, data, sizeof(data), 24);
        assert_int_equal(run_whole(ENCODING_ZSTD, sizeof(data), &fits), 0);
        assert_int_equal(run_whole(ENCODING_ZSTD, sizeof(data), &over), INFLATE_TOO_LARGE);
        buf_done(&fits);
        buf_done(&over);
}

static void bombs_stop_at_the_ceiling(void **state)
{
        (void)state;
        static uint8_t zeros[32 << 20];
        for (size_t e = 1; e < ARRAY_LEN(encodings); e++) {
                struct buf b = packed(encodings[e], zeros, sizeof(zeros));
                struct sink s = { 0 };
                assert_true(b.len < sizeof(zeros) / 900);
                assert_int_equal(run(encodings[e], 1 << 20, &b, b.len, &s), INFLATE_TOO_LARGE);
                assert_in_range(s.out.len, 0, 1 << 20);
                buf_done(&s.out);
                buf_done(&b);
        }
}

static void a_sink_may_stop(void **state)
{
        (void)state;
        static uint8_t data[200000];
        fill(data, sizeof(data));
        for (size_t e = 0; e < ARRAY_LEN(encodings); e++) {
                struct buf b = packed(encodings[e], data, sizeof(data));
                struct sink s = { .stop_at = 1 };
                assert_int_equal(run(encodings[e], sizeof(data), &b, b.len, &s), INFLATE_STOPPED);
                assert_in_range(s.out.len, 1, 65536); /* one piece */
                buf_done(&s.out);
                buf_done(&b);
        }
}

static void whole_bodies(void **state)
{
        (void)state;
        static uint8_t data[200000];
        _cleanup_(buf_done) struct buf out = { 0 };
        fill(data, sizeof(data));
        for (size_t e = 0; e < ARRAY_LEN(encodings); e++) {
                struct buf b = packed(encodings[e], data, sizeof(data));
                /* what an earlier body left there is replaced */
                assert_int_equal(inflate_whole(encodings[e], sizeof(data), b.data, b.len, &out), 0);
                assert_int_equal(inflate_whole(encodings[e], sizeof(data), b.data, b.len, &out), 0);
                assert_int_equal(out.len, sizeof(data));
                assert_memory_equal(out.data, data, sizeof(data));
                assert_int_equal(inflate_whole(encodings[e], sizeof(data) - 1, b.data, b.len, &out), INFLATE_TOO_LARGE);
                if (encodings[e] != ENCODING_IDENTITY)
                        assert_int_equal(inflate_whole(encodings[e], sizeof(data), b.data, b.len - 1, &out),
                                         INFLATE_CORRUPT);
                buf_done(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names),
                cmocka_unit_test(decodes_in_any_cut),
                cmocka_unit_test(the_ceiling_is_exact),
                cmocka_unit_test(a_cut_end_is_corrupt),
                cmocka_unit_test(members_follow_one_another),
                cmocka_unit_test(trailing_bytes_are_corrupt),
                cmocka_unit_test(other_formats_are_corrupt),
                cmocka_unit_test(bare_deflate),
                cmocka_unit_test(damage_is_seen),
                cmocka_unit_test(skippable_frames_are_skipped),
                cmocka_unit_test(large_windows_are_refused),
                cmocka_unit_test(bombs_stop_at_the_ceiling),
                cmocka_unit_test(a_sink_may_stop),
                cmocka_unit_test(whole_bodies),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
