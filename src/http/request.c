/* What all versions of HTTP have in common: a head is collected into one buffer and checked, bodies are lent to the
 * handler and counted, answers get the fields that every answer carries. Failure is the transport's to act on: this
 * file knows no socket. */

#include "http/request_internal.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <zlib.h>

#include "util/clock.h"
#include "util/text/hex.h"

#define NOT_THERE UINT32_MAX

static void move(struct http_request *r, enum http_request_state to)
{
        static const unsigned allowed[] = {
                [HTTP_REQUEST_HEAD] = 1u << HTTP_REQUEST_BODY | 1u << HTTP_REQUEST_OVER, /* over: refused */
                [HTTP_REQUEST_BODY] = 1u << HTTP_REQUEST_ENDED | 1u << HTTP_REQUEST_OVER,
                [HTTP_REQUEST_ENDED] = 1u << HTTP_REQUEST_OVER,
                [HTTP_REQUEST_OVER] = 0, /* until it is reset */
        };
        assert(allowed[r->progress] & 1u << to);
        r->progress = to;
}

static bool is_handlers(const struct http_request *r)
{
        return r->progress == HTTP_REQUEST_BODY || r->progress == HTTP_REQUEST_ENDED;
}

void http_request_reset(struct http_request *r)
{
        assert(!is_handlers(r));
        struct buf head = r->head;
        struct http_field_ref *fields = r->fields;
        unsigned cap = r->cap_fields;
        buf_clear(&head);
        *r = (struct http_request){ .head = head, .fields = fields, .cap_fields = cap };
        r->content_length = HTTP_LENGTH_UNKNOWN;
        r->method_at = r->target_at = NOT_THERE;
}

void http_request_done(struct http_request *r)
{
        buf_done(&r->head);
        free(r->fields);
        r->fields = NULL;
}

void http_request_begin(struct http_request *r)
{
        move(r, HTTP_REQUEST_BODY);
}

static int add_text(struct http_request *r, const char *text, size_t len, uint32_t *ret_offset)
{
        assert(r->progress == HTTP_REQUEST_HEAD); /* later the head has pointers into it */
        int e = buf_reserve(&r->head, len + 1);
        if (e < 0)
                return e;
        char *to = (char *)r->head.data + r->head.len;
        if (len > 0)
                memcpy(to, text, len);
        to[len] = '\0';
        *ret_offset = (uint32_t)r->head.len;
        r->head.len += len + 1;
        return 0;
}

int http_request_set_method(struct http_request *r, const char *method, size_t len)
{
        return add_text(r, method, len, &r->method_at);
}

int http_request_set_target(struct http_request *r, const char *target, size_t len)
{
        return add_text(r, target, len, &r->target_at);
}

int http_request_add_field(struct http_request *r, const char *name, size_t name_len, const char *value,
                           size_t value_len)
{
        if (r->n_fields == r->cap_fields) {
                unsigned cap = r->cap_fields ? r->cap_fields * 2 : 16;
                struct http_field_ref *fields = realloc(r->fields, cap * sizeof(*fields));
                if (!fields)
                        return -ENOMEM;
                r->fields = fields;
                r->cap_fields = cap;
        }
        while (value_len > 0 && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
                value_len--;
        struct http_field_ref *f = &r->fields[r->n_fields];
        f->name_len = (uint32_t)name_len;
        int e = add_text(r, name, name_len, &f->name);
        if (e < 0)
                return e;
        if (r->version < 20) { /* HTTP/2 has them so already (RFC 9113 §8.2.1) */
                for (char *p = (char *)r->head.data + f->name; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
        }
        e = add_text(r, value, value_len, &f->value);
        if (e == 0)
                r->n_fields++;
        return e;
}

static inline bool is_field(const struct http_request *r, unsigned i, const char *name, size_t len)
{
        return r->fields[i].name_len == len && memcmp(r->head.data + r->fields[i].name, name, len) == 0;
}

const char *http_request_field(const struct http_request *r, const char *name)
{
        size_t len = strlen(name);
        for (unsigned i = 0; i < r->n_fields; i++) {
                if (is_field(r, i, name, len))
                        return (const char *)r->head.data + r->fields[i].value;
        }
        return NULL;
}

/* Fields that must stand once at most, because a second one would be read by someone else (RFC 9110 §5.3). */
static bool has_duplicate(const struct http_request *r, const char **ret_reason)
{
        static const struct {
                const char *name;
                size_t len;
                const char *reason;
        } singles[] = {
                { "authorization", 13, "duplicate authorization field" },
                { "content-type", 12, "duplicate content-type field" },
                { "content-length", 14, "duplicate content-length field" },
                { "content-encoding", 16, "duplicate content-encoding field" },
                { "host", 4, "duplicate host field" },
                { "transfer-encoding", 17, "duplicate transfer-encoding field" },
        };
        for (size_t s = 0; s < ARRAY_LEN(singles); s++) {
                unsigned count = 0;
                for (unsigned i = 0; i < r->n_fields; i++)
                        count += is_field(r, i, singles[s].name, singles[s].len);
                if (count > 1) {
                        *ret_reason = singles[s].reason;
                        return true;
                }
        }
        return false;
}

static bool parse_length(const char *text, uint64_t *ret)
{
        uint64_t n = 0;
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 18 || text[digits])
                return false;
        for (size_t i = 0; i < digits; i++)
                n = n * 10 + (uint64_t)(text[i] - '0');
        *ret = n;
        return true;
}

/* RFC 9112 §3.2: origin-form, or absolute-form, whose authority we ignore as there is one site only. */
static bool split_target(struct http_request *r, char *target)
{
        if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
                char *slash = strchr(strstr(target, "//") + 2, '/');
                if (!slash)
                        return false;
                target = slash;
        }
        if (*target != '/' && strcmp(target, "*") != 0)
                return false;
        char *mark = strchr(target, '?');
        if (mark)
                *mark++ = '\0';
        r->path = target;
        r->query = mark;
        return true;
}

static uint64_t random_word(void)
{
        /* splitmix64 from a random start, one per thread: ids must be distinct, not secret. */
        static _Thread_local uint64_t state;
        if (state == 0) {
                ssize_t n = getrandom(&state, sizeof(state), 0);
                if (n != (ssize_t)sizeof(state) || state == 0)
                        state = clock_monotonic_ns();
        }
        state += 0x9E3779B97F4A7C15u;
        uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
}

/* A UUID of version 4 (RFC 9562 §5.4). */
static void fresh_id(char ret[HTTP_REQUEST_ID_SIZE])
{
        uint64_t a = random_word(), b = random_word();
        uint8_t bytes[16];
        memcpy(bytes, &a, 8);
        memcpy(bytes + 8, &b, 8);
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        static const size_t groups[] = { 4, 2, 2, 2, 6 };
        const uint8_t *p = bytes;
        for (size_t i = 0; i < ARRAY_LEN(groups); p += groups[i++]) {
                ret = hex_encode(ret, p, groups[i]);
                *ret++ = '-';
        }
        ret[-1] = '\0';
}

static bool is_sane_id(const char *id)
{
        size_t n = strlen(id);
        if (n == 0 || n >= HTTP_REQUEST_ID_SIZE)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (id[i] < 0x21 || id[i] > 0x7E)
                        return false;
        }
        return true;
}

int http_request_finish_head(struct http_request *r, uint64_t now_ns, const char **ret_reason)
{
        char *text = (char *)r->head.data;
        r->method = r->method_at == NOT_THERE ? "" : text + r->method_at;
        r->started_ns = r->body_active_ns = r->body_started_ns = now_ns;

        const char *id = http_request_field(r, "x-request-id");
        if (id && is_sane_id(id))
                memcpy(r->id, id, strlen(id) + 1);
        else
                fresh_id(r->id);

        if (r->target_at == NOT_THERE || !split_target(r, text + r->target_at)) {
                r->path = "/";
                *ret_reason = "bad request target";
                return HTTP_HEAD_BAD;
        }
        if (has_duplicate(r, ret_reason))
                return HTTP_HEAD_BAD;
        const char *length = http_request_field(r, "content-length");
        if (length && !parse_length(length, &r->content_length)) {
                *ret_reason = "bad content-length field";
                return HTTP_HEAD_BAD;
        }
        const char *expect = http_request_field(r, "expect");
        r->expects_continue = expect && strcasecmp(expect, "100-continue") == 0 && r->version >= 11;
        return 0;
}

void http_request_deliver(struct http_request *r, const uint8_t *data, size_t len, uint64_t now_ns)
{
        r->body_bytes += len;
        r->body_active_ns = now_ns;
        r->unconsumed += len;
        if (r->progress == HTTP_REQUEST_BODY && r->ops && r->ops->data)
                r->ops->data(r, data, len);
        else
                http_request_consume(r, len);
}

void http_request_deliver_end(struct http_request *r)
{
        if (r->progress != HTTP_REQUEST_BODY)
                return;
        move(r, HTTP_REQUEST_ENDED);
        if (r->ops && r->ops->end)
                r->ops->end(r);
}

/* The handler, if there is one, loses the request. */
static void release(struct http_request *r)
{
        http_request_consume(r, r->unconsumed); /* the streams beside it share the connection's window */
        const struct http_request_ops *ops = TAKE_PTR(r->ops);
        if (ops && ops->close)
                ops->close(r);
}

void http_request_abort(struct http_request *r)
{
        if (!is_handlers(r))
                return;
        move(r, HTTP_REQUEST_OVER);
        release(r);
}

bool http_request_is_slow(struct http_request *r, uint64_t now_ns, unsigned idle_secs, unsigned min_rate)
{
        const uint64_t second = 1000000000u;
        if (r->progress != HTTP_REQUEST_BODY)
                return false;
        if (r->unconsumed > 0) { /* held up by us: the clock starts again */
                r->body_active_ns = r->body_started_ns = now_ns;
                r->body_since = r->body_bytes;
                return false;
        }
        if (now_ns - r->body_active_ns > idle_secs * second)
                return true;
        uint64_t age_secs = (now_ns - r->body_started_ns) / second;
        return age_secs > idle_secs && (r->body_bytes - r->body_since) / age_secs < min_rate;
}

void http_request_consume(struct http_request *r, size_t n)
{
        if (n > r->unconsumed)
                n = r->unconsumed;
        if (n == 0)
                return;
        r->unconsumed -= n;
        r->transport->consume(r, n);
}

void http_request_accept_body(struct http_request *r, unsigned window_bytes)
{
        assert(is_handlers(r));
        r->transport->accept_body(r, window_bytes);
        r->expects_continue = false;
}

/* The quality of one coding of an Accept-Encoding list: "gzip;q=0" refuses it. */
static bool is_refused(const char *parameters, size_t len)
{
        for (size_t i = 0; i + 2 < len; i++) {
                if (tolower((unsigned char)parameters[i]) == 'q' && parameters[i + 1] == '=')
                        return strspn(parameters + i + 2, "0.") >= strcspn(parameters + i + 2, ", \t;");
        }
        return false;
}

bool http_accepts_gzip(const char *accept_encoding)
{
        for (const char *p = accept_encoding; p && *p;) {
                p += strspn(p, ", \t");
                size_t item = strcspn(p, ","), name = strcspn(p, ",; \t");
                if (name == 4 && strncasecmp(p, "gzip", 4) == 0)
                        return !is_refused(p + name, item - name);
                p += item;
        }
        return false;
}

#define COMPRESS_FROM_BYTES 1024 /* below, the answer fits a packet anyway */

static int compress_gzip(const void *body, size_t len, struct buf *out)
{
        z_stream z = { 0 };
        if (len > UINT32_MAX || deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
                return -ENOMEM;
        size_t bound = deflateBound(&z, len);
        int r = buf_reserve(out, bound);
        if (r == 0) {
                z.next_in = (Bytef *)(uintptr_t)body;
                z.avail_in = (uInt)len;
                z.next_out = out->data;
                z.avail_out = (uInt)bound;
                r = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
                out->len = z.total_out;
        }
        deflateEnd(&z);
        return r;
}

/* RFC 9110 §5.6.7, made once a second and thread. */
static const char *http_date(void)
{
        static _Thread_local char text[32];
        static _Thread_local time_t made_at;
        time_t now = time(NULL);
        if (now != made_at) {
                struct tm tm;
                gmtime_r(&now, &tm);
                strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
                made_at = now;
        }
        return text;
}

void http_respond(struct http_request *r, const struct http_response *response)
{
        _cleanup_(buf_done) struct buf compressed = { 0 };
        struct http_field fields[16];
        struct http_response full = *response;
        char length[24];
        size_t n = response->n_fields;

        assert(r->progress != HTTP_REQUEST_OVER);
        assert(n <= ARRAY_LEN(fields) - HTTP_FIELDS_EXTRA);
        if (n > 0)
                memcpy(fields, response->fields, n * sizeof(fields[0]));
        if (full.may_compress && full.body_len >= COMPRESS_FROM_BYTES &&
            http_accepts_gzip(http_request_field(r, "accept-encoding")) &&
            compress_gzip(full.body, full.body_len, &compressed) == 0) {
                full.body = compressed.data;
                full.body_len = compressed.len;
                fields[n++] = (struct http_field){ "content-encoding", "gzip" };
        }
        if (full.status != 204 && !full.no_length) {
                snprintf(length, sizeof(length), "%zu", full.body_len);
                fields[n++] = (struct http_field){ "content-length", length };
        }
        if (strcmp(r->method, "HEAD") == 0)
                full.body_len = 0;
        fields[n++] = (struct http_field){ "x-request-id", r->id };
        fields[n++] = (struct http_field){ "date", http_date() };
        full.fields = fields;
        full.n_fields = n;

        move(r, HTTP_REQUEST_OVER);
        http_request_consume(r, r->unconsumed);
        const struct http_request_ops *ops = TAKE_PTR(r->ops);
        r->transport->respond(r, &full);
        if (ops && ops->close)
                ops->close(r);
}

void http_request_refuse(struct http_request *r, int status, const char *message)
{
        char body[256];
        int n = snprintf(body, sizeof(body), "{\"error\":{\"code\":%d,\"message\":\"%s\"}}", status, message);
        const struct http_field type = { "content-type", "application/json" };
        assert(n > 0 && (size_t)n < sizeof(body)); /* our own words */
        release(r);
        http_respond(r,
                     &(struct http_response){
                             .status = status, .fields = &type, .n_fields = 1, .body = body, .body_len = (size_t)n });
}
