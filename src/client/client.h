#pragma once
/* HTTP out, on libcurl: one request at a time, over HTTP/1.1 or HTTP/2, in plain text or TLS. It blocks. Use a client
 * from one thread at a time. A client keeps its connection for the next request to the same server, where libcurl can
 * (before 8.0 not for HTTP/2 without TLS).
 *
 * A request carries a token, so a client goes where the URL says and nowhere else: it follows no redirect, speaks only
 * http and https, takes no proxy from the environment ($http_proxy and the like), and reads no .netrc. TLS certificates
 * are verified against the system's store. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"

struct client;

int client_new(struct client **ret);          /* 0 or -ENOMEM */
struct client *client_free(struct client *c); /* NULL-safe */
DEFINE_FREEP(client_free, struct client)

/* CLIENT_HTTP_2 means prior knowledge for http (RFC 9113 §3.3) and ALPN for https, where an old server may choose 1.1.
 */
enum client_version { CLIENT_HTTP_1, CLIENT_HTTP_2 };

struct client_header {
        const char *name, *value; /* without line breaks */
};

struct client_request {
        const char *method; /* "POST" */
        const char *url;    /* "http://127.0.0.1:4317/v1/crashes"; no user and no password in it */
        enum client_version version;
        const struct client_header *headers; /* those of HTTP itself (Host, Content-Length) are added */
        size_t n_headers;
        const struct iovec *body; /* sent one after the other; n_body 0: no body */
        size_t n_body;
        unsigned connect_timeout_ms, timeout_ms; /* of the connection; of everything. Not 0 */
        size_t answer_max_bytes;                 /* of the answer's body that are kept; the rest is read and dropped */
};

struct client_answer {
        int status;         /* 200 and above */
        struct buf headers; /* see client_answer_header() */
        struct buf body;
        bool cut; /* the body was longer */
};

void client_answer_done(struct client_answer *a);

/* The value of a header, or of a trailer (gRPC's status); the last one when there are several. Names ignore case. NULL:
 * there is none. libcurl 7.88 loses the trailers of an HTTP/2 answer when the server closes the connection right after
 * them, so a gRPC answer without a status means that nobody knows. */
const char *client_answer_header(const struct client_answer *a, const char *name);

/* UNREACHABLE: there was no connection, so nothing was sent. TIMED_OUT and BROKEN: the server may or may not have acted
 * on the request. TOO_LONG: the answer's headers. */
enum { CLIENT_UNREACHABLE = 1, CLIENT_TIMED_OUT, CLIENT_BROKEN, CLIENT_TOO_LONG };

/* 0: there is an answer, good or bad; *ret is the caller's, client_answer_done(). Else one of the above, -EINVAL (the
 * URL or a header is not valid) or -ENOMEM, and err has the reason without the URL. A kept connection that turns out to
 * be dead is replaced, and the request sent again. */
int client_send(struct client *c, const struct client_request *request, struct client_answer *ret, struct error *err);
