#pragma once
/* One request on its way through a use case: who asks, what waits for another thread, and how it ends. A use case embeds
 * a call as the first member of its own state. Loop's thread, but for call_wake().
 *
 * Invariants:
 *   1. After call_refuse() or call_answer_*() the state may be gone: return.
 *   2. While a call is parked another thread owns what it was parked for; release() waits until it is awake again, even
 *      when the client has gone.
 */

#include "ingest/ingest.h"
#include "protocol/answer.h"

struct call {
        struct http_request *request; /* NULL once answered or dead */
        struct ingest_loop *in;
        enum metrics_endpoint endpoint;
        bool grpc; /* answers are trailers */
        struct principal principal;
        char source[SOURCE_CANONICAL_SIZE]; /* for the log; "" until known */

        void (*release)(struct call *c); /* frees the state the call is part of */

        bool parked;
        void (*resumed)(struct call *c);
        struct loop_task wake; /* call_wake() posts it; several may be posted in one list */
        struct verification verification;
        void (*admitted)(struct call *c); /* what gate_enter() goes on with */
};

/* Binds call and request: r->state is the call, r->ops what is given (its close must be call_on_close). */
void call_start(struct call *c, struct ingest_loop *in, struct http_request *r, const struct http_request_ops *ops,
                enum metrics_endpoint endpoint, bool grpc, void (*release)(struct call *c));
void call_done(struct call *c); /* releases what the call itself holds; for release() */
void call_on_close(struct http_request *r);
void call_on_timeout(struct http_request *r);

/* Another thread takes over until call_wake() (any thread, once): then resumed() on the loop, if the client is still
 * there, else release(). */
void call_park(struct call *c, void (*resumed)(struct call *c));
void call_wake(struct call *c);
void call_resume(struct call *c); /* the same at once, on the loop */

/* The x-protocol-version field: 1, or absent unless required. 0, or ANSWER_VERSION in *r. */
int call_check_version(const struct call *c, bool required, struct refusal *r);

/* Is it a gRPC call at all: POST, application/grpc, HTTP/2? 0 or an answer in *r. */
int call_check_grpc(const struct http_request *request, struct refusal *r);

/* No memory even for a call: 503. */
void call_refuse_unborn(struct ingest_loop *in, struct http_request *request, enum metrics_endpoint endpoint);

/* Ends the request with the words and status of the one table; one line in the log. */
void call_refuse(struct call *c, const struct refusal *r);
/* A failure inside: what is for the log, not for the client. */
void call_fail(struct call *c, int error, const char *what);

/* Answers with that, counted. */
void call_answer(struct call *c, const struct http_response *response);
void call_answer_json(struct call *c, int status, const void *body, size_t len);
/* gRPC: one message (may be empty) and grpc-status 0. */
void call_answer_grpc(struct call *c, const void *message, size_t len);

/* Finds out whose token the request carries, then calls admitted(), at once or later; else the request is refused. */
void gate_enter(struct call *c, void (*admitted)(struct call *c));

static inline const struct config *call_config(const struct call *c)
{
        return c->in->ingest->config;
}
