/* A gRPC message as a client may send it: five bytes of prefix, then a body in gzip, zstd or neither. The first two
 * bytes choose the encoding, the ceiling and how the input is cut. Checked: the ceiling holds, pieces stay small, and
 * cutting the input otherwise changes neither the answer nor a byte of the output. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/grpc.h"
#include "protocol/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define check(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
                        abort();                                                                                       \
                }                                                                                                      \
        } while (0)

static int collect(void *userdata, const uint8_t *data, size_t len)
{
        check(len > 0 && len <= 65536);
        check(buf_append(userdata, data, len) == 0);
        return 0;
}

static int decode(enum encoding e, uint64_t max, const uint8_t *data, size_t size, size_t step, struct buf *out)
{
        struct inflate *f;
        int r = inflate_new(e, max, &f);
        check(r == 0);
        for (size_t at = 0; at < size && r == 0; at += step)
                r = inflate_write(f, data + at, size - at < step ? size - at : step, collect, out);
        if (r == 0)
                r = inflate_end(f);
        inflate_free(f);
        check(r == 0 || r == INFLATE_CORRUPT || r == INFLATE_TOO_LARGE);
        check(out->len <= max);
        return r;
}

/* The text of a timeout or a message may be anything, too. */
static void exercise_text(const uint8_t *data, size_t size)
{
        struct buf out = { 0 };
        uint64_t ns;
        char text[400] = { 0 };
        struct refusal r = { 0 };
        memcpy(text, data, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
        (void)grpc_parse_timeout((const char *)data, size, &ns);
        check(grpc_encode_message(text, &out) == 0);
        for (size_t i = 0; i < out.len; i++)
                check(out.data[i] >= 0x20 && out.data[i] <= 0x7E);
        refuse(&r, size % 2 ? ANSWER_UNAVAILABLE : ANSWER_MALFORMED, "%s", text);
        check(grpc_encode_details(&r, &out) == 0);
        buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum encoding encodings[] = { ENCODING_GZIP, ENCODING_ZSTD, ENCODING_IDENTITY };
        if (size < 2 + GRPC_PREFIX_SIZE)
                return 0;
        uint64_t max = (uint64_t)1 << (data[0] % 20);
        size_t step = (size_t)data[1] + 1;
        uint32_t len;
        bool compressed;
        int r = grpc_read_prefix(data + 2, &compressed, &len);
        check((r == 0) == (data[2] <= 1));
        enum encoding e = r == 0 && !compressed ? ENCODING_IDENTITY : encodings[data[0] / 20 % 3];
        data += 2 + GRPC_PREFIX_SIZE;
        size -= 2 + GRPC_PREFIX_SIZE;
        exercise_text(data, size);

        struct buf whole = { 0 }, cut = { 0 };
        int first = decode(e, max, data, size, size + 1, &whole);
        int second = decode(e, max, data, size, step, &cut);
        check(first == second);
        if (first == 0) {
                check(whole.len == cut.len);
                check(whole.len == 0 || memcmp(whole.data, cut.data, whole.len) == 0);
        }
        buf_done(&whole);
        buf_done(&cut);
        return 0;
}
