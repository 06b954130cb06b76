#pragma once
/* A connection as its protocol (http1.c, http2.c) sees it. Loop's thread.
 *
 * Invariants:
 *   1. Only connection.c frees a connection, and only between callbacks: a protocol says so by its return code.
 *   2. Output is appended to out (or produced on demand) and written once at the end of a loop pass.
 */

#include "http/connection.h"
#include "http/request_internal.h"

#define CONNECTION_READ_BYTES ((size_t)64 * 1024) /* one read; also what out may hold before a protocol waits */
#define CONNECTION_PREFACE_BYTES 24               /* RFC 9113 §3.4 */

static const uint64_t second_ns = 1000000000u;

struct connection;

enum {
        CONNECTION_CLOSE = 1, /* write what is in out, then close */
};

struct connection_protocol {
        const char *name;
        int (*open)(struct connection *c);
        /* Bytes arrived. 0, CONNECTION_CLOSE, or -errno: close at once. */
        int (*feed)(struct connection *c, const uint8_t *data, size_t len);
        /* out is empty: append what is to be sent next, up to about CONNECTION_READ_BYTES. Codes as above. */
        int (*produce)(struct connection *c);
        /* The peer sends no more. 0: an answer is still due. Other codes as above. */
        int (*end)(struct connection *c);
        /* Once a second. Codes as above. */
        int (*tick)(struct connection *c, uint64_t now_ns);
        int (*drain)(struct connection *c);
        void (*free)(struct connection *c); /* aborts its requests */
};

enum connection_state {
        CONNECTION_OPENING,   /* the first bytes have not said which protocol it is */
        CONNECTION_SERVING,   /* the protocol reads and writes */
        CONNECTION_CLOSING,   /* no more is read; when out is empty it is shut down */
        CONNECTION_LINGERING, /* shut down for writing; what the peer still sends is dropped until it closes */
};

struct connection {
        struct loop_io io;
        struct connection_set *set;
        struct connection *prev, *next;
        struct sockaddr_storage address;
        char peer[64];

        const struct connection_protocol *protocol; /* NULL while OPENING */
        void *session;                              /* the protocol's */
        uint8_t first[CONNECTION_PREFACE_BYTES];
        size_t n_first;

        struct buf out;
        size_t out_done; /* bytes of out already written */
        uint32_t watching;
        struct loop_task flush;
        bool flush_queued, read_paused;
        bool peer_ended; /* it sends no more; it may still read */
        enum connection_state state;
        uint64_t linger_bytes;

        uint64_t opened_ns, read_ns, write_ns; /* last progress */
};

struct connection_set {
        struct loop *loop;
        struct connection_set_config config;
        struct connection *first;
        bool draining;
        uint64_t drain_ns;             /* since when */
        void (*empty)(void *userdata); /* due when draining and the last is gone */
        void *empty_userdata;
        struct http2_stream *spare_streams; /* with their buffers, for the next requests */
        unsigned n_spare_streams;
        uint8_t scratch[CONNECTION_READ_BYTES];
};

extern const struct connection_protocol http1_protocol;
extern const struct connection_protocol http2_protocol;

void http2_streams_drop_spare(struct connection_set *s);

/* Something is to be sent: writes at the end of this pass. */
void connection_wants_flush(struct connection *c);
/* Stop or go on reading from the socket (HTTP/1.1 back-pressure). */
void connection_pause_read(struct connection *c, bool pause);

static inline bool connection_is_closing(const struct connection *c)
{
        return c->state >= CONNECTION_CLOSING;
}

static inline const struct config_limits *connection_limits(const struct connection *c)
{
        return c->set->config.limits;
}

static inline uint64_t connection_now_ns(const struct connection *c)
{
        return loop_now_ns(c->set->loop);
}

/* A request's head is complete: counts it and hands it to the server's handler. */
void connection_begin_request(struct connection *c, struct http_request *r);

/* The transport itself refuses a request, before or instead of the handler: counted, logged, answered. */
void connection_refuse_request(struct connection *c, struct http_request *r, int status, const char *message);
