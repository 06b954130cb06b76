#pragma once
/* A growable byte buffer. Zero-initialised is empty and valid. Not thread-safe. Growth doubles; a failed allocation
 * leaves the buffer as it was and returns -ENOMEM. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct buf {
        uint8_t *data;
        size_t len;
        size_t cap;
};

void buf_done(struct buf *b); /* frees the bytes; the buffer is empty and usable again */

/* Room for n more bytes behind len. 0 or -ENOMEM. */
int buf_reserve(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *data, size_t n);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);

/* Appends what fd has until its end, max bytes at most. 0, -errno, or -EFBIG when there is more. */
int buf_read_fd(struct buf *b, int fd, size_t max);

/* Drops the first n bytes (n <= len), moving the rest down. */
void buf_consume(struct buf *b, size_t n);

/* The bytes, NUL-terminated behind len (the NUL is not counted); the caller frees them. NULL on ENOMEM. */
char *buf_take_str(struct buf *b);
