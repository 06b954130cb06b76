/* HTTP/1.1 (RFC 9112) through llhttp, which only this file knows. One request at a time: while one is being answered
 * the connection reads no further, so pipelined requests wait in the socket and in `in`, and answers keep their order.
 *
 * A head is gathered whole and checked (http1_head.c) before llhttp sees it. What stands between the pieces of a
 * chunked body is checked here: llhttp sets no bound to it, and some versions forgive a bare CR or LF. A refused
 * request is answered and the connection closed. When a handler answers before the body is over, a short rest is read
 * and dropped; otherwise the connection closes. */

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>

#include "http/connection_internal.h"
#include "http/http1_head.h"

#define DROPPED_BODY_BYTES ((uint64_t)64 * 1024) /* a rest of a body worth reading to keep the connection */
#define FRAMING_BYTES 4096                       /* of a chunked body: between two pieces of it, or after the last */

enum state {
        STATE_HEAD,   /* gathering a head in `in` */
        STATE_BODY,   /* the parser takes the body */
        STATE_ANSWER, /* body over, the answer is due */
};

struct http1 {
        struct connection *c;
        llhttp_t parser;
        struct http_request request;
        enum state state;
        struct buf in;     /* a head being gathered, or bytes that came before their turn */
        size_t checked;    /* bytes of in already checked as head: whole lines */
        uint64_t head_ns;  /* when the first byte of this head came */
        uint64_t idle_ns;  /* since when no request is under way */
        unsigned requests; /* served */
        const char *field; /* name under way, in `in` */
        size_t field_len;
        const char *framing;  /* in the bytes being parsed: where the last piece of body ended */
        size_t framing_bytes; /* since that piece */
        char framing_last;    /* the last byte of these */
        bool keep_alive, answered, complete, draining, chunked;
        const char *refusal; /* why the request is refused; NULL: llhttp knows */
        int refusal_status;  /* 0: 400 */
        int error;           /* of ours, -errno, met by a callback */
};

static const struct http_transport transport;

static struct http1 *http1_of(struct http_request *r)
{
        return container_of(r, struct http1, request);
}

/* What a callback returns in order to refuse the request. */
static int refuse(struct http1 *h, int status, const char *why)
{
        h->refusal_status = status;
        h->refusal = why;
        return HPE_USER;
}

/* Bytes up to `to` are no body: chunk sizes with their extensions, line ends, trailers. RFC 9112 §7.1. */
static int take_framing(struct http1 *h, const char *to)
{
        h->framing_bytes += (size_t)(to - h->framing);
        if (h->framing_bytes > FRAMING_BYTES)
                return refuse(h, 431, "chunk extensions or trailer section too large");
        for (; h->framing < to; h->framing_last = *h->framing++) {
                if ((*h->framing == '\n') != (h->framing_last == '\r'))
                        return refuse(h, 400, "bare CR or LF in a chunked body");
        }
        return 0;
}

/* ---- what llhttp calls; pointers into the head stay put, as it was gathered whole ---- */

/* Why a callback stops the parser, when the peer is not to blame. */
static int fail(struct http1 *h, int error)
{
        h->error = error;
        return HPE_USER;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
        struct http1 *h = p->data;
        const char *method = llhttp_method_name((llhttp_method_t)llhttp_get_method(p));
        int r = http_request_set_method(&h->request, method, strlen(method));
        if (r == 0)
                r = http_request_set_target(&h->request, at, len);
        return r < 0 ? fail(h, r) : 0;
}

/* Trailers are read over: take_framing() bounds them. */
static int on_header_field(llhttp_t *p, const char *at, size_t len)
{
        struct http1 *h = p->data;
        h->field = at;
        h->field_len = len;
        return 0;
}

static int on_header_value(llhttp_t *p, const char *at, size_t len)
{
        struct http1 *h = p->data;
        if (h->state == STATE_BODY)
                return 0;
        if (h->request.n_fields >= connection_limits(h->c)->head_fields)
                return refuse(h, 431, "too many header fields");
        int r = http_request_add_field(&h->request, h->field, h->field_len, at, len);
        return r < 0 ? fail(h, r) : 0;
}

static int on_headers_complete(llhttp_t *p)
{
        struct http1 *h = p->data;
        h->request.version = llhttp_get_http_minor(p) >= 1 ? 11 : 10;
        h->keep_alive = llhttp_should_keep_alive(p) && !h->draining && h->request.version == 11 &&
                        h->requests < connection_limits(h->c)->http1_requests;
        h->chunked = p->flags & F_CHUNKED;
        return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
        struct http1 *h = p->data;
        if (take_framing(h, at) != 0)
                return HPE_USER;
        h->framing = at + len;
        h->framing_bytes = 0;
        h->framing_last = '\0';
        http_request_deliver(&h->request, (const uint8_t *)at, len, connection_now_ns(h->c));
        return 0;
}

static int on_message_complete(llhttp_t *p)
{
        struct http1 *h = p->data;
        h->complete = true;
        return HPE_PAUSED; /* what follows is the next request */
}

static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
};

/* ---- heads ---- */

static void begin_head(struct http1 *h)
{
        llhttp_init(&h->parser, HTTP_REQUEST, &settings);
        h->parser.data = h;
        http_request_reset(&h->request);
        h->request.transport = &transport;
        h->state = STATE_HEAD;
        h->checked = 0;
        h->framing_bytes = 0;
        h->framing_last = '\0';
        h->answered = h->complete = h->chunked = false;
        h->refusal = NULL;
        h->refusal_status = h->error = 0;
        h->idle_ns = connection_now_ns(h->c);
        h->head_ns = h->in.len > 0 ? h->idle_ns : 0;
        if (h->in.len == 0)
                buf_done(&h->in); /* an idle connection costs little */
}

static const char *parser_error(const struct http1 *h)
{
        switch (llhttp_get_errno(&h->parser)) {
        case HPE_UNEXPECTED_CONTENT_LENGTH: return "both content-length and transfer-encoding, or two lengths";
        case HPE_INVALID_CONTENT_LENGTH: return "bad content-length field";
        case HPE_INVALID_CHUNK_SIZE: return "bad chunk size";
        case HPE_INVALID_CONSTANT: /* a method of another protocol */
        case HPE_INVALID_METHOD: return "bad request method";
        case HPE_INVALID_URL: return "bad request target";
        case HPE_INVALID_HEADER_TOKEN: return "bad header field";
        case HPE_INVALID_TRANSFER_ENCODING: return "transfer coding not understood";
        default: return h->state == STATE_BODY ? "bad chunked body" : "bad HTTP/1.1 request";
        }
}

static int refuse_and_close(struct http1 *h)
{
        const char *reason = h->refusal ? h->refusal : parser_error(h), *unused;
        if (h->error < 0)
                return h->error;
        h->keep_alive = false;
        if (h->answered)
                return CONNECTION_CLOSE;
        if (h->request.begun) { /* the handler has it: its stream dies */
                http_request_abort(&h->request);
                h->request.answered = false;
        } else if (!h->request.method) {
                http_request_finish_head(&h->request, connection_now_ns(h->c), &unused);
        }
        connection_refuse_request(h->c, &h->request, h->refusal_status ? h->refusal_status : 400, reason);
        return CONNECTION_CLOSE;
}

/* RFC 9110 §2.5: a higher minor version is read as 1.1. llhttp refuses it. */
static void lower_version(struct http1 *h, size_t end)
{
        uint8_t *minor = (uint8_t *)memchr(h->in.data, '\r', end) - 1;
        if (*minor > '1')
                *minor = '1';
}

/* RFC 9112 §3.2: a Host field, once, unless HTTP/1.0. §6.3: the length of the body is certain; llhttp passes over an
 * empty transfer-encoding. */
static int check_request(struct http1 *h)
{
        const char *reason = NULL;
        if (http_request_finish_head(&h->request, connection_now_ns(h->c), &reason) != 0)
                return refuse(h, 400, reason);
        if (h->request.version == 11 && !http_request_field(&h->request, "host"))
                return refuse(h, 400, "missing host field");
        if (!h->chunked && http_request_field(&h->request, "transfer-encoding"))
                return refuse(h, 400, "transfer coding not understood");
        return 0;
}

static int parse(struct http1 *h, const uint8_t *data, size_t len, size_t *ret_used)
{
        llhttp_errno_t e = llhttp_execute(&h->parser, (const char *)data, len);
        *ret_used = e == HPE_OK ? len : (size_t)(llhttp_get_error_pos(&h->parser) - (const char *)data);
        return e == HPE_OK || (e == HPE_PAUSED && h->complete) ? 0 : -1;
}

/* A complete head is in in[0..end). Parses it and begins the request. */
static int take_head(struct http1 *h, size_t end)
{
        size_t used;
        h->requests++;
        lower_version(h, end);
        if (parse(h, h->in.data, end, &used) < 0 || check_request(h) != 0)
                return refuse_and_close(h);
        buf_consume(&h->in, end);
        h->state = STATE_BODY;
        connection_begin_request(h->c, &h->request);
        if (h->complete)
                http_request_deliver_end(&h->request);
        return 0;
}

/* ---- the way of a request ---- */

static int take_body(struct http1 *h, const uint8_t *data, size_t len, size_t *ret_used)
{
        h->framing = (const char *)data;
        if (parse(h, data, len, ret_used) < 0 || take_framing(h, (const char *)data + *ret_used) != 0)
                return refuse_and_close(h);
        if (h->complete)
                http_request_deliver_end(&h->request);
        return 0;
}

/* Should reading wait? While the handler holds a window's worth of body, and while an answer is due. */
static bool must_wait(const struct http1 *h)
{
        return (h->state == STATE_ANSWER && !h->answered) ||
               h->request.unconsumed >= connection_limits(h->c)->http2_stream_window;
}

/* RFC 9112 §2.2: empty lines before a request are passed over. */
static void skip_empty_lines(struct http1 *h)
{
        while (h->in.len >= 2 && memcmp(h->in.data, "\r\n", 2) == 0) {
                buf_consume(&h->in, 2);
                h->checked = 0;
        }
        if (h->in.len > 0 && h->head_ns == 0)
                h->head_ns = connection_now_ns(h->c);
}

/* One step with what is in `in`: 0 and *ret_more, or what to return from feed. */
static int step(struct http1 *h, bool *ret_more)
{
        size_t used = 0;
        int r;

        if (h->state == STATE_HEAD) {
                skip_empty_lines(h);
                h->refusal_status = http1_head_check(h->in.data, h->in.len, connection_limits(h->c)->head_bytes,
                                                     &h->checked, &used, &h->refusal);
                if (h->refusal_status != 0)
                        return refuse_and_close(h);
                *ret_more = used > 0;
                return used > 0 ? take_head(h, used) : 0;
        }
        *ret_more = h->in.len > 0;
        if (h->in.len == 0)
                return 0;
        r = take_body(h, h->in.data, h->in.len, &used);
        if (r == 0)
                buf_consume(&h->in, used);
        return r;
}

/* Moves on as far as the bytes in `in` allow. */
static int advance(struct http1 *h)
{
        for (bool more = true; more;) {
                if (h->state == STATE_BODY && h->complete)
                        h->state = STATE_ANSWER;
                if (h->answered && !h->keep_alive)
                        return CONNECTION_CLOSE;
                if (h->answered && h->state == STATE_ANSWER)
                        begin_head(h);
                if (must_wait(h) || h->c->out.len - h->c->out_done > CONNECTION_READ_BYTES) {
                        connection_pause_read(h->c, true);
                        return 0;
                }
                int r = step(h, &more);
                if (r != 0)
                        return r;
                more = more || h->complete;
        }
        connection_pause_read(h->c, false);
        return 0;
}

static int http1_feed(struct connection *c, const uint8_t *data, size_t len)
{
        struct http1 *h = c->session;
        size_t used = 0;
        if (h->state == STATE_BODY && h->in.len == 0) { /* the long way of an upload: nothing is copied here */
                int r = take_body(h, data, len, &used);
                if (r != 0)
                        return r;
        }
        int r = buf_append(&h->in, data + used, len - used);
        return r < 0 ? r : advance(h);
}

/* ---- answers ---- */

static const char *reason_phrase(int status)
{
        switch (status) {
        case 200: return "OK";
        case 201: return "Created";
        case 204: return "No Content";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 412: return "Precondition Failed";
        case 413: return "Payload Too Large";
        case 415: return "Unsupported Media Type";
        case 422: return "Unprocessable Entity";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "";
        }
}

static bool rest_is_short(const struct http1 *h)
{
        const struct http_request *r = &h->request;
        if (h->complete)
                return true;
        if (r->expects_continue || r->content_length == HTTP_LENGTH_UNKNOWN)
                return false; /* RFC 9110 §10.1.1: the client may or may not send it now */
        return r->content_length - r->body_bytes <= DROPPED_BODY_BYTES;
}

static void http1_respond(struct http_request *r, const struct http_response *response)
{
        struct http1 *h = http1_of(r);
        struct buf *out = &h->c->out;

        if (!rest_is_short(h))
                h->keep_alive = false;
        size_t start = out->len;
        int e = buf_printf(out, "HTTP/1.1 %d %s\r\n", response->status, reason_phrase(response->status));
        for (size_t i = 0; e == 0 && i < response->n_fields; i++)
                e = buf_printf(out, "%s: %s\r\n", response->fields[i].name, response->fields[i].value);
        if (e == 0)
                e = buf_append_str(out, h->keep_alive ? "\r\n" : "connection: close\r\n\r\n");
        if (e == 0)
                e = buf_append(out, response->body, response->body_len);
        if (e < 0) { /* half an answer is worse than none */
                out->len = start;
                h->keep_alive = false;
        }
        h->answered = true;
        connection_wants_flush(h->c);
}

static void http1_consume(struct http_request *r, size_t n _unused_)
{
        connection_wants_flush(http1_of(r)->c); /* produce() looks whether to read on */
}

static void http1_accept_body(struct http_request *r, unsigned window_bytes _unused_)
{
        struct http1 *h = http1_of(r);
        if (!r->expects_continue || r->body_bytes > 0)
                return;
        buf_append_str(&h->c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        connection_wants_flush(h->c);
}

static const struct http_transport transport = {
        .respond = http1_respond,
        .consume = http1_consume,
        .accept_body = http1_accept_body,
};

static int http1_produce(struct connection *c)
{
        struct http1 *h = c->session;
        return c->closing ? 0 : advance(h);
}

/* A client may shut down its side once the request is out (RFC 9112 §9.6); then only the answer is due. */
static int http1_end(struct connection *c)
{
        struct http1 *h = c->session;
        h->keep_alive = false;
        return h->state == STATE_ANSWER ? 0 : CONNECTION_CLOSE;
}

static int http1_tick(struct connection *c, uint64_t now)
{
        const struct config_limits *l = connection_limits(c);
        struct http1 *h = c->session;

        if (h->state == STATE_HEAD) {
                if (h->head_ns)
                        return now - h->head_ns > l->head_timeout_secs * second_ns ? -ETIMEDOUT : 0;
                return now - h->idle_ns > l->idle_timeout_secs * second_ns ? -ETIMEDOUT : 0;
        }
        if (!http_request_is_slow(&h->request, now, l->body_idle_timeout_secs, l->body_min_rate))
                return h->state == STATE_BODY && h->answered && now - c->read_ns > l->body_idle_timeout_secs * second_ns
                               ? -ETIMEDOUT
                               : 0;
        h->keep_alive = false;
        if (h->request.ops && h->request.ops->timeout)
                h->request.ops->timeout(&h->request);
        return CONNECTION_CLOSE;
}

static int http1_drain(struct connection *c)
{
        struct http1 *h = c->session;
        h->draining = true;
        h->keep_alive = false;
        return h->state == STATE_HEAD && h->in.len == 0 ? CONNECTION_CLOSE : 0;
}

static int http1_open(struct connection *c)
{
        struct http1 *h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->c = c;
        h->keep_alive = true;
        c->session = h;
        begin_head(h);
        return 0;
}

static void http1_free(struct connection *c)
{
        struct http1 *h = c->session;
        if (h->request.begun)
                http_request_abort(&h->request);
        http_request_done(&h->request);
        buf_done(&h->in);
        free(h);
}

const struct connection_protocol http1_protocol = {
        .name = "HTTP/1.1",
        .open = http1_open,
        .feed = http1_feed,
        .produce = http1_produce,
        .end = http1_end,
        .tick = http1_tick,
        .drain = http1_drain,
        .free = http1_free,
};
