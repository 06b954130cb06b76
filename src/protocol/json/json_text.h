#pragma once
/* JSON values written straight into a buffer, on the log path: no tree, no allocation but the buffer's growth. Errors
 * stick: once one is set, nothing more is written, and the caller looks at the end. The functions write what they are
 * told; commas and nesting are the caller's. Not thread-safe. Source: RFC 8259; numbers look as serde_json writes
 * them. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/buf.h"

struct json_text {
        struct buf *buf;
        size_t end_max; /* buf->len may not pass this; noticed within a few KiB */
        int error;      /* 0, JSON_TEXT_TOO_LONG or -ENOMEM */
};

enum { JSON_TEXT_TOO_LONG = 1 };

#define JSON_U64_SIZE 20    /* digits */
#define JSON_DOUBLE_SIZE 32 /* more than any */

/* Where n bytes may be written; the caller adds to buf->len what it used. NULL when there is an error. */
static inline uint8_t *json_text_room(struct json_text *j, size_t n)
{
        struct buf *b = j->buf;
        if (j->error)
                return NULL;
        if (b->len > j->end_max)
                j->error = JSON_TEXT_TOO_LONG;
        else if (b->cap - b->len < n)
                j->error = buf_reserve(b, n);
        return j->error ? NULL : b->data + b->len;
}

static inline void json_text_raw(struct json_text *j, const char *s, size_t n)
{
        uint8_t *p = json_text_room(j, n);
        if (p) {
                memcpy(p, s, n);
                j->buf->len += n;
        }
}

#define json_text_literal(j, literal) json_text_raw((j), (literal), sizeof(literal) - 1)

/* Writes the digits at p and returns their end. */
uint8_t *json_put_u64(uint8_t *p, uint64_t v);
uint8_t *json_put_i64(uint8_t *p, int64_t v);

/* The shortest digits that read back as the same double (at powers of two sometimes one more), with ".0" or an exponent
 * so that it stays a float: 1.0, 1e16, 2.5e-7. Not finite: "NaN", "Infinity", "-Infinity", quotes included. Locales do
 * not matter. */
uint8_t *json_put_double(uint8_t *p, double v);

void json_text_double(struct json_text *j, double v);
void json_text_i64(struct json_text *j, int64_t v);

/* UTF-8 in quotes, escaping ", \ and what is below U+0020. data may be NULL when len is 0. */
void json_text_string(struct json_text *j, const void *data, size_t len);

/* Likewise for any bytes: U+FFFD takes the place of what is not UTF-8. */
void json_text_mended(struct json_text *j, const void *data, size_t len);

/* Lower-case hex in quotes. */
void json_text_hex(struct json_text *j, const void *data, size_t len);
