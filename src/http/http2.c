/* HTTP/2 (RFC 9113) through nghttp2, which only this file and http2_stream.c know. nghttp2 checks frames, HPACK and
 * message syntax. We count header fields, their size, and resets ourselves, because nghttp2 does not, or reports too
 * little. Windows open only as bodies are consumed.
 *
 * Draining sends GOAWAY with the highest id, and a PING. Once the PING is acknowledged, no earlier request can still
 * be in flight; then GOAWAY with the last accepted stream (§6.8). */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "http/http2_internal.h"

#define RESETS_BURST 200 /* RST_STREAM frames received: a burst of 200, then 20 a second */
#define RESETS_PER_SEC 20
#define SENT_RESETS_BURST 100 /* RST_STREAM that a peer's errors cost us */
#define SENT_RESETS_PER_SEC 10
#define OUTBOUND_FRAMES_MAX 1000 /* waiting to be sent; a well-behaved peer causes only a few per stream */

static void move(struct http2 *h, enum http2_state to)
{
        assert(to == h->state + 1); /* states are entered in order and never skipped */
        h->state = to;
}

/* ---- what nghttp2 calls ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct http2 *h = user_data;
        if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        struct http2_stream *s = http2_stream_new(h, frame->hd.stream_id);
        if (!s)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        nghttp2_session_set_stream_user_data(session, s->id, s);
        h->active_ns = connection_now_ns(h->c);
        return 0;
}

static bool is_blank(uint8_t c)
{
        return c == ' ' || c == '\t';
}

/* RFC 9113 §8.2.1 calls blanks around a value malformed, which may be answered by a reset. HTTP/1.1 drops them, and who
 * read a token from a file with a blank at its end deserves an answer here too. */
static void trim(const uint8_t **value, size_t *len)
{
        while (*len > 0 && is_blank((*value)[*len - 1]))
                --*len;
        while (*len > 0 && is_blank((*value)[0])) {
                ++*value;
                --*len;
        }
}

static int add_field(struct http2_stream *s, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len)
{
        if (name_len > 0 && name[0] != ':') {
                trim(&value, &value_len);
                return http_request_add_field(&s->request, (const char *)name, name_len, (const char *)value,
                                              value_len);
        }
        if (name_len == 7 && memcmp(name, ":method", 7) == 0)
                return http_request_set_method(&s->request, (const char *)value, value_len);
        if (name_len == 5 && memcmp(name, ":path", 5) == 0)
                return http_request_set_target(&s->request, (const char *)value, value_len);
        return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags _unused_, void *user_data)
{
        struct http2 *h = user_data;
        const struct config_limits *l = connection_limits(h->c);
        struct http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (!s)
                return 0;
        s->head_bytes += name_len + value_len + 32; /* RFC 9113 §10.5.1 */
        if (s->head_bytes > l->head_bytes)
                s->refusal = "request head too large";
        else if (s->request.n_fields >= l->head_fields && name[0] != ':')
                s->refusal = "too many header fields";
        if (s->refusal || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return s->head_bytes > 4 * (size_t)l->head_bytes ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
        return add_field(s, name, name_len, value, value_len) < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static void begin_request(struct http2_stream *s)
{
        struct http2 *h = s->h;
        const char *reason = NULL;

        struct http_request *r = &s->request;
        int e = http_request_finish_head(r, connection_now_ns(h->c), &reason);
        if (e != 0 || s->refusal)
                connection_refuse_request(h->c, r, s->refusal ? 431 : 400, s->refusal ? s->refusal : reason);
        else
                connection_begin_request(h->c, r);
}

/* Adds one to a leaky-bucket count, and ends the session when it exceeds the burst. */
static void count_leaking(struct http2 *h, struct leak *l, unsigned burst, unsigned per_sec)
{
        uint64_t now = connection_now_ns(h->c);
        uint64_t passed_secs = (now - l->since_ns) / second_ns, leaked = passed_secs * per_sec;
        l->since_ns += passed_secs * second_ns;
        l->level = leaked < l->level ? l->level - (unsigned)leaked : 0;
        if (++l->level > burst)
                nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* The last stream that was taken is named: what comes after it is refused (RFC 9113 §6.8). */
static void go_away(struct http2 *h)
{
        move(h, HTTP2_GONE_AWAY);
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
                              NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct http2 *h = user_data;
        if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) && h->state == HTTP2_DRAINING)
                go_away(h);
        if (frame->hd.type == NGHTTP2_RST_STREAM)
                count_leaking(h, &h->resets, RESETS_BURST, RESETS_PER_SEC); /* CVE-2023-44487 */
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
                return 0;
        struct http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (!s)
                return 0;
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
                begin_request(s);
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
                http_request_deliver_end(&s->request);
        return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags _unused_, int32_t stream_id, const uint8_t *data,
                         size_t len, void *user_data)
{
        struct http2 *h = user_data;
        struct http2_stream *s = nghttp2_session_get_stream_user_data(session, stream_id);
        if (!s) {
                nghttp2_session_consume(session, stream_id, len);
                return 0;
        }
        http_request_deliver(&s->request, data, len, connection_now_ns(h->c));
        if (s->overdue && (s->dropped += len) > HTTP2_DROPPED_BODY_BYTES)
                nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_NO_ERROR);
        return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code _unused_, void *user_data)
{
        struct http2 *h = user_data;
        struct http2_stream *s = nghttp2_session_get_stream_user_data(session, stream_id);
        if (s) {
                nghttp2_session_set_stream_user_data(session, stream_id, NULL);
                http2_stream_free(s);
        }
        h->active_ns = connection_now_ns(h->c);
        return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct http2 *h = user_data;
        /* A peer that provokes us into resetting its streams can open any number of them: the limit on concurrent
         * streams does not stop it (CVE-2025-8671). */
        if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
                count_leaking(h, &h->sent_resets, SENT_RESETS_BURST, SENT_RESETS_PER_SEC);
        if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
            !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
                return 0;
        struct http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (s && nghttp2_session_get_stream_remote_close(session, s->id) == 0)
                s->overdue = true;
        return 0;
}

/* ---- the connection ---- */

static int http2_feed(struct connection *c, const uint8_t *data, size_t len)
{
        struct http2 *h = c->session;
        ssize_t n = nghttp2_session_mem_recv(h->session, data, len);
        http2_flush(h);
        if (n < 0)
                return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
        return nghttp2_session_get_outbound_queue_size(h->session) > OUTBOUND_FRAMES_MAX ? -ENOBUFS : 0;
}

static int http2_produce(struct connection *c)
{
        struct http2 *h = c->session;
        while (c->out.len < CONNECTION_READ_BYTES) {
                const uint8_t *data;
                ssize_t n = nghttp2_session_mem_send(h->session, &data);
                if (n < 0)
                        return -EPROTO;
                if (n == 0)
                        break;
                int r = buf_append(&c->out, data, (size_t)n);
                if (r < 0)
                        return r;
        }
        bool over = (h->state == HTTP2_GONE_AWAY && h->n_streams == 0) ||
                    (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
        return over && !connection_is_closing(c) ? CONNECTION_CLOSE : 0;
}

static int http2_end(struct connection *c _unused_)
{
        return CONNECTION_CLOSE;
}

static int http2_tick(struct connection *c, uint64_t now)
{
        struct http2 *h = c->session;

        int r = http2_stream_check_all(h, now);
        if (r < 0)
                return r;
        if (h->state == HTTP2_DRAINING && now - h->drain_ns > second_ns) { /* no answer to our PING */
                go_away(h);
                http2_flush(h);
        }
        if (h->n_streams == 0 && now - h->active_ns > connection_limits(c)->idle_timeout_secs * second_ns) {
                nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
                http2_flush(h);
                return CONNECTION_CLOSE;
        }
        return 0;
}

static int http2_drain(struct connection *c)
{
        static const uint8_t opaque[8] = "drained";
        struct http2 *h = c->session;
        move(h, HTTP2_DRAINING);
        h->drain_ns = connection_now_ns(c);
        nghttp2_submit_shutdown_notice(h->session);
        nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, opaque);
        http2_flush(h);
        return 0;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
        nghttp2_session_callbacks *cb;
        if (nghttp2_session_callbacks_new(&cb) != 0)
                return NULL;
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        return cb;
}

static int make_session(struct http2 *h, const struct config_limits *l)
{
        nghttp2_session_callbacks *cb = make_callbacks();
        nghttp2_option *option = NULL;
        if (!cb || nghttp2_option_new(&option) != 0) {
                nghttp2_session_callbacks_del(cb);
                return -ENOMEM;
        }
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1); /* trim() */
        nghttp2_option_set_max_outbound_ack(option, l->http2_outbound_acks);
        int r = nghttp2_session_server_new2(&h->session, cb, h, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(cb);
        return r == 0 ? 0 : -ENOMEM;
}

static int announce(struct http2 *h, const struct config_limits *l)
{
        const nghttp2_settings_entry settings[] = {
                { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->http2_streams },
                { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->http2_stream_window },
                { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->head_bytes },
        };
        if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0 ||
            nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                  (int32_t)l->http2_connection_window) != 0)
                return -ENOMEM;
        return 0;
}

static void http2_free(struct connection *c)
{
        struct http2 *h = c->session;
        while (h->first)
                http2_stream_free(h->first);
        assert(h->n_streams == 0);
        nghttp2_session_del(h->session);
        free(h);
}

static int http2_open(struct connection *c)
{
        struct http2 *h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->c = c;
        h->active_ns = h->resets.since_ns = h->sent_resets.since_ns = connection_now_ns(c);
        c->session = h;
        int r = make_session(h, connection_limits(c));
        if (r == 0)
                r = announce(h, connection_limits(c));
        if (r < 0)
                http2_free(c);
        else
                http2_flush(h);
        return r;
}

const struct connection_protocol http2_protocol = {
        .name = "HTTP/2",
        .open = http2_open,
        .feed = http2_feed,
        .produce = http2_produce,
        .end = http2_end,
        .tick = http2_tick,
        .drain = http2_drain,
        .free = http2_free,
};
