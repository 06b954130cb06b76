#pragma once
/* Streaming decompression of gzip, zstd and deflate bodies, with a ceiling, so that a bomb costs no more than the
 * ceiling. Pure over bytes; not thread-safe. Sources: RFC 1950, RFC 1951, RFC 1952, RFC 8878. */

#include <stddef.h>
#include <stdint.h>

#include "protocol/encoding.h"
#include "util/buf.h"
#include "util/cleanup.h"

struct inflate;

enum {
        INFLATE_CORRUPT = 1, /* not what the encoding says, or bytes after its end */
        INFLATE_TOO_LARGE,   /* more than max_bytes come out */
        INFLATE_STOPPED,     /* the sink returned something else than 0 */
};

/* Takes decoded bytes. Returns 0 to go on; anything else stops with INFLATE_STOPPED. */
typedef int (*inflate_sink)(void *userdata, const uint8_t *data, size_t len);

/* max_bytes: of the whole output. zstd windows above 8 MiB count as INFLATE_TOO_LARGE. 0 or -ENOMEM. */
int inflate_new(enum encoding e, uint64_t max_bytes, struct inflate **ret);
struct inflate *inflate_free(struct inflate *f); /* NULL-safe */
DEFINE_FREEP(inflate_free, struct inflate)

/* Decodes data into sink, in pieces of at most 64 KiB. 0, one of the codes above, or -ENOMEM; after any but 0 only
 * inflate_free() may follow. Identity passes through, and is counted. Concatenated gzip members and zstd frames are one
 * stream. */
int inflate_write(struct inflate *f, const uint8_t *data, size_t len, inflate_sink sink, void *userdata);

/* The input has ended: 0, or INFLATE_CORRUPT when it ends in the middle. An empty body of a compressed encoding is
 * corrupt. */
int inflate_end(const struct inflate *f);

/* Decodes a whole body into *out, whose old content goes. 0, INFLATE_CORRUPT, INFLATE_TOO_LARGE, or -ENOMEM. */
int inflate_whole(enum encoding e, uint64_t max_bytes, const uint8_t *data, size_t len, struct buf *out);
