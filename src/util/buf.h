#pragma once
/* A growable byte buffer. Zero-initialised is empty and valid. Not thread-safe. Growth doubles.
 *
 * The error sticks: an append that fails leaves the buffer as it was and sets `error`, and every later append does
 * nothing and returns that error. So whoever appends many things asks once, at the end. buf_clear() and buf_done()
 * forget the error. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct buf {
        uint8_t *data;
        size_t len;
        size_t cap;
        int error; /* 0 or -ENOMEM */
};

void buf_done(struct buf *b); /* frees the bytes; the buffer is empty and usable again */

/* Empty again, with the memory kept. */
static inline void buf_clear(struct buf *b)
{
        b->len = 0;
        b->error = 0;
}

/* Room for n more bytes after len. 0 or -ENOMEM, which does not stick: the caller has to look. */
int buf_reserve(struct buf *b, size_t n);

/* 0, or the buffer's error. */
int buf_append(struct buf *b, const void *data, size_t n);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);

/* Appends what fd has until its end, max bytes at most. 0, -errno, or -EFBIG when there is more; only -ENOMEM
 * sticks. */
int buf_read_fd(struct buf *b, int fd, size_t max);

/* Drops the first n bytes (n <= len), moving the rest down. */
void buf_consume(struct buf *b, size_t n);

/* The bytes, NUL-terminated after len (the NUL is not counted); the caller frees them, and the buffer is empty. NULL
 * when there was no memory, now or before. */
char *buf_take_str(struct buf *b);
