/* A request is given to nghttp2 with its slot as the stream's user data; the slot's body is patched before and copied
 * out as nghttp2 asks for it. Frames are gathered and written by one send(2). An answer is judged when its stream
 * closes: it is good when the status is (200 with grpc-status 0, or 201) and the stream was not reset by an error.
 *
 * Failure modes: a connection that breaks, or cannot be made, is not made again: its requests are counted as cut. */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "util/clock.h"

#define OUT_BYTES (64 * 1024)
#define WINDOW_BYTES (16 * 1024 * 1024)

/* A stream's place: used again and again. */
struct slot {
        struct client *client;
        struct slot *next_free;
        struct body body;
        size_t sent;
        uint64_t intended_ns;
        int http_status, grpc_status;
};

struct client {
        const struct client_owner *owner;
        int fd;
        uint32_t events; /* that epoll is asked for */
        nghttp2_session *session;
        uint64_t begun_ns;
        bool used; /* a request was made on it */
        unsigned n_busy;
        struct slot *free;
        struct slot *slots;
        char length[24]; /* content-length, as text */
        struct buf out;  /* frames to be written, from out_at on */
        size_t out_at;
};

static const struct load_options *options_of(const struct client *c)
{
        return c->owner->run->options;
}

/* ---- answers ---- */

static void count_failure(struct load_counts *counts, const struct slot *s, uint32_t error_code)
{
        counts->failed_total++;
        if (error_code != 0 || s->http_status <= 0 || s->http_status >= LOAD_HTTP_MAX)
                counts->reset++;
        else if (s->grpc_status > 0 && s->grpc_status < LOAD_GRPC_MAX)
                counts->by_grpc[s->grpc_status]++;
        else
                counts->by_http[s->http_status]++;
}

static void count_answer(struct client *c, const struct slot *s, uint32_t error_code)
{
        const struct load_run *run = c->owner->run;
        struct load_counts *counts = c->owner->counts;
        bool logs = run->options->kind == LOAD_LOGS;
        bool good = error_code == 0 && (logs ? s->http_status == 200 && s->grpc_status == 0 : s->http_status == 201);
        uint64_t now = clock_monotonic_ns();

        counts->last_ns = now;
        if (!good) {
                count_failure(counts, s, error_code);
                return;
        }
        counts->ok_total++;
        if (s->intended_ns >= run->measure_ns)
                histogram_add(&counts->latency_ns, now - s->intended_ns);
}

static void release_slot(struct slot *s)
{
        struct client *c = s->client;
        s->next_free = c->free;
        c->free = s;
        c->n_busy--;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user_data)
{
        struct slot *s = nghttp2_session_get_stream_user_data(session, stream_id);
        if (s) {
                count_answer(user_data, s, error_code);
                release_slot(s);
        }
        return 0;
}

/* -1 when it is no number. */
static int number_of(const uint8_t *text, size_t len)
{
        int n = 0;
        for (size_t i = 0; i < len; i++) {
                if (text[i] < '0' || text[i] > '9' || i > 2)
                        return -1;
                n = n * 10 + text[i] - '0';
        }
        return len > 0 ? n : -1;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags _unused_, void *user_data _unused_)
{
        struct slot *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (s && name_len == 7 && memcmp(name, ":status", 7) == 0)
                s->http_status = number_of(value, value_len);
        else if (s && name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
                s->grpc_status = number_of(value, value_len);
        return 0;
}

/* ---- requests ---- */

static ssize_t read_body(nghttp2_session *session _unused_, int32_t stream_id _unused_, uint8_t *to, size_t n,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data _unused_)
{
        struct slot *s = source->ptr;
        size_t copied = body_copy(&s->body, s->sent, to, n);
        s->sent += copied;
        if (s->sent == body_len(&s->body))
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)copied;
}

static nghttp2_nv field(const char *name, const char *value)
{
        return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
                             .value = (uint8_t *)(uintptr_t)value,
                             .namelen = strlen(name),
                             .valuelen = strlen(value),
                             .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE };
}

static int submit(struct client *c, struct slot *s)
{
        const struct load_options *o = options_of(c);
        bool logs = o->kind == LOAD_LOGS;
        const nghttp2_data_provider provider = { .source.ptr = s, .read_callback = read_body };
        const nghttp2_nv fields[] = {
                field(":method", "POST"),
                field(":scheme", "http"),
                field(":authority", o->authority),
                field(":path", logs ? "/opentelemetry.proto.collector.logs.v1.LogsService/Export" : "/v1/crashes"),
                field("authorization", o->token),
                field("content-type", logs ? "application/grpc" : "multipart/form-data; boundary=" CRASH_BODY_BOUNDARY),
                field("x-protocol-version", "1"),
                logs ? field("te", "trailers") : field("content-length", c->length),
        };
        return nghttp2_submit_request(c->session, NULL, fields, ARRAY_LEN(fields), &provider, s);
}

/* ---- the socket ---- */

static void fail(struct client *c, const char *reason)
{
        struct load_counts *counts = c->owner->counts;
        if (c->fd >= 0)
                close(TAKE_FD(c->fd));
        counts->connections_failed++;
        if (counts->first_error[0] == '\0')
                snprintf(counts->first_error, sizeof(counts->first_error), "%s", reason);
}

static void watch(struct client *c, uint32_t events)
{
        struct epoll_event e = { .events = events, .data.ptr = c };
        if (events == c->events)
                return;
        if (epoll_ctl(c->owner->epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) < 0)
                fail(c, strerror(errno));
        c->events = events;
}

void client_read(struct client *c)
{
        if (c->fd < 0)
                return;
        ssize_t n = recv(c->fd, c->owner->read_buffer, CLIENT_READ_BYTES, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
                return;
        if (n <= 0) {
                fail(c, n < 0 ? strerror(errno) : "closed by the server");
                return;
        }
        ssize_t taken = nghttp2_session_mem_recv(c->session, c->owner->read_buffer, (size_t)n);
        if (taken < 0)
                fail(c, nghttp2_strerror((int)taken));
}

/* True when there is something to write. */
static bool gather(struct client *c)
{
        while (c->out.len < OUT_BYTES) {
                const uint8_t *data;
                ssize_t n = nghttp2_session_mem_send(c->session, &data);
                if (n == 0)
                        break;
                if (n < 0 || buf_append(&c->out, data, (size_t)n) < 0) {
                        fail(c, n < 0 ? nghttp2_strerror((int)n) : "out of memory");
                        return false;
                }
        }
        return c->out_at < c->out.len;
}

void client_write(struct client *c)
{
        if (c->fd < 0)
                return;
        while (gather(c)) {
                ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
                if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
                        watch(c, EPOLLIN | EPOLLOUT);
                        return;
                }
                if (n < 0) {
                        fail(c, strerror(errno));
                        return;
                }
                c->out_at += (size_t)n;
                if (c->out_at == c->out.len)
                        c->out_at = c->out.len = 0;
        }
        if (c->fd < 0)
                return;
        if (nghttp2_session_want_read(c->session) || nghttp2_session_want_write(c->session))
                watch(c, EPOLLIN);
        else
                fail(c, "the server went away");
}

/* ---- beginning and end ---- */

static int open_session(struct client *c)
{
        nghttp2_session_callbacks *cb;
        const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
        if (nghttp2_session_callbacks_new(&cb) != 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        int r = nghttp2_session_client_new(&c->session, cb, c);
        nghttp2_session_callbacks_del(cb);
        if (r == 0)
                r = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
        if (r == 0)
                r = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
        return r == 0 ? 0 : -ENOMEM;
}

static int make_slots(struct client *c)
{
        const struct load_options *o = options_of(c);
        if (o->kind == LOAD_IDLE)
                return 0;
        c->slots = calloc(o->streams, sizeof(*c->slots));
        if (!c->slots)
                return -ENOMEM;
        for (uint64_t i = 0; i < o->streams; i++) {
                struct slot *s = &c->slots[i];
                s->client = c;
                s->next_free = c->free;
                c->free = s;
                if (o->kind == LOAD_LOGS)
                        otlp_body_init(&s->body, o);
                else
                        crash_body_init(&s->body, o, c->owner->filler);
        }
        snprintf(c->length, sizeof(c->length), "%zu", body_len(&c->slots[0].body));
        return 0;
}

static void begin_connect(struct client *c)
{
        const struct load_options *o = options_of(c);
        const int on = 1;
        c->begun_ns = clock_monotonic_ns();
        c->owner->counts->connections_opened++;
        c->fd = socket(o->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->fd >= 0)
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (c->fd < 0 ||
            (connect(c->fd, (const struct sockaddr *)&o->address, o->address_len) < 0 && errno != EINPROGRESS))
                fail(c, strerror(errno));
        else
                watch(c, EPOLLIN | EPOLLOUT);
}

struct client *client_new(const struct client_owner *owner)
{
        struct client *c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        c->owner = owner;
        c->fd = -1;
        if (open_session(c) < 0 || make_slots(c) < 0)
                return client_free(c);
        begin_connect(c);
        return c;
}

/* The next request's connection: the slots and their bodies stay. */
static void connect_anew(struct client *c)
{
        if (c->fd >= 0)
                close(TAKE_FD(c->fd));
        nghttp2_session_del(c->session);
        c->session = NULL;
        c->events = 0;
        c->out.len = c->out_at = 0;
        if (open_session(c) < 0)
                fail(c, "out of memory");
        else
                begin_connect(c);
}

void client_request(struct client *c, uint64_t request, uint64_t intended_ns)
{
        const struct load_options *o = options_of(c);
        if (o->new_connection && c->used)
                connect_anew(c);
        struct slot *s = c->free;
        c->used = true;
        c->free = s->next_free;
        c->n_busy++;
        s->sent = 0;
        s->http_status = s->grpc_status = -1;
        s->intended_ns = intended_ns ? intended_ns : o->new_connection ? c->begun_ns : clock_monotonic_ns();
        if (o->kind == LOAD_LOGS)
                otlp_body_patch(&s->body, o, request);
        else
                crash_body_patch(&s->body, o, request);
        if (c->fd < 0 || submit(c, s) < 0) { /* broken, no more stream ids, or no memory */
                c->owner->counts->failed_total++;
                c->owner->counts->cut++;
                release_slot(s);
        }
}

struct client *client_free(struct client *c)
{
        if (!c)
                return NULL;
        c->owner->counts->failed_total += c->n_busy;
        c->owner->counts->cut += c->n_busy;
        for (uint64_t i = 0; c->slots && i < options_of(c)->streams; i++)
                body_done(&c->slots[i].body);
        nghttp2_session_del(c->session);
        if (c->fd >= 0)
                close(c->fd);
        buf_done(&c->out);
        free(c->slots);
        free(c);
        return NULL;
}

bool client_is_open(const struct client *c)
{
        return c->fd >= 0;
}

bool client_has_room(const struct client *c)
{
        return c->fd >= 0 && c->free;
}

bool client_is_idle(const struct client *c)
{
        return c->n_busy == 0;
}
