#include "detritusctl/doctor/send_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "util/clock.h"

#define FIELDS_MAX 16
#define READ_BYTES 16384

struct send_client {
        int fd;
        char authority[64];
        uint64_t deadline_ns;
        nghttp2_session *session;
        /* of the request under way */
        const uint8_t *body;
        size_t len, sent;
        struct send_answer *answer;
        bool closed;
        uint32_t error_code;
};

/* ---- callbacks ---- */

static int number_of(const uint8_t *text, size_t len)
{
        int n = 0;
        for (size_t i = 0; i < len && i < 4; i++)
                n = text[i] >= '0' && text[i] <= '9' ? n * 10 + text[i] - '0' : n;
        return n;
}

static int on_header(_unused_ nghttp2_session *session, _unused_ const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, _unused_ uint8_t flags, void *client)
{
        struct send_answer *a = ((struct send_client *)client)->answer;
        if (a && name_len == 7 && memcmp(name, ":status", 7) == 0)
                a->http_status = number_of(value, value_len);
        else if (a && name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
                a->grpc_status = number_of(value, value_len);
        else if (a && name_len == 12 && memcmp(name, "grpc-message", 12) == 0)
                snprintf(a->message, sizeof(a->message), "%.*s", (int)value_len, (const char *)value);
        return 0;
}

static int on_data(_unused_ nghttp2_session *session, _unused_ uint8_t flags, _unused_ int32_t stream_id,
                   const uint8_t *data, size_t len, void *client)
{
        struct send_answer *a = ((struct send_client *)client)->answer;
        size_t have = a ? strlen(a->message) : 0;
        if (a && a->http_status != 200) /* a gRPC answer's body is no text */
                snprintf(a->message + have, sizeof(a->message) - have, "%.*s", (int)len, (const char *)data);
        return 0;
}

static int on_close(_unused_ nghttp2_session *session, _unused_ int32_t stream_id, uint32_t error_code, void *client)
{
        struct send_client *c = client;
        c->closed = true;
        c->error_code = error_code;
        return 0;
}

static ssize_t read_body(_unused_ nghttp2_session *session, _unused_ int32_t stream_id, uint8_t *to, size_t n,
                         uint32_t *flags, nghttp2_data_source *source, _unused_ void *user_data)
{
        struct send_client *c = source->ptr;
        size_t left = c->len - c->sent, some = left < n ? left : n;
        memcpy(to, c->body + c->sent, some);
        c->sent += some;
        if (c->sent == c->len)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)some;
}

/* ---- the socket ---- */

static int wait_for(const struct send_client *c, short events)
{
        uint64_t now = clock_monotonic_ns();
        struct pollfd p = { .fd = c->fd, .events = events };
        if (now >= c->deadline_ns)
                return -ETIMEDOUT;
        int n = poll(&p, 1, (int)((c->deadline_ns - now) / 1000000) + 1);
        return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

static int write_all(struct send_client *c)
{
        const uint8_t *data;
        ssize_t len;
        while ((len = nghttp2_session_mem_send(c->session, &data)) > 0) {
                for (ssize_t done = 0; done < len;) {
                        ssize_t n = send(c->fd, data + done, (size_t)(len - done), MSG_NOSIGNAL);
                        if (n < 0 && errno != EAGAIN)
                                return -errno;
                        int r = n < 0 ? wait_for(c, POLLOUT) : 0;
                        if (r < 0)
                                return r;
                        done += n > 0 ? n : 0;
                }
        }
        return len < 0 ? -EPROTO : 0;
}

static int read_some(struct send_client *c)
{
        uint8_t bytes[READ_BYTES];
        int r = wait_for(c, POLLIN);
        if (r < 0)
                return r;
        ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        return nghttp2_session_mem_recv(c->session, bytes, (size_t)n) < 0 ? -EPROTO : 0;
}

static int connect_to(struct send_client *c, const char *address, struct error *err)
{
        struct sockaddr_storage ss = { 0 };
        struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
        char host[48] = "";
        int port = 0;

        if (config_check_address(address, err) != 0)
                return -EINVAL;
        bool is_v6 = sscanf(address, "[%47[^]]]:%d", host, &port) == 2;
        if (!is_v6)
                sscanf(address, "%47[^:]:%d", host, &port);
        if (is_v6 && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t)port);
        } else {
                v4->sin_family = AF_INET;
                v4->sin_port = htons((uint16_t)port);
                inet_pton(AF_INET, host, &v4->sin_addr);
        }
        c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r = c->fd < 0 ? -errno : 0, error = 0;
        socklen_t len = sizeof(error);
        if (r == 0 && connect(c->fd, (struct sockaddr *)&ss, is_v6 ? sizeof(*v6) : sizeof(*v4)) < 0)
                r = errno == EINPROGRESS ? wait_for(c, POLLOUT) : -errno;
        if (r == 0 && (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error))
                r = -(error ? error : errno);
        if (r < 0)
                error_set(err, "cannot connect to %s: %s", address, strerror(-r));
        return r;
}

/* ---- life ---- */

static int open_session(struct send_client *c)
{
        nghttp2_session_callbacks *cb;
        if (nghttp2_session_callbacks_new(&cb) != 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
        int r = nghttp2_session_client_new(&c->session, cb, c);
        nghttp2_session_callbacks_del(cb);
        if (r == 0)
                r = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
        return r == 0 ? 0 : -ENOMEM;
}

int send_client_new(const char *address, unsigned deadline_secs, struct send_client **ret, struct error *err)
{
        _cleanup_(send_client_freep) struct send_client *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->fd = -1;
        c->deadline_ns = clock_monotonic_ns() + deadline_secs * UINT64_C(1000000000);
        snprintf(c->authority, sizeof(c->authority), "%s", address);
        int r = connect_to(c, address, err);
        if (r == 0)
                r = open_session(c);
        if (r == 0)
                *ret = TAKE_PTR(c);
        return r;
}

struct send_client *send_client_free(struct send_client *c)
{
        if (!c)
                return NULL;
        nghttp2_session_del(c->session);
        if (c->fd >= 0)
                close(c->fd);
        free(c);
        return NULL;
}

/* ---- requests ---- */

nghttp2_nv send_client_field(const char *name, const char *value)
{
        return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
                             .value = (uint8_t *)(uintptr_t)value,
                             .namelen = strlen(name),
                             .valuelen = strlen(value) };
}

static int exchange(struct send_client *c)
{
        int r = 0;
        while (r == 0 && !c->closed) {
                r = write_all(c);
                if (r == 0 && !c->closed)
                        r = read_some(c);
        }
        return r;
}

int send_client_post(struct send_client *c, const char *path, const nghttp2_nv *fields, size_t n_fields,
                     const void *body, size_t len, struct send_answer *ret, struct error *err)
{
        nghttp2_nv all[FIELDS_MAX] = { send_client_field(":method", "POST"), send_client_field(":scheme", "http"),
                                       send_client_field(":authority", c->authority),
                                       send_client_field(":path", path) };
        const nghttp2_data_provider provider = { .source.ptr = c, .read_callback = read_body };
        struct send_answer answer = { .grpc_status = -1 };

        if (n_fields + 4 > FIELDS_MAX)
                return -EINVAL;
        memcpy(all + 4, fields, n_fields * sizeof(*fields));
        c->body = body;
        c->len = len;
        c->sent = 0;
        c->closed = false;
        c->answer = &answer;
        int r = nghttp2_submit_request(c->session, NULL, all, n_fields + 4, &provider, NULL) < 0 ? -ENOMEM
                                                                                                 : exchange(c);
        c->answer = NULL;
        if (r == 0 && answer.http_status == 0)
                r = -ECONNRESET;
        if (r < 0)
                error_set(err, "%s: %s", path,
                          r == -ECONNRESET ? "the connection ended without an answer" : strerror(-r));
        else
                *ret = answer;
        return r;
}
