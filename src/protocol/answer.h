#pragma once
/* The one table of outcomes: what a request may end as, and how HTTP and gRPC say it. No handler invents its own
 * status. Pure. Sources: docs/protocol.md; OTLP specification "Failures" (which codes a client retries). */

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

enum answer {
        ANSWER_OK,
        ANSWER_MALFORMED,       /* the request cannot be right, now or later */
        ANSWER_UNAUTHENTICATED, /* missing, malformed or unknown token */
        ANSWER_FORBIDDEN,       /* the token may not write this source */
        ANSWER_NOT_FOUND,       /* no such path or method of a service */
        ANSWER_METHOD,          /* the path exists, not with this method */
        ANSWER_TIMEOUT,         /* the client's own deadline passed, or its body came too slowly */
        ANSWER_VERSION,         /* another protocol version; the message says "does not match" */
        ANSWER_TOO_LARGE,       /* over a size limit, also after decompression */
        ANSWER_MEDIA_TYPE,      /* content type or encoding that we do not read */
        ANSWER_INVALID,         /* refused by the project's schema */
        ANSWER_RATE_LIMITED,    /* the source's bucket is empty; retry_after_ms says until when */
        ANSWER_INTERNAL,        /* our fault, and a retry may not help */
        ANSWER_UNAVAILABLE,     /* overload, disk, shutting down; retry_after_ms applies */
        ANSWER_MAX_
};

/* gRPC codes used here: google.rpc.Code. */
int answer_http_status(enum answer a);
int answer_grpc_code(enum answer a);
int answer_metric_status(enum answer a); /* the HTTP status that /metrics shows for a gRPC outcome */
bool answer_is_retryable(enum answer a); /* carries Retry-After / RetryInfo */

/* An outcome with its words. message is UTF-8, for the client; never holds a secret. */
struct refusal {
        enum answer answer;
        unsigned retry_after_ms; /* 0: none */
        const char *allow;       /* ANSWER_METHOD: the methods that are, a literal */
        char message[400];
};

/* Sets answer and message and returns a; retry_after_ms and allow stay what the caller made them, who starts from a
 * zeroed refusal. So a check reads `return refuse(r, ANSWER_MALFORMED, "…", …);`. */
int refuse(struct refusal *r, enum answer a, const char *fmt, ...) _printf_(3, 4);
