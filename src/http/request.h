#pragma once
/* One HTTP exchange as a handler sees it, whichever version of HTTP carries it: a head, a body that streams in, one
 * answer. Everything here belongs to the connection's loop thread.
 *
 * Life of a request: the transport fills the head and calls the handler's begin(), which sets ops and state, or answers
 * at once. Then data() for each piece of the body, end() after the last, until http_respond(). close() comes exactly
 * once and last: inside http_respond(), or when the stream dies first. After close() the request is gone.
 *
 * Back-pressure: data() only lends the bytes. The peer may send more once http_request_consume() says that they are
 * dealt with; until then at most one window (limits.http2_stream_window) of them arrives.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define HTTP_REQUEST_ID_SIZE 129 /* 128 printable characters + NUL */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

struct http_request;

struct http_request_ops {
        void (*data)(struct http_request *r, const uint8_t *data, size_t len);
        void (*end)(struct http_request *r);
        void (*timeout)(struct http_request *r); /* the body comes too slowly: answer, or be closed */
        void (*close)(struct http_request *r);
};

struct http_field {
        const char *name; /* lower-case */
        const char *value;
};

struct http_response {
        int status;
        const struct http_field *fields; /* besides x-request-id, date and content-length */
        size_t n_fields;
        const void *body; /* copied */
        size_t body_len;
        const struct http_field *trailers; /* HTTP/2 only; dropped on HTTP/1.1 */
        size_t n_trailers;
        bool no_length;    /* gRPC: no content-length field */
        bool may_compress; /* gzip it when the client accepts that and it pays */
};

struct http_transport;
struct http_field_ref {
        uint32_t name, value; /* offsets into head */
        uint32_t name_len;
};

enum http_request_state {
        HTTP_REQUEST_HEAD,  /* the transport's: the head is being received */
        HTTP_REQUEST_BODY,  /* the handler's: begin() was called, body may come */
        HTTP_REQUEST_ENDED, /* the handler's: the body is over, the answer is due */
        HTTP_REQUEST_OVER,  /* answered or aborted; what still comes of the body is dropped */
};

struct http_request {
        /* The head; read-only for handlers. */
        const char *method;
        const char *path;  /* as sent, without the query */
        const char *query; /* without '?'; NULL: none */
        unsigned version;  /* 10, 11 or 20 */
        uint64_t content_length;
        bool expects_continue;
        char id[HTTP_REQUEST_ID_SIZE]; /* the answer's x-request-id */
        const char *peer;              /* "192.0.2.1:40000" */
        uint64_t peer_address;         /* address_table_number() of it */
        uint64_t started_ns;           /* CLOCK_MONOTONIC, when the head was complete */

        /* The handler's. */
        const struct http_request_ops *ops;
        void *state;

        /* The transport's. */
        const struct http_transport *transport;
        struct buf head;
        uint32_t method_at, target_at; /* offsets into head */
        struct http_field_ref *fields;
        unsigned n_fields, cap_fields;
        size_t unconsumed; /* body bytes lent and not yet consumed */
        uint64_t body_bytes;
        uint64_t body_active_ns;          /* when the body last moved, or was last held up by us */
        uint64_t body_started_ns;         /* when the body began, or was last held up by us */
        uint64_t body_since;              /* body_bytes at body_started_ns */
        enum http_request_state progress; /* changed by request.c alone */
};

/* The first field of that lower-case name; NULL when absent. */
const char *http_request_field(const struct http_request *r, const char *name);

/* n bytes lent by data() are dealt with. */
void http_request_consume(struct http_request *r, size_t n);

/* The body is wanted: sends 100 Continue when the client waits for it, and opens its window to window_bytes where that
 * is more than it has (0: leave it). */
void http_request_accept_body(struct http_request *r, unsigned window_bytes);

/* Answers and ends the exchange; calls close(). The request must not be touched afterwards. */
void http_respond(struct http_request *r, const struct http_response *response);

/* Does an Accept-Encoding value allow gzip (RFC 9110 §12.5.3)? */
bool http_accepts_gzip(const char *accept_encoding);
