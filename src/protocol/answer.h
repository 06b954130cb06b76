#pragma once
/* The one table of outcomes: how a request may end, and which status that is in HTTP and gRPC. No handler chooses a
 * status of its own. Pure. Sources: docs/protocol.md; OTLP specification "Failures" (which codes a client retries). */

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

enum answer {
        ANSWER_OK,
        ANSWER_MALFORMED,       /* the request is wrong and stays wrong */
        ANSWER_UNAUTHENTICATED, /* missing, malformed or unknown token */
        ANSWER_FORBIDDEN,       /* the token may not write this source */
        ANSWER_NOT_FOUND,       /* no such path or method of a service */
        ANSWER_METHOD,          /* the path exists, but not with this method */
        ANSWER_TIMEOUT,         /* the client's own deadline passed, or its body came too slowly */
        ANSWER_VERSION,         /* another protocol version; the message says "does not match" */
        ANSWER_TOO_LARGE,       /* over a size limit, also after decompression */
        ANSWER_MEDIA_TYPE,      /* content type or encoding that we do not read */
        ANSWER_INVALID,         /* refused by the project's schema */
        ANSWER_RATE_LIMITED,    /* the source's bucket is empty; retry_after_ms says for how long */
        ANSWER_INTERNAL,        /* a bug or fault of ours that a retry need not cure */
        ANSWER_UNAVAILABLE,     /* overload, disk, shutting down; retry_after_ms applies */
        ANSWER_MAX_
};

/* gRPC codes used here: google.rpc.Code. */
int answer_http_status(enum answer a);
int answer_grpc_code(enum answer a);
int answer_metric_status(enum answer a); /* the HTTP status that /metrics shows for a gRPC outcome */
bool answer_is_retryable(enum answer a); /* carries Retry-After / RetryInfo */

/* An outcome with its message, which is UTF-8, meant for the client, and never holds a secret. */
struct refusal {
        enum answer answer;
        unsigned retry_after_ms; /* 0: none */
        const char *allow;       /* for ANSWER_METHOD: the methods that are allowed, a literal */
        char message[400];
};

/* Sets answer and message and returns a. The caller, who starts from a zeroed refusal, sets retry_after_ms and allow.
 * So a check reads `return refuse(r, ANSWER_MALFORMED, "…", …);`. */
int refuse(struct refusal *r, enum answer a, const char *fmt, ...) _printf_(3, 4);
