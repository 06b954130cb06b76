/* llhttp, strict, with all its leniencies off. A head comes in one piece, so that llhttp calls once for each name and
 * value, and its pointers hold for the whole head.
 *
 * Between the pieces of a chunked body this file looks for itself: llhttp sets no bound to chunk extensions, leading
 * zeros and trailers, and its versions differ in whether they forgive a bare CR or LF there, which would let two
 * readers see two different ends of a request. */

#include "http/http1_parser.h"

#include <assert.h>
#include <errno.h>
#include <llhttp.h>
#include <string.h>

struct http1_parser {
        llhttp_t llhttp;
        struct http_request *request;
        const struct config_limits *limits;
        uint64_t now_ns;              /* of the bytes being parsed */
        bool in_body;                 /* the head is taken */
        bool complete;                /* so is everything */
        bool chunked;                 /* the body's coding */
        bool keeps_alive;             /* said the head */
        const char *field;            /* the name that a value belongs to, in the head */
        size_t field_len;             /* of field */
        const char *framing;          /* in the bytes being parsed: where the last piece of body ended */
        size_t framing_bytes;         /* since that piece */
        char framing_last;            /* the last of these bytes; NUL: none */
        struct http1_refusal refusal; /* reason NULL: llhttp knows it */
        int error;                    /* -errno of ours that stopped llhttp */
};

/* Refuses the request: what a callback returns then. */
static int refuse(struct http1_parser *p, int status, const char *reason)
{
        p->refusal = (struct http1_refusal){ status, reason };
        return HPE_USER;
}

/* Bytes up to `to` are no body: chunk sizes with their extensions, line ends, trailers. RFC 9112 §7.1. */
static int take_framing(struct http1_parser *p, const char *to)
{
        assert(p->framing <= to);
        p->framing_bytes += (size_t)(to - p->framing);
        if (p->framing_bytes > HTTP1_FRAMING_BYTES)
                return refuse(p, 431, "chunk extensions or trailer section too large");
        for (; p->framing < to; p->framing_last = *p->framing++) {
                if ((*p->framing == '\n') != (p->framing_last == '\r'))
                        return refuse(p, 400, "bare CR or LF in a chunked body");
        }
        return 0;
}

/* ---- what llhttp calls ---- */

/* It was our fault, not the peer's. */
static int stop(struct http1_parser *p, int error)
{
        p->error = error;
        return HPE_USER;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http1_parser *p = llhttp->data;
        const char *method = llhttp_method_name((llhttp_method_t)llhttp_get_method(llhttp));
        int r = http_request_set_method(p->request, method, strlen(method));
        if (r == 0)
                r = http_request_set_target(p->request, at, len);
        return r < 0 ? stop(p, r) : 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http1_parser *p = llhttp->data;
        p->field = at;
        p->field_len = len;
        return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http1_parser *p = llhttp->data;
        if (p->in_body) /* a trailer: nobody asks for it */
                return 0;
        if (p->request->n_fields >= p->limits->head_fields)
                return refuse(p, 431, "too many header fields");
        int r = http_request_add_field(p->request, p->field, p->field_len, at, len);
        return r < 0 ? stop(p, r) : 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
        struct http1_parser *p = llhttp->data;
        p->request->version = llhttp_get_http_minor(llhttp) >= 1 ? 11 : 10;
        p->keeps_alive = p->request->version == 11 && llhttp_should_keep_alive(llhttp);
        p->chunked = llhttp->flags & F_CHUNKED;
        return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http1_parser *p = llhttp->data;
        if (take_framing(p, at) != 0)
                return HPE_USER;
        p->framing = at + len;
        p->framing_bytes = 0;
        p->framing_last = '\0';
        http_request_deliver(p->request, (const uint8_t *)at, len, p->now_ns);
        return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
        struct http1_parser *p = llhttp->data;
        p->complete = true;
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

/* ---- parsing ---- */

struct http1_parser *http1_parser_new(struct http_request *request, const struct config_limits *limits)
{
        struct http1_parser *p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->request = request;
        p->limits = limits;
        return p;
}

struct http1_parser *http1_parser_free(struct http1_parser *p)
{
        free(p);
        return NULL;
}

static int parse(struct http1_parser *p, const uint8_t *data, size_t len, uint64_t now_ns, size_t *ret_used)
{
        p->now_ns = now_ns;
        llhttp_errno_t e = llhttp_execute(&p->llhttp, (const char *)data, len);
        *ret_used = e == HPE_OK ? len : (size_t)(llhttp_get_error_pos(&p->llhttp) - (const char *)data);
        if (p->error < 0)
                return p->error;
        return e == HPE_OK || (e == HPE_PAUSED && p->complete) ? 0 : HTTP1_PARSER_REFUSED;
}

/* RFC 9110 §2.5: a higher minor version is read as 1.1. llhttp refuses it. */
static void lower_version(uint8_t *head, size_t len)
{
        uint8_t *end = memchr(head, '\r', len);
        assert(end && end > head);
        if (end[-1] > '1')
                end[-1] = '1';
}

/* RFC 9112 §3.2: a Host field, once, unless HTTP/1.0. §6.3: the length of the body is certain; llhttp passes over an
 * empty transfer-encoding. */
static int check_head(struct http1_parser *p)
{
        const char *reason = NULL;
        if (http_request_finish_head(p->request, p->now_ns, &reason) != 0)
                return refuse(p, 400, reason);
        if (p->request->version == 11 && !http_request_field(p->request, "host"))
                return refuse(p, 400, "missing host field");
        if (!p->chunked && http_request_field(p->request, "transfer-encoding"))
                return refuse(p, 400, "transfer coding not understood");
        return 0;
}

int http1_parser_head(struct http1_parser *p, uint8_t *head, size_t len, uint64_t now_ns)
{
        size_t used;
        *p = (struct http1_parser){ .request = p->request, .limits = p->limits };
        llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
        p->llhttp.data = p;
        lower_version(head, len);
        int r = parse(p, head, len, now_ns, &used);
        if (r == 0 && check_head(p) != 0)
                r = HTTP1_PARSER_REFUSED;
        p->in_body = r == 0;
        return r;
}

int http1_parser_body(struct http1_parser *p, const uint8_t *data, size_t len, uint64_t now_ns, size_t *ret_used)
{
        assert(p->in_body && !p->complete);
        p->framing = (const char *)data;
        int r = parse(p, data, len, now_ns, ret_used);
        if (r == 0 && take_framing(p, (const char *)data + *ret_used) != 0)
                r = HTTP1_PARSER_REFUSED;
        return r;
}

bool http1_parser_is_complete(const struct http1_parser *p)
{
        return p->complete;
}

bool http1_parser_keeps_alive(const struct http1_parser *p)
{
        return p->keeps_alive;
}

static const char *llhttp_reason(const struct http1_parser *p)
{
        switch (llhttp_get_errno(&p->llhttp)) {
        case HPE_UNEXPECTED_CONTENT_LENGTH: return "both content-length and transfer-encoding, or two lengths";
        case HPE_INVALID_CONTENT_LENGTH: return "bad content-length field";
        case HPE_INVALID_CHUNK_SIZE: return "bad chunk size";
        case HPE_INVALID_CONSTANT: /* a method of another protocol */
        case HPE_INVALID_METHOD: return "bad request method";
        case HPE_INVALID_URL: return "bad request target";
        case HPE_INVALID_HEADER_TOKEN: return "bad header field";
        case HPE_INVALID_TRANSFER_ENCODING: return "transfer coding not understood";
        default: return p->in_body ? "bad chunked body" : "bad HTTP/1.1 request";
        }
}

struct http1_refusal http1_parser_refusal(const struct http1_parser *p)
{
        return p->refusal.reason ? p->refusal : (struct http1_refusal){ 400, llhttp_reason(p) };
}
