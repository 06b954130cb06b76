/* The streams of a connection: one request each, the answer on its way out, and what becomes of those that do not end.
 *
 * If the client is still sending after the answer has gone out, we read and drop a little more of the body before
 * sending RST_STREAM(NO_ERROR) (RFC 9113 §8.1). Resetting at once is allowed, but curl before 8.x then loses the
 * answer. */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "http/http2_internal.h"

#define MAX_TRAILERS 4
#define SPARE_STREAMS_MAX 256             /* most spare streams that a network thread keeps for reuse */
#define SPARE_STREAM_BYTES ((size_t)8192) /* a stream with larger buffers is freed instead */

static void release_stream(struct http2_stream *s)
{
        http_request_done(&s->request);
        buf_done(&s->body);
        buf_done(&s->trailer_text);
        free(s);
}

static bool worth_keeping(const struct http2_stream *s)
{
        size_t fields = s->request.cap_fields * sizeof(*s->request.fields);
        return s->request.head.cap + fields + s->body.cap + s->trailer_text.cap <= SPARE_STREAM_BYTES;
}

void http2_stream_free(struct http2_stream *s)
{
        struct connection_set *set = s->h->c->set;
        assert(loop_is_mine(set->loop));
        assert(s->h->n_streams > 0);
        if (s->prev)
                s->prev->next = s->next;
        else
                s->h->first = s->next;
        if (s->next)
                s->next->prev = s->prev;
        s->h->n_streams--;
        http_request_abort(&s->request);
        if (set->n_spare_streams == SPARE_STREAMS_MAX || !worth_keeping(s)) {
                release_stream(s);
                return;
        }
        s->next = set->spare_streams;
        set->spare_streams = s;
        set->n_spare_streams++;
}

void http2_streams_drop_spare(struct connection_set *set)
{
        while (set->spare_streams) {
                struct http2_stream *s = set->spare_streams;
                set->spare_streams = s->next;
                release_stream(s);
        }
        set->n_spare_streams = 0;
}

static const struct http_transport transport;

/* A spare one with its buffers, or a new one. */
static struct http2_stream *take_stream(struct connection_set *set)
{
        struct http2_stream *s = set->spare_streams;
        if (!s)
                return calloc(1, sizeof(*s));
        set->spare_streams = s->next;
        set->n_spare_streams--;
        struct http_request request = s->request;
        *s = (struct http2_stream){ .request = request, .body = s->body, .trailer_text = s->trailer_text };
        buf_clear(&s->body);
        buf_clear(&s->trailer_text);
        return s;
}

struct http2_stream *http2_stream_new(struct http2 *h, int32_t id)
{
        struct http2_stream *s = take_stream(h->c->set);
        if (!s)
                return NULL;
        s->h = h;
        s->id = id;
        http_request_reset(&s->request);
        s->request.transport = &transport;
        s->request.version = 20;
        s->progress_ns = connection_now_ns(h->c);
        s->next = h->first;
        if (h->first)
                h->first->prev = s;
        h->first = s;
        h->n_streams++;
        return s;
}

/* ---- answers ---- */

static nghttp2_nv make_nv(const char *name, const char *value)
{
        return (nghttp2_nv){
                .name = (uint8_t *)(uintptr_t)name,
                .value = (uint8_t *)(uintptr_t)value,
                .namelen = strlen(name),
                .valuelen = strlen(value),
                .flags = NGHTTP2_NV_FLAG_NONE,
        };
}

static int submit_trailers(struct http2_stream *s)
{
        nghttp2_nv nv[MAX_TRAILERS];
        const char *p = (const char *)s->trailer_text.data;
        for (size_t i = 0; i < s->n_trailers; i++) {
                const char *name = p, *value = name + strlen(name) + 1;
                nv[i] = make_nv(name, value);
                p = value + strlen(value) + 1;
        }
        return nghttp2_submit_trailer(s->h->session, s->id, nv, s->n_trailers);
}

static ssize_t read_body(nghttp2_session *session _unused_, int32_t stream_id _unused_, uint8_t *to, size_t max,
                         uint32_t *data_flags, nghttp2_data_source *source, void *user_data _unused_)
{
        struct http2_stream *s = source->ptr;
        size_t n = s->body.len - s->body_done;
        if (n > max)
                n = max;
        if (n > 0)
                memcpy(to, s->body.data + s->body_done, n);
        s->body_done += n;
        s->progress_ns = connection_now_ns(s->h->c);
        if (s->body_done == s->body.len) {
                *data_flags |= NGHTTP2_DATA_FLAG_EOF;
                if (s->n_trailers > 0) {
                        *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                        if (submit_trailers(s) != 0)
                                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* else it would never end */
                }
        }
        return (ssize_t)n;
}

static int keep_answer(struct http2_stream *s, const struct http_response *response)
{
        assert(response->n_trailers <= MAX_TRAILERS);
        buf_append(&s->body, response->body, response->body_len);
        for (size_t i = 0; i < response->n_trailers; i++) {
                const struct http_field *t = &response->trailers[i];
                buf_append(&s->trailer_text, t->name, strlen(t->name) + 1);
                buf_append(&s->trailer_text, t->value, strlen(t->value) + 1);
                s->n_trailers++;
        }
        return s->body.error < 0 ? s->body.error : s->trailer_text.error;
}

static void http2_respond(struct http_request *r, const struct http_response *response)
{
        struct http2_stream *s = http2_stream_of(r);
        nghttp2_data_provider provider = { .source.ptr = s, .read_callback = read_body };
        nghttp2_nv nv[20];
        char status[] = { (char)('0' + response->status / 100), (char)('0' + response->status / 10 % 10),
                          (char)('0' + response->status % 10), '\0' };
        size_t n = 0;

        s->progress_ns = connection_now_ns(s->h->c);
        nv[n++] = make_nv(":status", status);
        for (size_t i = 0; i < response->n_fields && n < ARRAY_LEN(nv); i++) {
                nv[n] = make_nv(response->fields[i].name, response->fields[i].value);
                /* unique per request: indexing it would evict fields that do repeat from the HPACK table */
                if (response->fields[i].value == r->id)
                        nv[n].flags = NGHTTP2_NV_FLAG_NO_INDEX;
                n++;
        }
        bool has_body = response->body_len > 0 || response->n_trailers > 0;
        if (keep_answer(s, response) < 0 ||
            nghttp2_submit_response(s->h->session, s->id, nv, n, has_body ? &provider : NULL) != 0)
                nghttp2_submit_rst_stream(s->h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
        http2_flush(s->h);
}

static void http2_consume(struct http_request *r, size_t n)
{
        struct http2_stream *s = http2_stream_of(r);
        nghttp2_session_consume(s->h->session, s->id, n);
        http2_flush(s->h);
}

static void http2_accept_body(struct http_request *r, unsigned window_bytes)
{
        struct http2_stream *s = http2_stream_of(r);
        if (r->expects_continue && r->body_bytes == 0) {
                nghttp2_nv nv = make_nv(":status", "100");
                nghttp2_submit_headers(s->h->session, NGHTTP2_FLAG_NONE, s->id, NULL, &nv, 1, NULL);
        }
        if (window_bytes > connection_limits(s->h->c)->http2_stream_window)
                nghttp2_session_set_local_window_size(s->h->session, NGHTTP2_FLAG_NONE, s->id, (int32_t)window_bytes);
        http2_flush(s->h);
}

static const struct http_transport transport = {
        .respond = http2_respond,
        .consume = http2_consume,
        .accept_body = http2_accept_body,
};

/* ---- streams that do not end ---- */

/* The peer does not open its window, so the answer cannot be sent. */
static bool is_stalled(const struct http2_stream *s, uint64_t now, unsigned timeout_secs)
{
        return s->request.progress == HTTP_REQUEST_OVER && s->body_done < s->body.len &&
               now - s->progress_ns > timeout_secs * second_ns;
}

/* A head that was begun and does not end: nothing else can come before its end (RFC 9113 §6.10). */
static bool is_head_late(const struct http2_stream *s, uint64_t now, unsigned timeout_secs)
{
        return s->request.progress == HTTP_REQUEST_HEAD && now - s->progress_ns > timeout_secs * second_ns;
}

/* A request whose body goes on after the answer was sent. */
static bool is_loitering(const struct http2_stream *s, uint64_t now)
{
        return s->overdue && now - s->progress_ns > HTTP2_DROPPED_BODY_NS;
}

int http2_stream_check_all(struct http2 *h, uint64_t now)
{
        const struct config_limits *l = connection_limits(h->c);
        for (struct http2_stream *s = h->first, *next; s; s = next) {
                struct http_request *r = &s->request;
                next = s->next;
                if (is_head_late(s, now, l->head_timeout_secs))
                        return -ETIMEDOUT;
                if (http_request_is_slow(r, now, l->body_idle_timeout_secs, l->body_min_rate) && r->ops &&
                    r->ops->timeout)
                        r->ops->timeout(r);
                else if (is_loitering(s, now))
                        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
                else if (is_stalled(s, now, l->write_timeout_secs))
                        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
        }
        http2_flush(h);
        return 0;
}
