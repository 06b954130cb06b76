/* A window over the lines. It is filled from the file, through zstd if it is compressed, and moves on when it holds no
 * whole line. It grows only for a line that is longer than the window. */
#include "storage/log_days/log_lines.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "storage/log_days/log_bytes.h"
#include "util/buf.h"
#include "util/files/path.h"

#define WINDOW_BYTES ((size_t)256 << 10)

struct log_lines {
        struct log_bytes *bytes;
        bool ended;
        struct buf window;
        size_t at;
};

int log_lines_open(int dirfd, const char *path, struct log_lines **ret)
{
        _cleanup_(log_lines_freep) struct log_lines *l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        int r = log_bytes_open(dirfd, path, path_ends_with(path, ".zst"), &l->bytes);
        if (r == 0)
                r = buf_reserve(&l->window, WINDOW_BYTES);
        if (r < 0)
                return r;
        log_bytes_stop_at_size(l->bytes);
        *ret = TAKE_PTR(l);
        return 0;
}

struct log_lines *log_lines_free(struct log_lines *l)
{
        if (!l)
                return NULL;
        log_bytes_free(l->bytes);
        buf_done(&l->window);
        free(l);
        return NULL;
}

/* Appends to the window. 0 or -errno. */
static int fill(struct log_lines *l)
{
        size_t n;
        int r = log_bytes_read(l->bytes, l->window.data + l->window.len, l->window.cap - l->window.len, &n);
        if (r < 0)
                return r;
        l->window.len += n;
        l->ended = n == 0;
        return 0;
}

/* Room at the end of the window. */
static int make_room(struct log_lines *l)
{
        buf_consume(&l->window, l->at);
        l->at = 0;
        if (l->window.len < l->window.cap)
                return 0;
        if (l->window.len >= LOG_LINES_MAX_BYTES)
                return LOG_LINES_TOO_LONG;
        return buf_reserve(&l->window, l->window.cap);
}

int log_lines_next(struct log_lines *l, const char **ret_line, size_t *ret_len)
{
        size_t seen = l->at;
        assert(l->at <= l->window.len);
        for (;;) {
                const uint8_t *start = l->window.data + l->at;
                const uint8_t *newline = memchr(l->window.data + seen, '\n', l->window.len - seen);
                if (newline || (l->ended && l->at < l->window.len)) {
                        *ret_line = (const char *)start;
                        *ret_len = newline ? (size_t)(newline - start) : l->window.len - l->at;
                        l->at += *ret_len + (newline ? 1 : 0);
                        return newline ? LOG_LINES_LINE : LOG_LINES_TORN;
                }
                if (l->ended)
                        return 0;
                seen = l->window.len - l->at;
                int r = make_room(l);
                if (r == 0)
                        r = fill(l);
                if (r != 0)
                        return r;
        }
}

static uint64_t count_newlines(const char *p, const char *end)
{
        uint64_t n = 0;
        for (; (p = memchr(p, '\n', (size_t)(end - p))); p++)
                n++;
        return n;
}

int log_lines_count(int fd, uint64_t from, uint64_t to, struct log_lines_content *ret)
{
        char block[65536];
        *ret = (struct log_lines_content){ .hole = to };
        while (from < to) {
                ssize_t n =
                        pread(fd, block, to - from < sizeof(block) ? (size_t)(to - from) : sizeof(block), (off_t)from);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                uint64_t lines = count_newlines(block, block + n);
                const char *zero = ret->hole == to ? memchr(block, '\0', (size_t)n) : NULL;
                if (zero) {
                        ret->hole = from + (uint64_t)(zero - block);
                        ret->lines_to_hole += count_newlines(block, zero);
                } else if (ret->hole == to) {
                        ret->lines_to_hole += lines;
                }
                ret->lines += lines;
                from += (uint64_t)n;
        }
        return 0;
}
