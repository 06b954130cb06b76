/* A window over the lines: filled from the file, or through zstd, and moved on when no whole line is left in it. It grows
 * only for a line that is longer than itself. */
#include "storage/logs/log_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "util/buf.h"

#define WINDOW_BYTES ((size_t)256 << 10)
#define INPUT_BYTES ((size_t)128 << 10)

struct log_lines {
        int fd;
        uint64_t left; /* of the file */
        ZSTD_DStream *zstd;
        struct buf input; /* compressed */
        size_t input_at;
        bool in_frame, ended;
        struct buf window;
        size_t at;
};

static bool ends_with(const char *name, const char *ending)
{
        size_t n = strlen(name), m = strlen(ending);
        return n > m && strcmp(name + n - m, ending) == 0;
}

/* One component up to the slash; NULL when it is none. */
static const char *take_component(const char *path, char *ret)
{
        const char *slash = strchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) : 0;
        if (n == 0 || !source_component_valid(path, n))
                return NULL;
        memcpy(ret, path, n);
        ret[n] = '\0';
        return slash + 1;
}

bool log_lines_parse_name(const char *name, char ret_day[CLOCK_DAY_SIZE], bool *ret_compressed)
{
        if (strlen(name) < CLOCK_DAY_SIZE || !clock_is_day(name, CLOCK_DAY_SIZE - 1))
                return false;
        const char *ending = name + CLOCK_DAY_SIZE - 1;
        if (strcmp(ending, ".ndjson") != 0 && strcmp(ending, ".ndjson.zst") != 0)
                return false;
        *ret_compressed = strcmp(ending, ".ndjson.zst") == 0;
        snprintf(ret_day, CLOCK_DAY_SIZE, "%.10s", name);
        return true;
}

bool log_lines_parse_path(const char *path, struct source *ret_source, char ret_day[CLOCK_DAY_SIZE],
                          bool *ret_compressed)
{
        struct source source = { 0 };
        if (strncmp(path, "logs/", 5) != 0)
                return false;
        const char *name = take_component(path + 5, source.project);
        name = name ? take_component(name, source.install_id) : NULL;
        if (!name || !log_lines_parse_name(name, ret_day, ret_compressed))
                return false;
        *ret_source = source;
        return true;
}

static int prepare(struct log_lines *l, int dirfd, const char *path)
{
        struct stat st;
        l->fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (l->fd < 0 || fstat(l->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        l->left = (uint64_t)st.st_size;
        posix_fadvise(l->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        if (ends_with(path, ".zst")) {
                l->zstd = ZSTD_createDStream();
                if (!l->zstd || buf_reserve(&l->input, INPUT_BYTES) < 0)
                        return -ENOMEM;
        }
        return buf_reserve(&l->window, WINDOW_BYTES);
}

int log_lines_open(int dirfd, const char *path, struct log_lines **ret)
{
        _cleanup_(log_lines_freep) struct log_lines *l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->fd = -1;
        int r = prepare(l, dirfd, path);
        if (r == 0)
                *ret = TAKE_PTR(l);
        return r;
}

struct log_lines *log_lines_free(struct log_lines *l)
{
        if (!l)
                return NULL;
        closep(&l->fd);
        ZSTD_freeDStream(l->zstd);
        buf_done(&l->input);
        buf_done(&l->window);
        free(l);
        return NULL;
}

/* 0 bytes: the end. */
static ssize_t read_some(struct log_lines *l, void *to, size_t max)
{
        ssize_t n;
        if (max > l->left)
                max = (size_t)l->left;
        do
                n = max ? read(l->fd, to, max) : 0;
        while (n < 0 && errno == EINTR);
        if (n > 0)
                l->left -= (uint64_t)n;
        return n < 0 ? -errno : n;
}

/* Puts more behind what is in the window. 0, or -errno. */
static int decompress_some(struct log_lines *l)
{
        ZSTD_outBuffer out = { .dst = l->window.data, .size = l->window.cap, .pos = l->window.len };
        while (out.pos == l->window.len) {
                if (l->input_at == l->input.len) {
                        ssize_t n = read_some(l, l->input.data, l->input.cap);
                        if (n < 0)
                                return (int)n;
                        if (n == 0) {
                                l->ended = true;
                                return l->in_frame ? -EBADMSG : 0;
                        }
                        l->input.len = (size_t)n;
                        l->input_at = 0;
                }
                ZSTD_inBuffer in = { .src = l->input.data, .size = l->input.len, .pos = l->input_at };
                size_t r = ZSTD_decompressStream(l->zstd, &out, &in);
                l->input_at = in.pos;
                if (ZSTD_isError(r))
                        return -EBADMSG;
                l->in_frame = r != 0;
        }
        l->window.len = out.pos;
        return 0;
}

static int fill(struct log_lines *l)
{
        if (l->zstd)
                return decompress_some(l);
        ssize_t n = read_some(l, l->window.data + l->window.len, l->window.cap - l->window.len);
        if (n < 0)
                return (int)n;
        l->window.len += (size_t)n;
        l->ended = n == 0;
        return 0;
}

/* Room behind what is left of the window. */
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
