#pragma once
/* What http2.c (the connection) and http2_stream.c (its streams and their answers) share; nobody else includes it, or
 * nghttp2. Loop's thread. */

#include <nghttp2/nghttp2.h>

#include "http/connection_internal.h"

#define HTTP2_DROPPED_BODY_BYTES ((uint64_t)64 * 1024) /* of a request already answered */
#define HTTP2_DROPPED_BODY_NS 2000000000u

/* A leaking count of what a peer may do now and then, not all the time. */
struct leak {
        unsigned level;
        uint64_t since_ns;
};

enum http2_state {
        HTTP2_SERVING,
        HTTP2_DRAINING,  /* GOAWAY with the highest id and a PING are out */
        HTTP2_GONE_AWAY, /* so is GOAWAY with the last stream taken */
};

struct http2 {
        struct connection *c;
        nghttp2_session *session;
        struct http2_stream *first;
        unsigned n_streams;
        enum http2_state state;
        uint64_t drain_ns, active_ns;
        struct leak resets, sent_resets;
};

struct http2_stream {
        struct http_request request;
        struct http2 *h;
        struct http2_stream *prev, *next;
        int32_t id;
        size_t head_bytes;
        const char *refusal; /* of the head */
        struct buf body;     /* of the answer */
        size_t body_done;
        bool overdue;            /* the answer is out, the request is not over */
        uint64_t dropped;        /* bytes of body since then */
        uint64_t progress_ns;    /* when the head began, then when the answer last moved */
        struct buf trailer_text; /* name NUL value NUL, n_trailers times */
        size_t n_trailers;
};

static inline struct http2_stream *http2_stream_of(struct http_request *r)
{
        return container_of(r, struct http2_stream, request);
}

static inline void http2_flush(struct http2 *h)
{
        connection_wants_flush(h->c);
}

/* Belongs to the connection until freed. NULL on ENOMEM. */
struct http2_stream *http2_stream_new(struct http2 *h, int32_t id);
void http2_stream_free(struct http2_stream *s); /* aborts its request */

/* Once a second: ends what is too slow. 0, or -errno: the connection is to go. */
int http2_stream_check_all(struct http2 *h, uint64_t now_ns);
