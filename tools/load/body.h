#pragma once
/* The body of one request, in a buffer that is built once for a stream's slot and patched for each request: nothing is
 * allocated while load runs. Owned by the slot. */

#include <stddef.h>
#include <stdint.h>

#include "load.h"
#include "util/buf.h"

struct body {
        struct buf head;       /* ours */
        const uint8_t *filler; /* shared by all bodies; NULL: none */
        size_t filler_len;
        struct buf tail;      /* ours */
        size_t source_at;     /* where the digits of the source stand in the head */
        size_t number_at;     /* where the first number stands, in the head */
        size_t record_stride; /* logs: from one record to the next */
};

static inline size_t body_len(const struct body *b)
{
        return b->head.len + b->filler_len + b->tail.len;
}
/* Copies up to n bytes from `at`; returns how many. */
size_t body_copy(const struct body *b, size_t at, uint8_t *to, size_t n);
void body_done(struct body *b);
/* Writes a number with so many decimal digits, leading zeros included. */
void body_put_digits(uint8_t *to, unsigned digits, uint64_t n);

/* A gRPC message: an ExportLogsServiceRequest with options->records records of about 230 bytes, from install id
 * s<source>, each with twelve digits that no other record has, in an attribute "seq" and at the end of its text.
 * Ends the program when memory is out, as does the next. */
void otlp_body_init(struct body *b, const struct load_options *o);
void otlp_body_patch(struct body *b, const struct load_options *o, uint64_t request);

/* A multipart crash report with a dump of options->bytes bytes that no other request has, over all runs. The install id
 * is a UUID that ends in the source's number. filler: at least options->bytes long. */
void crash_body_init(struct body *b, const struct load_options *o, const uint8_t *filler);
void crash_body_patch(struct body *b, const struct load_options *o, uint64_t request);
#define CRASH_BODY_BOUNDARY "detritus-load-boundary"
#define CRASH_BODY_BYTES_MIN 32 /* a dump's unique bytes */
