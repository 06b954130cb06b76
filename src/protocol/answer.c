#include "protocol/answer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* http and grpc: the status of each outcome, by the table in docs/protocol.md. metric: what /metrics shows for a gRPC
 * outcome, which is the HTTP status that belongs to the gRPC code, so that the label has few values. */
static const struct {
        int http, grpc, metric;
        bool retryable; /* OTLP "Failures": RESOURCE_EXHAUSTED is retried only with RetryInfo */
} table[ANSWER_MAX_] = {
        [ANSWER_OK] = { 200, 0, 200, false },
        [ANSWER_MALFORMED] = { 400, 3, 400, false },
        [ANSWER_UNAUTHENTICATED] = { 401, 16, 401, false },
        [ANSWER_FORBIDDEN] = { 403, 7, 403, false },
        [ANSWER_NOT_FOUND] = { 404, 12, 404, false },
        [ANSWER_METHOD] = { 405, 12, 404, false },
        [ANSWER_TIMEOUT] = { 408, 4, 408, false },
        [ANSWER_VERSION] = { 412, 9, 412, false },
        [ANSWER_TOO_LARGE] = { 413, 8, 413, false },
        [ANSWER_MEDIA_TYPE] = { 415, 12, 400, false },
        [ANSWER_INVALID] = { 422, 3, 400, false },
        [ANSWER_RATE_LIMITED] = { 429, 8, 429, true },
        [ANSWER_INTERNAL] = { 500, 13, 500, false },
        [ANSWER_UNAVAILABLE] = { 503, 14, 503, true },
};

/* A value outside the enum is a bug of ours, and is answered as one. */
static enum answer known(enum answer a)
{
        return (unsigned)a < ANSWER_MAX_ ? a : ANSWER_INTERNAL;
}

int answer_http_status(enum answer a)
{
        return table[known(a)].http;
}

int answer_grpc_code(enum answer a)
{
        return table[known(a)].grpc;
}

int answer_metric_status(enum answer a)
{
        return table[known(a)].metric;
}

bool answer_is_retryable(enum answer a)
{
        return table[known(a)].retryable;
}

/* vsnprintf may cut within a character. Drops the rest of it, so that the message stays UTF-8. */
static void drop_partial_character(char *s, size_t len)
{
        size_t start = len;
        while (start > 0 && len - start < 3 && ((uint8_t)s[start - 1] & 0xC0) == 0x80)
                start--;
        if (start == 0)
                return;
        uint8_t lead = (uint8_t)s[start - 1];
        size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
        if (want > len - start)
                s[start - 1] = '\0';
}

int refuse(struct refusal *r, enum answer a, const char *fmt, ...)
{
        va_list args;
        r->answer = a;
        va_start(args, fmt);
        int n = vsnprintf(r->message, sizeof(r->message), fmt, args);
        va_end(args);
        if (n >= (int)sizeof(r->message))
                drop_partial_character(r->message, sizeof(r->message) - 1);
        return (int)a;
}
