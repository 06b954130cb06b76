#pragma once
/* One request on its way through a use case: who sent it, what waits for another thread, and how it ends. A use case
 * embeds a call as the first member of its own state. All functions run on the loop's thread, except call_wake().
 *
 * Invariants:
 *   1. After call_refuse(), call_fail() or call_answer*() the state may be gone: return.
 *   2. While a call is parked, another thread owns what it was parked for. release() waits until the call is woken,
 *      even when the client has left.
 */

#include "http/request.h"
#include "ingest/gate.h"
#include "ingest/ingest.h"
#include "ingest/reply.h"

enum call_state {
        CALL_OPEN,     /* the loop works on it, or waits for the client to send more */
        CALL_PARKED,   /* another thread has it; the request is still open */
        CALL_ORPHANED, /* another thread has it; the request was answered meanwhile, or the client left */
        CALL_CLOSED,   /* release() frees it */
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

/* Starts a zeroed call for r. */
void call_start(struct call *c, struct ingest_loop *in, struct http_request *r, const struct call_type *type,
                const struct reply *reply);
void call_done(struct call *c); /* frees what the call itself holds; called by release() */
void call_on_close(struct http_request *r);
void call_on_timeout(struct http_request *r);

/* Hands the call to another thread, until call_wake(), which any thread may call, once. Then the loop calls resumed(),
 * or release() when the request is gone. */
void call_park(struct call *c, void (*resumed)(struct call *c));
void call_wake(struct call *c);
void call_resume(struct call *c); /* what call_wake() makes the loop do, at once */
void call_unpark(struct call *c); /* undoes call_park(): nobody took the call */

/* The x-protocol-version field: 1, or absent unless required. 0, or ANSWER_VERSION in *r. */
int call_check_version(const struct call *c, bool required, struct refusal *r);

/* Is this a gRPC call: POST, application/grpc, HTTP/2? 0, or an answer in *r. */
int call_check_grpc(const struct http_request *request, struct refusal *r);

/* Answers 503 when there is no memory for a call. */
void call_refuse_unborn(struct ingest_loop *in, struct http_request *request, enum metrics_endpoint endpoint);

/* Answers with *r and writes one line to the log. */
void call_refuse(struct call *c, const struct refusal *r);
/* Answers for a failure of ours. error is an -errno, whose text goes to the log and not to the client. what names the
 * part that failed: "crash store". */
void call_fail(struct call *c, int error, const char *what);

/* Answers with success. */
void call_answer(struct call *c, const struct http_response *response);
void call_answer_json(struct call *c, int status, const void *body, size_t len);
void call_answer_grpc(struct call *c, const void *message, size_t len); /* as reply_grpc_message() */

static inline const struct config *call_config(const struct call *c)
{
        return c->in->ingest->config;
}
