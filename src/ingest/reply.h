#pragma once
/* The ways to answer a request. Each is a constant table of functions. A call chooses its table once, when it starts,
 * and no answer asks later which one it is. protocol/answer.h says which status an outcome has. Loop's thread. */

#include "http/request.h"
#include "protocol/answer.h"

struct reply {
        int (*status)(enum answer a); /* what the log and /metrics show for this outcome */
        void (*refuse)(struct http_request *request, const struct refusal *r); /* answers; then the request is gone */
        const char *unknown_path; /* the message for a path that nothing serves */
};

extern const struct reply reply_json; /* an HTTP status and {"error":{"code":…,"message":…}} */
extern const struct reply reply_grpc; /* HTTP status 200 and trailers */

/* Answers of success. Afterwards the request is gone. */
void reply_json_body(struct http_request *request, int status, const void *body, size_t len);
/* One message of at most REPLY_GRPC_MESSAGE_MAX bytes (it may be empty), and grpc-status 0. */
#define REPLY_GRPC_MESSAGE_MAX 512
void reply_grpc_message(struct http_request *request, const void *message, size_t len);

/* 503 in JSON, with a body that needs no memory from the heap. */
void reply_out_of_memory(struct http_request *request);
