/* HTTP/1.1 (RFC 9112). One request at a time: while one is being answered the connection reads no further, so pipelined
 * requests wait in the socket and in `in`, and answers keep their order.
 *
 * A head is gathered whole and checked (http1_head.c) before the parser (http1_parser.c) sees it. A refused request is
 * answered and the connection closed. When a handler answers before the body is over, a short rest is read and dropped;
 * otherwise the connection closes. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/connection_internal.h"
#include "http/http1_head.h"
#include "http/http1_parser.h"

#define DROPPED_BODY_BYTES ((uint64_t)64 * 1024) /* the most of a body that we read and drop to keep the connection */

enum http1_state {
        HTTP1_HEAD,   /* gathering a head in `in` */
        HTTP1_BODY,   /* the parser takes the body; the answer is due */
        HTTP1_ANSWER, /* the body is over; the answer is due */
        HTTP1_REST,   /* answered; the rest of the body is dropped */
        HTTP1_DONE,   /* answered, and the body is over or refused: the next head, or the end */
};

struct http1 {
        struct connection *c;
        struct http1_parser *parser;
        struct http_request request;
        enum http1_state state;
        struct buf in;     /* a head being gathered, or bytes that came before their turn */
        size_t checked;    /* bytes of in already checked as head: whole lines */
        uint64_t head_ns;  /* when the first byte of this head came */
        uint64_t idle_ns;  /* since when no request is under way */
        unsigned requests; /* served */
        bool keep_alive;   /* after the present answer another request may come */
        bool draining;
};

static const struct http_transport transport;

static struct http1 *http1_of(struct http_request *r)
{
        return container_of(r, struct http1, request);
}

static void move(struct http1 *h, enum http1_state to)
{
        static const unsigned allowed[] = {
                [HTTP1_HEAD] = 1u << HTTP1_BODY | 1u << HTTP1_DONE, /* done: refused */
                [HTTP1_BODY] = 1u << HTTP1_ANSWER | 1u << HTTP1_REST,
                [HTTP1_ANSWER] = 1u << HTTP1_DONE,
                [HTTP1_REST] = 1u << HTTP1_DONE,
                [HTTP1_DONE] = 1u << HTTP1_HEAD,
        };
        assert(allowed[h->state] & 1u << to);
        h->state = to;
}

/* ---- the way of a request ---- */

static void begin_head(struct http1 *h)
{
        http_request_reset(&h->request);
        h->request.transport = &transport;
        h->checked = 0;
        h->idle_ns = connection_now_ns(h->c);
        h->head_ns = h->in.len > 0 ? h->idle_ns : 0;
        if (h->in.len == 0)
                buf_done(&h->in); /* an idle connection costs little */
}

static int refuse_and_close(struct http1 *h, struct http1_refusal why)
{
        const char *unused;
        h->keep_alive = false;
        if (h->state == HTTP1_REST) /* it has its answer */
                return CONNECTION_CLOSE;
        if (!h->request.method) /* the parser did not get that far */
                http_request_finish_head(&h->request, connection_now_ns(h->c), &unused);
        connection_refuse_request(h->c, &h->request, why.status, why.reason);
        return CONNECTION_CLOSE;
}

/* What the parser returned: 0, or what to return from feed. */
static int check_parsed(struct http1 *h, int r)
{
        return r == HTTP1_PARSER_REFUSED ? refuse_and_close(h, http1_parser_refusal(h->parser)) : r;
}

static void finish_body(struct http1 *h)
{
        move(h, h->state == HTTP1_BODY ? HTTP1_ANSWER : HTTP1_DONE);
        http_request_deliver_end(&h->request);
}

/* A complete head is in in[0..end). Parses it and begins the request. */
static int take_head(struct http1 *h, size_t end)
{
        h->requests++;
        int r = check_parsed(h, http1_parser_head(h->parser, h->in.data, end, connection_now_ns(h->c)));
        if (r != 0)
                return r;
        h->keep_alive = http1_parser_keeps_alive(h->parser) && !h->draining &&
                        h->requests < connection_limits(h->c)->http1_requests;
        buf_consume(&h->in, end);
        move(h, HTTP1_BODY);
        connection_begin_request(h->c, &h->request);
        if (http1_parser_is_complete(h->parser))
                finish_body(h);
        return 0;
}

static int take_body(struct http1 *h, const uint8_t *data, size_t len, size_t *ret_used)
{
        assert(h->state == HTTP1_BODY || h->state == HTTP1_REST);
        int r = check_parsed(h, http1_parser_body(h->parser, data, len, connection_now_ns(h->c), ret_used));
        if (r == 0 && http1_parser_is_complete(h->parser))
                finish_body(h);
        return r;
}

/* Should reading wait? While the handler holds a window's worth of body, and while an answer is due. */
static bool must_wait(const struct http1 *h)
{
        return h->state == HTTP1_ANSWER || h->request.unconsumed >= connection_limits(h->c)->http2_stream_window;
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

/* What is in `in` belongs to a head. 0 and *ret_more, or what to return from feed. */
static int step_head(struct http1 *h, bool *ret_more)
{
        struct http1_refusal why;
        size_t end = 0;
        skip_empty_lines(h);
        why.status = http1_head_check(h->in.data, h->in.len, connection_limits(h->c)->head_bytes, &h->checked, &end,
                                      &why.reason);
        *ret_more = end > 0;
        if (why.status != 0)
                return refuse_and_close(h, why);
        return end > 0 ? take_head(h, end) : 0;
}

/* Likewise to a body. */
static int step_body(struct http1 *h, bool *ret_more)
{
        size_t used = 0;
        *ret_more = h->in.len > 0;
        int r = h->in.len > 0 ? take_body(h, h->in.data, h->in.len, &used) : 0;
        if (r == 0)
                buf_consume(&h->in, used);
        return r;
}

/* Moves on as far as the bytes in `in` allow. */
static int advance(struct http1 *h)
{
        for (bool more = true; more;) {
                bool answered = h->state == HTTP1_REST || h->state == HTTP1_DONE;
                if (answered && !h->keep_alive)
                        return CONNECTION_CLOSE;
                if (h->state == HTTP1_DONE) {
                        move(h, HTTP1_HEAD);
                        begin_head(h);
                }
                if (must_wait(h) || h->c->out.len - h->c->out_done > CONNECTION_READ_BYTES) {
                        connection_pause_read(h->c, true);
                        return 0;
                }
                int r = h->state == HTTP1_HEAD ? step_head(h, &more) : step_body(h, &more);
                if (r != 0)
                        return r;
                more = more || h->state == HTTP1_ANSWER || h->state == HTTP1_DONE;
        }
        connection_pause_read(h->c, false);
        return 0;
}

static int http1_feed(struct connection *c, const uint8_t *data, size_t len)
{
        struct http1 *h = c->session;
        size_t used = 0;
        bool body = h->state == HTTP1_BODY || h->state == HTTP1_REST;
        if (body && h->in.len == 0) { /* the long way of an upload: nothing is copied here */
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
        if (http1_parser_is_complete(h->parser))
                return true;
        if (r->expects_continue || r->content_length == HTTP_LENGTH_UNKNOWN)
                return false; /* RFC 9110 §10.1.1: the client may or may not send it now */
        return r->content_length - r->body_bytes <= DROPPED_BODY_BYTES;
}

static void http1_respond(struct http_request *r, const struct http_response *response)
{
        struct http1 *h = http1_of(r);
        struct buf *out = &h->c->out;

        if (h->state == HTTP1_BODY && !rest_is_short(h))
                h->keep_alive = false;
        move(h, h->state == HTTP1_BODY ? HTTP1_REST : HTTP1_DONE);
        size_t start = out->len;
        buf_printf(out, "HTTP/1.1 %d %s\r\n", response->status, reason_phrase(response->status));
        for (size_t i = 0; i < response->n_fields; i++)
                buf_printf(out, "%s: %s\r\n", response->fields[i].name, response->fields[i].value);
        buf_append_str(out, h->keep_alive ? "\r\n" : "connection: close\r\n\r\n");
        buf_append(out, response->body, response->body_len);
        if (out->error < 0) { /* half an answer is worse than none */
                out->len = start;
                h->keep_alive = false;
        }
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
        int before = h->c->out.error;
        buf_append_str(&h->c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        h->c->out.error = before; /* it may be left out: the answer is what counts */
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
        return connection_is_closing(c) ? 0 : advance(h);
}

/* A client may shut down its side once the request is out (RFC 9112 §9.6); then only the answer is due. */
static int http1_end(struct connection *c)
{
        struct http1 *h = c->session;
        h->keep_alive = false;
        return h->state == HTTP1_ANSWER || h->state == HTTP1_DONE ? 0 : CONNECTION_CLOSE;
}

static int http1_tick(struct connection *c, uint64_t now)
{
        const struct config_limits *l = connection_limits(c);
        struct http1 *h = c->session;

        if (h->state == HTTP1_HEAD) {
                if (h->head_ns)
                        return now - h->head_ns > l->head_timeout_secs * second_ns ? -ETIMEDOUT : 0;
                return now - h->idle_ns > l->idle_timeout_secs * second_ns ? -ETIMEDOUT : 0;
        }
        if (h->state == HTTP1_REST)
                return now - c->read_ns > l->body_idle_timeout_secs * second_ns ? -ETIMEDOUT : 0;
        if (!http_request_is_slow(&h->request, now, l->body_idle_timeout_secs, l->body_min_rate))
                return 0;
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
        return h->state == HTTP1_HEAD && h->in.len == 0 ? CONNECTION_CLOSE : 0;
}

static int http1_open(struct connection *c)
{
        struct http1 *h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->parser = http1_parser_new(&h->request, connection_limits(c));
        if (!h->parser) {
                free(h);
                return -ENOMEM;
        }
        h->c = c;
        h->keep_alive = true;
        c->session = h;
        begin_head(h);
        return 0;
}

static void http1_free(struct connection *c)
{
        struct http1 *h = c->session;
        http_request_abort(&h->request);
        http_request_done(&h->request);
        http1_parser_free(h->parser);
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
