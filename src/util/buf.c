#include "util/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void buf_done(struct buf *b)
{
        free(b->data);
        *b = (struct buf){ 0 };
}

int buf_reserve(struct buf *b, size_t n)
{
        if (b->cap - b->len >= n)
                return 0;
        if (n > SIZE_MAX / 2 - b->len)
                return -ENOMEM;
        size_t cap = b->cap < 64 ? 64 : b->cap;
        while (cap - b->len < n)
                cap *= 2;
        uint8_t *data = realloc(b->data, cap);
        if (!data)
                return -ENOMEM;
        b->data = data;
        b->cap = cap;
        return 0;
}

/* As buf_reserve(), and the error sticks. */
static int reserve(struct buf *b, size_t n)
{
        if (b->error == 0)
                b->error = buf_reserve(b, n);
        return b->error;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
        if (n == 0)
                return b->error;
        int r = reserve(b, n);
        if (r < 0)
                return r;
        memcpy(b->data + b->len, data, n);
        b->len += n;
        return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
        return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
        return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
        va_list args, again;
        va_start(args, fmt);
        va_copy(again, args);
        int n = vsnprintf(NULL, 0, fmt, args);
        va_end(args);
        int r = n < 0 ? -EINVAL : reserve(b, (size_t)n + 1);
        if (r == 0) {
                vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
                b->len += (size_t)n;
        }
        va_end(again);
        return r;
}

int buf_read_fd(struct buf *b, int fd, size_t max)
{
        size_t before = b->len;
        while (b->len - before <= max) { /* one byte too many is enough to know, whatever fstat would say of a pipe */
                int r = reserve(b, (size_t)16 * 1024);
                if (r < 0)
                        return r;
                ssize_t n = read(fd, b->data + b->len, b->cap - b->len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                b->len += (size_t)n;
        }
        return -EFBIG;
}

void buf_consume(struct buf *b, size_t n)
{
        if (n == 0)
                return;
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
}

char *buf_take_str(struct buf *b)
{
        if (reserve(b, 1) < 0)
                return NULL;
        b->data[b->len] = '\0';
        char *s = (char *)b->data;
        *b = (struct buf){ 0 };
        return s;
}
