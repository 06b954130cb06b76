#pragma once
/* What is wrong with single records, scopes and resources of one request: otlp_scan() notes it, otlp_render() leaves
 * out what is rejected and mends what is text. Kept from request to request for its memory; nothing is allocated
 * while nothing is wrong. Not thread-safe. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "util/buf.h"

/* Of a message (a ResourceLogs, ScopeLogs or LogRecord), which is known by where its bytes begin. */
struct otlp_fault {
        const uint8_t *at;
        bool rejected; /* it is left out, with all that is in it */
        bool mended;   /* text of its own is not UTF-8 */
};

struct otlp_faults {
        struct buf list; /* of struct otlp_fault; sorted after otlp_scan() */
        size_t max_bytes;
        struct refusal first; /* the first reason for a rejection; answer 0: none */
        unsigned rejected;    /* log records */
        unsigned mended;      /* log records that are stored, with text that was replaced */
        size_t cut_bytes;     /* rendered in vain */
};

void otlp_faults_begin(struct otlp_faults *f, size_t max_bytes); /* forgets the last request */
void otlp_faults_done(struct otlp_faults *f);

/* Appends one. 0, ANSWER_TOO_LARGE or -ENOMEM. *ret_index stays right until otlp_faults_sort(). */
int otlp_faults_add(struct otlp_faults *f, const uint8_t *at, size_t *ret_index, struct refusal *r);
struct otlp_fault *otlp_faults_get(struct otlp_faults *f, size_t index);
void otlp_faults_sort(struct otlp_faults *f);

/* What is wrong with the message whose bytes begin there; all false when nothing is. Only when sorted. */
struct otlp_fault otlp_faults_of(const struct otlp_faults *f, const uint8_t *at);

/* Counts rejected log records; only the first reason is kept. */
void otlp_faults_reject(struct otlp_faults *f, unsigned records, const struct refusal *why);

/* Appends the ExportLogsServiceResponse, which has no bytes when nothing was wrong. 0 or -ENOMEM. */
#define OTLP_RESPONSE_MAX (sizeof(((struct refusal *)NULL)->message) + 32)
int otlp_faults_response(const struct otlp_faults *f, struct buf *out);
