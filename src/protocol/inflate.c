/* Bounded decompression. inflate_write() decodes one piece of 64 KiB at a time and gives it to the sink. Besides that,
 * only the decoder's own window takes memory (32 KiB for gzip, at most 8 MiB for zstd).
 *
 * The ceiling: a piece has room for one byte more than is allowed, so that a byte beyond max_bytes is noticed and
 * refused before it is delivered. Input that decodes to nothing is bounded by the caller, who counts it.
 *
 * Failure: INFLATE_CORRUPT for anything that the formats do not allow, bytes after the last member or frame included;
 * INFLATE_TOO_LARGE for the ceiling and for zstd windows over 8 MiB. Formats older than RFC 8878, which libzstd can
 * still read, are corrupt: their decoders know no window limit. */

#include "protocol/inflate.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define PIECE_BYTES ((size_t)64 * 1024)
#define ZSTD_WINDOW_LOG_MAX 23
#define ZSTD_MAGIC_SIZE 4

enum state {
        UNFINISHED, /* within a member or frame, or nothing has come yet */
        COMPLETE,   /* the input may end here: the last member or frame is whole */
        FAILED,
};

struct inflate {
        enum encoding encoding;
        enum state state;
        uint64_t left; /* how much may still come out */
        z_stream gzip; /* of gzip and deflate */
        bool has_stream;
        ZSTD_DStream *zstd;
        uint8_t magic[ZSTD_MAGIC_SIZE]; /* the first bytes of a frame or of deflate, while they are collected */
        size_t magic_len;
        uint8_t piece[];
};

static int start_zlib(struct inflate *f, int window_bits)
{
        f->has_stream = true;
        return inflateInit2(&f->gzip, window_bits) == Z_OK ? 0 : -ENOMEM;
}

static int start_decoder(struct inflate *f)
{
        switch (f->encoding) {
        case ENCODING_IDENTITY: f->state = COMPLETE; return 0;
        case ENCODING_GZIP: return start_zlib(f, 15 + 16); /* 16: gzip alone */
        case ENCODING_DEFLATE: return 0;                   /* its first bytes say which kind */
        case ENCODING_ZSTD:
                f->zstd = ZSTD_createDStream();
                if (!f->zstd)
                        return -ENOMEM;
                return ZSTD_isError(ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)) ? -EINVAL
                                                                                                               : 0;
        case ENCODING_UNKNOWN: break;
        }
        return -EINVAL;
}

int inflate_new(enum encoding e, uint64_t max_bytes, struct inflate **ret)
{
        size_t piece = e == ENCODING_IDENTITY ? 0 : PIECE_BYTES;
        _cleanup_(inflate_freep) struct inflate *f = malloc(sizeof(*f) + piece);
        if (!f)
                return -ENOMEM;
        *f = (struct inflate){ .encoding = e, .left = max_bytes };
        int r = start_decoder(f);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

struct inflate *inflate_free(struct inflate *f)
{
        if (!f)
                return NULL;
        if (f->has_stream)
                inflateEnd(&f->gzip); /* harmless when inflateInit2 failed */
        ZSTD_freeDStream(f->zstd);
        free(f);
        return NULL;
}

struct out {
        inflate_sink sink;
        void *userdata;
};

static int deliver(struct inflate *f, const struct out *out, const uint8_t *data, size_t len)
{
        if (len > f->left)
                return INFLATE_TOO_LARGE;
        f->left -= len;
        if (len > 0 && out->sink(out->userdata, data, len) != 0)
                return INFLATE_STOPPED;
        return 0;
}

static size_t piece_room(const struct inflate *f)
{
        return f->left < PIECE_BYTES ? (size_t)f->left + 1 : PIECE_BYTES;
}

static int write_identity(struct inflate *f, const uint8_t *data, size_t len, const struct out *out)
{
        int r = 0;
        while (len > 0 && r == 0) {
                size_t n = len < PIECE_BYTES ? len : PIECE_BYTES;
                r = deliver(f, out, data, n);
                data += n;
                len -= n;
        }
        return r;
}

/* One piece out of the current member. *ret_more: the decoder has more output for the input that it has taken. */
static int step_gzip(struct inflate *f, const struct out *out, bool *ret_more)
{
        size_t room = piece_room(f);
        f->gzip.next_out = f->piece;
        f->gzip.avail_out = (uInt)room;
        int z = inflate(&f->gzip, Z_NO_FLUSH);
        if (z == Z_MEM_ERROR)
                return -ENOMEM;
        if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
                return INFLATE_CORRUPT;
        f->state = z == Z_STREAM_END ? COMPLETE : UNFINISHED;
        *ret_more = z == Z_OK && f->gzip.avail_out == 0;
        return deliver(f, out, f->piece, room - f->gzip.avail_out);
}

static int write_gzip(struct inflate *f, const uint8_t *data, size_t len, const struct out *out)
{
        while (len > 0) {
                uInt slice = len < UINT32_MAX ? (uInt)len : UINT32_MAX;
                bool more = false;
                f->gzip.next_in = (Bytef *)data;
                f->gzip.avail_in = slice;
                while (f->gzip.avail_in > 0 || more) {
                        if (f->state == COMPLETE && f->encoding == ENCODING_DEFLATE)
                                return INFLATE_CORRUPT; /* bytes after its end */
                        if (f->state == COMPLETE) {     /* RFC 1952 §2.2: another member follows */
                                inflateReset(&f->gzip);
                                f->state = UNFINISHED;
                        }
                        int r = step_gzip(f, out, &more);
                        if (r != 0)
                                return r;
                }
                data += slice;
                len -= slice;
        }
        return 0;
}

#define ZLIB_HEAD_SIZE 2

/* RFC 1950 §2.2. Bare deflate cannot begin so, unless it begins with a stored block whose padding is not zero. */
static bool is_zlib_head(const uint8_t head[ZLIB_HEAD_SIZE])
{
        return (head[0] & 0x0F) == Z_DEFLATED && head[0] >> 4 <= 7 && (head[0] << 8 | head[1]) % 31 == 0;
}

/* Collects the first two bytes, however the input is cut, and then knows which kind it is. */
static int write_deflate(struct inflate *f, const uint8_t *data, size_t len, const struct out *out)
{
        if (f->has_stream)
                return write_gzip(f, data, len, out);
        while (len > 0 && f->magic_len < ZLIB_HEAD_SIZE) {
                f->magic[f->magic_len++] = *data++;
                len--;
        }
        if (f->magic_len < ZLIB_HEAD_SIZE)
                return 0;
        int r = start_zlib(f, is_zlib_head(f->magic) ? 15 : -15);
        if (r == 0)
                r = write_gzip(f, f->magic, ZLIB_HEAD_SIZE, out);
        return r == 0 ? write_gzip(f, data, len, out) : r;
}

static int zstd_error(size_t code)
{
        switch (ZSTD_getErrorCode(code)) {
        case ZSTD_error_frameParameter_windowTooLarge: return INFLATE_TOO_LARGE;
        case ZSTD_error_memory_allocation: return -ENOMEM;
        default: return INFLATE_CORRUPT;
        }
}

/* Feeds the current frame until the input or the frame is over. */
static int feed_zstd(struct inflate *f, ZSTD_inBuffer *in, const struct out *out)
{
        bool more = in->pos < in->size;
        while (more) {
                ZSTD_outBuffer piece = { f->piece, piece_room(f), 0 };
                size_t hint = ZSTD_decompressStream(f->zstd, &piece, in);
                if (ZSTD_isError(hint))
                        return zstd_error(hint);
                int r = deliver(f, out, f->piece, piece.pos);
                if (r != 0)
                        return r;
                if (hint == 0) {
                        f->state = COMPLETE;
                        f->magic_len = 0;
                        return 0;
                }
                more = in->pos < in->size || piece.pos == piece.size;
        }
        return 0;
}

/* RFC 8878 §3.1.1 and §3.1.2: Zstandard and skippable frames. */
static bool is_zstd_magic(const uint8_t magic[ZSTD_MAGIC_SIZE])
{
        static const uint8_t frame[ZSTD_MAGIC_SIZE] = { 0x28, 0xB5, 0x2F, 0xFD };
        static const uint8_t skippable[ZSTD_MAGIC_SIZE - 1] = { 0x2A, 0x4D, 0x18 };
        if (memcmp(magic, frame, sizeof(frame)) == 0)
                return true;
        return (magic[0] & 0xF0) == 0x50 && memcmp(magic + 1, skippable, sizeof(skippable)) == 0;
}

/* Collects the magic number of the next frame, however the input is cut, and feeds it once it is whole. */
static int begin_zstd_frame(struct inflate *f, ZSTD_inBuffer *in, const struct out *out)
{
        f->state = UNFINISHED;
        while (in->pos < in->size && f->magic_len < ZSTD_MAGIC_SIZE)
                f->magic[f->magic_len++] = ((const uint8_t *)in->src)[in->pos++];
        if (f->magic_len < ZSTD_MAGIC_SIZE)
                return 0;
        if (!is_zstd_magic(f->magic))
                return INFLATE_CORRUPT;
        ZSTD_inBuffer magic = { f->magic, ZSTD_MAGIC_SIZE, 0 };
        return feed_zstd(f, &magic, out);
}

static int write_zstd(struct inflate *f, const uint8_t *data, size_t len, const struct out *out)
{
        ZSTD_inBuffer in = { data, len, 0 };
        while (in.pos < in.size) {
                int r = f->magic_len < ZSTD_MAGIC_SIZE ? begin_zstd_frame(f, &in, out) : feed_zstd(f, &in, out);
                if (r != 0)
                        return r;
        }
        return 0;
}

int inflate_write(struct inflate *f, const uint8_t *data, size_t len, inflate_sink sink, void *userdata)
{
        struct out out = { sink, userdata };
        int r;
        assert(f->state != FAILED);
        switch (f->encoding) {
        case ENCODING_GZIP: r = write_gzip(f, data, len, &out); break;
        case ENCODING_ZSTD: r = write_zstd(f, data, len, &out); break;
        case ENCODING_DEFLATE: r = write_deflate(f, data, len, &out); break;
        default: r = write_identity(f, data, len, &out); break;
        }
        if (r != 0)
                f->state = FAILED;
        return r;
}

int inflate_end(const struct inflate *f)
{
        assert(f->state != FAILED);
        return f->state == COMPLETE ? 0 : INFLATE_CORRUPT;
}

static int append(void *buf, const uint8_t *data, size_t len)
{
        return buf_append(buf, data, len);
}

int inflate_whole(enum encoding e, uint64_t max_bytes, const uint8_t *data, size_t len, struct buf *out)
{
        _cleanup_(inflate_freep) struct inflate *f = NULL;
        buf_clear(out);
        int r = inflate_new(e, max_bytes, &f);
        if (r == 0)
                r = inflate_write(f, data, len, append, out);
        if (r == 0)
                r = inflate_end(f);
        return r == INFLATE_STOPPED ? out->error : r;
}
