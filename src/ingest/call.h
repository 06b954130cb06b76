#pragma once
/* One request on its way through a use case: who asks, what waits for another thread, and how it ends. A use case embeds
 * a call as the first member of its own state. Loop's thread, but for call_wake().
 *
 * Invariants:
 *   1. After call_refuse(), call_fail() or call_answer*() the state may be gone: return.
 *   2. While a call is parked another thread owns what it was parked for; release() waits until it is awake again, even
 *      when the client has gone.
 */

#include "http/request.h"
#include "ingest/gate.h"
#include "ingest/ingest.h"
#include "ingest/reply.h"

enum call_state {
        CALL_OPEN,     /* the loop works on it, or waits for the client */
        CALL_PARKED,   /* another thread has it; it may be answered meanwhile */
        CALL_ORPHANED, /* another thread has it, and the request is gone: answered, or the client left */
        CALL_CLOSED,   /* release() has it */
};

/* What all calls of a use case have in common. */
struct call_type {
        enum metrics_endpoint endpoint;
        struct http_request_ops ops;     /* close is call_on_close, timeout call_on_timeout or NULL */
        void (*release)(struct call *c); /* frees the state the call is part of */
};

struct call {
        enum call_state state;
        struct http_request *request; /* NULL once the request is gone */
        struct ingest_loop *in;
        const struct call_type *type;
        const struct reply *reply;
        struct gate_visit gate;
        char source[SOURCE_CANONICAL_SIZE]; /* "" until known */
        void (*resumed)(struct call *c);    /* what a parked call goes on with */
        struct loop_task wake;              /* call_wake() posts it; several may be posted in one list */
};

/* Binds a zeroed call and its request. */
void call_start(struct call *c, struct ingest_loop *in, struct http_request *r, const struct call_type *type,
                const struct reply *reply);
void call_done(struct call *c); /* releases what the call itself holds; for release() */
void call_on_close(struct http_request *r);
void call_on_timeout(struct http_request *r);

/* Another thread takes over until call_wake() (any thread, once): then resumed() on the loop, if the client is still
 * there, else release(). */
void call_park(struct call *c, void (*resumed)(struct call *c));
void call_wake(struct call *c);
void call_resume(struct call *c); /* the same at once, on the loop */
void call_unpark(struct call *c); /* nobody took it over: it goes on, in the function that parked it */

/* The x-protocol-version field: 1, or absent unless required. 0, or ANSWER_VERSION in *r. */
int call_check_version(const struct call *c, bool required, struct refusal *r);

/* Is it a gRPC call at all: POST, application/grpc, HTTP/2? 0 or an answer in *r. */
int call_check_grpc(const struct http_request *request, struct refusal *r);

/* No memory even for a call: 503. */
void call_refuse_unborn(struct ingest_loop *in, struct http_request *request, enum metrics_endpoint endpoint);

/* Ends the request with an outcome of the one table and its message; one line in the log. */
void call_refuse(struct call *c, const struct refusal *r);
/* Ends it for a failure of ours, an -errno: its text goes to the log, not to the client. what: "crash store". */
void call_fail(struct call *c, int error, const char *what);

/* Ends it with success. */
void call_answer(struct call *c, const struct http_response *response);
void call_answer_json(struct call *c, int status, const void *body, size_t len);
void call_answer_grpc(struct call *c, const void *message, size_t len); /* as reply_grpc_message() */

static inline const struct config *call_config(const struct call *c)
{
        return c->in->ingest->config;
}
