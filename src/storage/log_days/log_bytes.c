/* The decoder may hold more than fits at once: then it is `pending`, and is called again before more is read. */
#include "storage/log_days/log_bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "util/files/regular.h"

#define PACKED_BYTES ((size_t)128 * 1024)

struct log_bytes {
        int fd;
        uint64_t size, left;
        bool stops;
        ZSTD_DCtx *zstd; /* NULL: the file is plain */
        uint8_t *packed;
        ZSTD_inBuffer in;
        bool in_frame; /* the current frame has not ended */
        bool pending;
};

static int prepare(struct log_bytes *b, int dirfd, const char *path, bool compressed)
{
        struct stat st;
        int r = regular_open(dirfd, path, &b->fd, &st);
        if (r < 0)
                return r;
        b->size = (uint64_t)st.st_size;
        posix_fadvise(b->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        if (!compressed)
                return 0;
        b->packed = malloc(PACKED_BYTES);
        b->zstd = ZSTD_createDCtx();
        return b->packed && b->zstd ? 0 : -ENOMEM;
}

int log_bytes_open(int dirfd, const char *path, bool compressed, struct log_bytes **ret)
{
        _cleanup_(log_bytes_freep) struct log_bytes *b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->fd = -1;
        int r = prepare(b, dirfd, path, compressed);
        if (r == 0)
                *ret = TAKE_PTR(b);
        return r;
}

struct log_bytes *log_bytes_free(struct log_bytes *b)
{
        if (!b)
                return NULL;
        closep(&b->fd);
        ZSTD_freeDCtx(b->zstd);
        free(b->packed);
        free(b);
        return NULL;
}

int log_bytes_fd(const struct log_bytes *b)
{
        return b->fd;
}

uint64_t log_bytes_file_size(const struct log_bytes *b)
{
        return b->size;
}

void log_bytes_stop_at_size(struct log_bytes *b)
{
        b->stops = true;
        b->left = b->size;
}

int log_bytes_seek(struct log_bytes *b, off_t at)
{
        if (lseek(b->fd, at, SEEK_SET) < 0)
                return -errno;
        b->left = (uint64_t)at < b->size ? b->size - (uint64_t)at : 0;
        b->in = (ZSTD_inBuffer){ b->packed, 0, 0 };
        b->in_frame = b->pending = false;
        if (b->zstd)
                ZSTD_DCtx_reset(b->zstd, ZSTD_reset_session_only);
        return 0;
}

static ssize_t read_some(struct log_bytes *b, void *to, size_t room)
{
        ssize_t n;
        if (b->stops && room > b->left)
                room = (size_t)b->left;
        do
                n = room ? read(b->fd, to, room) : 0;
        while (n < 0 && errno == EINTR);
        if (n > 0 && b->stops)
                b->left -= (uint64_t)n;
        return n < 0 ? -errno : n;
}

static int decompress_some(struct log_bytes *b, void *to, size_t room, size_t *ret_n)
{
        ZSTD_outBuffer out = { to, room, 0 };
        while (out.pos == 0) {
                if (b->in.pos == b->in.size && !b->pending) {
                        ssize_t n = read_some(b, b->packed, PACKED_BYTES);
                        if (n < 0)
                                return (int)n;
                        if (n == 0 && b->in_frame)
                                return -EBADMSG;
                        if (n == 0)
                                break;
                        b->in = (ZSTD_inBuffer){ b->packed, (size_t)n, 0 };
                }
                size_t hint = ZSTD_decompressStream(b->zstd, &out, &b->in);
                if (ZSTD_isError(hint))
                        return -EBADMSG;
                b->in_frame = hint != 0;
                b->pending = b->in_frame && out.pos == out.size;
        }
        *ret_n = out.pos;
        return 0;
}

int log_bytes_read(struct log_bytes *b, void *to, size_t room, size_t *ret_n)
{
        assert(room > 0);
        if (b->zstd)
                return decompress_some(b, to, room, ret_n);
        ssize_t n = read_some(b, to, room);
        *ret_n = n > 0 ? (size_t)n : 0;
        return n < 0 ? (int)n : 0;
}
