/* Reads the lines of one frame, compresses them, and notes both sizes for the table. Then all of it is read back and
 * compared with the plain file, because that will be deleted.
 *
 * Failure modes: a full disk, a file that changes meanwhile, a stop: the half-written file is removed. After a kill,
 * the next start removes it (PATH_UNFINISHED). */
#include "storage/log_days/log_compress.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "storage/log_days/log_path.h"
#include "util/buf.h"
#include "util/files/durable.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define FRAME_BYTES ((size_t)1 << 20) /* of lines; a longer line is cut between frames */
#define LEVEL 3
#define SKIPPABLE_MAGIC UINT32_C(0x184D2A5E) /* seekable format: "Skippable_Magic_Number" */
#define SEEKABLE_MAGIC UINT32_C(0x8F92EAB1)
#define FOOTER_SIZE 9 /* number of frames, descriptor, magic */

struct compression {
        int in, out;
        ZSTD_CCtx *zstd;
        struct buf plain, packed, table;
        uint32_t frames;
        uint64_t read, written;
};

static void compression_done(struct compression *c)
{
        closep(&c->in);
        closep(&c->out);
        ZSTD_freeCCtx(c->zstd);
        buf_done(&c->plain);
        buf_done(&c->packed);
        buf_done(&c->table);
}

static void put_u32(struct buf *b, uint32_t value)
{
        value = htole32(value);
        buf_append(b, &value, sizeof(value));
}

static int write_out(struct compression *c, const void *data, size_t len)
{
        int r = durable_write_all(c->out, data, len);
        if (r == 0)
                c->written += len;
        return r;
}

/* Fills plain up to the size of a frame. */
static int read_lines(struct compression *c)
{
        while (c->plain.len < FRAME_BYTES) {
                ssize_t n = read(c->in, c->plain.data + c->plain.len, FRAME_BYTES - c->plain.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                c->plain.len += (size_t)n;
        }
        return 0;
}

static int write_frame(struct compression *c)
{
        const uint8_t *newline = c->plain.len == FRAME_BYTES ? memrchr(c->plain.data, '\n', c->plain.len) : NULL;
        size_t len = newline ? (size_t)(newline - c->plain.data) + 1 : c->plain.len;
        size_t n = ZSTD_compress2(c->zstd, c->packed.data, c->packed.cap, c->plain.data, len);
        if (ZSTD_isError(n))
                return -ENOMEM;
        int r = write_out(c, c->packed.data, n);
        put_u32(&c->table, (uint32_t)n);
        put_u32(&c->table, (uint32_t)len);
        c->frames++;
        c->read += len;
        buf_consume(&c->plain, len);
        return r < 0 ? r : c->table.error;
}

/* A skippable frame: a reader that does not seek passes over it. */
static int write_table(struct compression *c)
{
        uint32_t head[] = { htole32(SKIPPABLE_MAGIC), htole32((uint32_t)c->table.len + FOOTER_SIZE) };
        put_u32(&c->table, c->frames);
        buf_append_char(&c->table, 0); /* no checksums in the table: each frame has its own */
        put_u32(&c->table, SEEKABLE_MAGIC);
        if (c->table.error)
                return c->table.error;
        assert(c->table.len == (size_t)c->frames * 8 + FOOTER_SIZE);
        int r = write_out(c, head, sizeof(head));
        return r < 0 ? r : write_out(c, c->table.data, c->table.len);
}

static int compress_all(struct compression *c, log_compress_stop stop, void *userdata)
{
        c->zstd = ZSTD_createCCtx();
        if (!c->zstd || buf_reserve(&c->plain, FRAME_BYTES) < 0 ||
            buf_reserve(&c->packed, ZSTD_compressBound(FRAME_BYTES)) < 0)
                return -ENOMEM;
        ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1);
        for (;;) {
                int r = stop(userdata) ? LOG_COMPRESS_STOPPED : read_lines(c);
                if (r != 0)
                        return r;
                if (c->plain.len == 0)
                        return write_table(c);
                r = write_frame(c);
                if (r < 0)
                        return r;
        }
}

/* ---- reading back ---- */

struct comparison {
        ZSTD_DCtx *zstd;
        int packed, plain;
        uint8_t in[65536], out[65536], expected[65536];
};

static struct comparison *comparison_free(struct comparison *c)
{
        if (c)
                ZSTD_freeDCtx(c->zstd);
        free(c);
        return NULL;
}
DEFINE_FREEP(comparison_free, struct comparison)

/* Are the next n bytes of the plain file those in out? 0, -EBADMSG or -errno. */
static int compare_plain(struct comparison *c, size_t n)
{
        for (size_t have = 0; have < n;) {
                ssize_t got = read(c->plain, c->expected + have, n - have);
                if (got <= 0)
                        return got < 0 ? -errno : -EBADMSG;
                have += (size_t)got;
        }
        return memcmp(c->out, c->expected, n) == 0 ? 0 : -EBADMSG;
}

/* *ret_hint: 0 at the end of a frame. */
static int compare_piece(struct comparison *c, size_t len, size_t *ret_hint)
{
        ZSTD_inBuffer in = { c->in, len, 0 };
        bool full = false;
        while (in.pos < in.size || full) {
                ZSTD_outBuffer out = { c->out, sizeof(c->out), 0 };
                *ret_hint = ZSTD_decompressStream(c->zstd, &out, &in);
                if (ZSTD_isError(*ret_hint))
                        return -EBADMSG;
                int r = compare_plain(c, out.pos);
                if (r < 0)
                        return r;
                full = out.pos == out.size;
        }
        return 0;
}

/* 0: the compressed file holds exactly the bytes of the plain one. -EBADMSG: it does not. -errno. */
static int compare_files(int packed, int plain)
{
        _cleanup_(comparison_freep) struct comparison *c = calloc(1, sizeof(*c));
        size_t hint = 0;
        if (!c || !(c->zstd = ZSTD_createDCtx()))
                return -ENOMEM;
        c->packed = packed;
        c->plain = plain;
        if (lseek(packed, 0, SEEK_SET) < 0 || lseek(plain, 0, SEEK_SET) < 0)
                return -errno;
        for (;;) {
                ssize_t n = read(packed, c->in, sizeof(c->in));
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                int r = compare_piece(c, (size_t)n, &hint);
                if (r < 0)
                        return r;
        }
        if (hint != 0)
                return -EBADMSG;
        ssize_t more = read(plain, c->out, 1);
        return more < 0 ? -errno : more == 0 ? 0 : -EBADMSG;
}

/* ---- the file ---- */

static int write_beside(struct compression *c, int datadir_fd, const char *temporary, log_compress_stop stop,
                        void *userdata)
{
        c->out = openat(datadir_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (c->out < 0)
                return -errno;
        int r = compress_all(c, stop, userdata);
        if (r != 0)
                return r;
        r = durable_sync(c->out);
        return r < 0 ? r : compare_files(c->out, c->in);
}

/* A stop after the rename and before the plain file was deleted leaves both. 0: they are the same. -ENOENT: there is
 * none. */
static int look_at_old(const struct compression *c, int datadir_fd, const char *path, uint64_t *ret_size)
{
        struct stat st;
        _cleanup_(closep) int fd = -1;
        int r = regular_open(datadir_fd, path, &fd, &st);
        if (r < 0)
                return r;
        *ret_size = (uint64_t)st.st_size;
        return compare_files(fd, c->in);
}

int log_compress_day(int datadir_fd, const struct source *source, const char *day, log_compress_stop stop,
                     void *userdata, struct log_compress_sizes *ret)
{
        _cleanup_(compression_done) struct compression c = { .in = -1, .out = -1 };
        char path[LOG_PATH_SIZE], packed[LOG_PATH_SIZE], dir[PATH_MAX], temporary[PATH_MAX];
        struct stat st;
        log_path_format(source->project, source->install_id, day, false, path);
        log_path_format(source->project, source->install_id, day, true, packed);
        int r = path_parent(packed, dir);
        if (r == 0)
                r = path_unfinished(packed, temporary);
        if (r < 0)
                return r;
        r = regular_open(datadir_fd, path, &c.in, &st);
        if (r < 0)
                return r;
        struct log_compress_sizes sizes = { .plain_bytes = (uint64_t)st.st_size };
        r = look_at_old(&c, datadir_fd, packed, &sizes.compressed_bytes);
        if (r == 0)
                *ret = sizes;
        if (r != -ENOENT)
                return r == -EBADMSG ? LOG_COMPRESS_OTHER : r;
        if (lseek(c.in, 0, SEEK_SET) < 0)
                return -errno;
        r = write_beside(&c, datadir_fd, temporary, stop, userdata);
        if (r == 0 && renameat(datadir_fd, temporary, datadir_fd, packed) < 0)
                r = -errno;
        if (r != 0) {
                unlinkat(datadir_fd, temporary, 0);
                return r;
        }
        *ret = (struct log_compress_sizes){ .plain_bytes = c.read, .compressed_bytes = c.written };
        return durable_sync_dir(datadir_fd, dir);
}
