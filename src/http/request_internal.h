#pragma once
/* What the transports (http1.c, http2.c) share about requests. Loop's thread. */

#include "http/request.h"

#define HTTP_FIELDS_EXTRA 4 /* what a response gains: x-request-id, date, content-length, content-encoding */

/* How a transport sends. The response is complete: all fields are in it. */
struct http_transport {
        void (*respond)(struct http_request *r, const struct http_response *response);
        void (*consume)(struct http_request *r, size_t n);
        void (*accept_body)(struct http_request *r, unsigned window_bytes);
};

/* Where a request is in its life: HEAD, then BODY and ENDED, then OVER. */
void http_request_begin(struct http_request *r); /* the handler has it from here on */

/* Building a head: reset, then set and add, then finish. Keeps the buffers. 0 or -ENOMEM. */
void http_request_reset(struct http_request *r);
void http_request_done(struct http_request *r); /* frees what it holds */
int http_request_set_method(struct http_request *r, const char *method, size_t len);
int http_request_set_target(struct http_request *r, const char *target, size_t len);
int http_request_add_field(struct http_request *r, const char *name, size_t name_len, const char *value,
                           size_t value_len);

/* The head is whole: resolves pointers, reads content-length and expect, chooses the id. 0, or HTTP_HEAD_BAD with a
 * reason when it cannot be served: a duplicated field that must stand once, a bad target or content-length. */
enum { HTTP_HEAD_BAD = 1 };
int http_request_finish_head(struct http_request *r, uint64_t now_ns, const char **ret_reason);

/* A piece of body: counts it and lends it, or drops it when the answer is already out. */
void http_request_deliver(struct http_request *r, const uint8_t *data, size_t len, uint64_t now_ns);
void http_request_deliver_end(struct http_request *r);
/* The stream died: if the handler still has the request, it loses it. */
void http_request_abort(struct http_request *r);

/* Has the body stood still, or crept, for too long? Never while it is us who hold it up. */
bool http_request_is_slow(struct http_request *r, uint64_t now_ns, unsigned idle_secs, unsigned min_rate);

/* An answer of the transport itself, before or instead of a handler's: the JSON error body of docs/protocol.md. A
 * handler that has the request loses it first. */
void http_request_refuse(struct http_request *r, int status, const char *message);
