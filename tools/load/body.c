#include "body.h"

#include <string.h>

static size_t copy_piece(const uint8_t *piece, size_t len, size_t *at, uint8_t *to, size_t n)
{
        if (*at >= len) {
                *at -= len;
                return 0;
        }
        n = len - *at < n ? len - *at : n;
        memcpy(to, piece + *at, n);
        *at = 0;
        return n;
}

size_t body_copy(const struct body *b, size_t at, uint8_t *to, size_t n)
{
        size_t done = copy_piece(b->head.data, b->head.len, &at, to, n);
        if (done < n && b->filler_len > 0)
                done += copy_piece(b->filler, b->filler_len, &at, to + done, n - done);
        if (done < n && b->tail.len > 0)
                done += copy_piece(b->tail.data, b->tail.len, &at, to + done, n - done);
        return done;
}

void body_done(struct body *b)
{
        buf_done(&b->head);
        buf_done(&b->tail);
}

void body_put_digits(uint8_t *to, unsigned digits, uint64_t n)
{
        while (digits-- > 0) {
                to[digits] = (uint8_t)('0' + n % 10);
                n /= 10;
        }
}
