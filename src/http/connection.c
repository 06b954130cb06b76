/* One socket: read, tell HTTP/2 from HTTP/1.1 by the connection preface, feed the protocol, write what it produced.
 *
 * Closing: after the last answer the socket is shut down for writing and whatever the peer still sends is read and
 * dropped for a while, because closing with unread bytes makes the kernel send RST, which can destroy the answer on its
 * way. A broken or silent peer is closed by the once-a-second tick. */

#include "http/connection_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "net/address_table.h"
#include "net/listener.h"

#define READS_PER_PASS 4
#define WRITES_PER_PASS 16
#define OUT_KEPT_BYTES ((size_t)16 * 1024) /* what an idle connection may keep */
#define LINGER_SECS 5
#define DRAIN_GRACE_SECS 1u /* for the first bytes of who connected just before a drain */
#define LINGER_BYTES ((uint64_t)4 * 1024 * 1024)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void move(struct connection *c, enum connection_state to)
{
        static const unsigned allowed[] = {
                [CONNECTION_OPENING] = 1u << CONNECTION_SERVING,
                [CONNECTION_SERVING] = 1u << CONNECTION_CLOSING,
                [CONNECTION_CLOSING] = 1u << CONNECTION_LINGERING,
                [CONNECTION_LINGERING] = 0,
        };
        assert(allowed[c->state] & 1u << to);
        c->state = to;
}

static void tell_if_empty(struct connection_set *s)
{
        if (!s->first && s->empty)
                TAKE_PTR(s->empty)(s->empty_userdata);
}

static void connection_free(struct connection *c)
{
        struct connection_set *s = c->set;
        assert(loop_is_mine(s->loop));
        if (c->protocol)
                c->protocol->free(c);
        if (c->flush_queued)
                loop_undefer(s->loop, &c->flush);
        loop_remove(s->loop, &c->io);
        close(c->io.fd);
        address_table_leave(s->config.addresses, &c->address);
        metrics_gauge_add(s->config.metrics, METRICS_CONNECTIONS, -1);
        if (c->prev)
                c->prev->next = c->next;
        else
                s->first = c->next;
        if (c->next)
                c->next->prev = c->prev;
        buf_done(&c->out);
        free(c);
        tell_if_empty(s);
}

static void watch(struct connection *c)
{
        uint32_t events = 0;
        if (!c->peer_ended && !c->read_paused)
                events |= EPOLLIN;
        if (c->out_done < c->out.len)
                events |= EPOLLOUT;
        if (events != c->watching && loop_modify(c->set->loop, &c->io, events) == 0)
                c->watching = events;
}

void connection_pause_read(struct connection *c, bool pause)
{
        c->read_paused = pause;
        watch(c);
}

void connection_wants_flush(struct connection *c)
{
        if (c->flush_queued)
                return;
        c->flush_queued = true;
        loop_defer(c->set->loop, &c->flush);
}

void connection_begin_request(struct connection *c, struct http_request *r)
{
        const struct http_handler *h = &c->set->config.handler;
        assert(loop_is_mine(c->set->loop));
        assert(c->state == CONNECTION_SERVING); /* what comes after CONNECTION_CLOSE is not read */
        r->peer = c->peer;
        r->peer_address = address_table_number(&c->address);
        http_request_begin(r);
        h->begin(h->userdata, r);
}

void connection_refuse_request(struct connection *c, struct http_request *r, int status, const char *message)
{
        log_info("request refused", LOG_STR("request_id", r->id), LOG_STR("peer", c->peer), LOG_INT("status", status),
                 LOG_STR("reason", message));
        metrics_request(c->set->config.metrics, METRICS_OTHER, status, 0);
        http_request_refuse(r, status, message);
}

/* What a protocol returned: false when the connection is to go at once. */
static bool obey(struct connection *c, int r)
{
        if (r == CONNECTION_CLOSE) {
                if (c->state == CONNECTION_SERVING)
                        move(c, CONNECTION_CLOSING);
                connection_wants_flush(c);
        }
        return r >= 0;
}

static int choose_protocol(struct connection *c, const struct connection_protocol *p)
{
        int r = p->open(c);
        if (r < 0)
                return r;
        c->protocol = p;
        move(c, CONNECTION_SERVING);
        r = p->feed(c, c->first, c->n_first);
        return r == 0 && c->set->draining ? p->drain(c) : r;
}

/* Holds back the first bytes until they are the preface or cannot be. RFC 9113 §3.3. */
static int sniff(struct connection *c, const uint8_t **data, size_t *len)
{
        while (*len > 0 && c->n_first < CONNECTION_PREFACE_BYTES) {
                uint8_t byte = *(*data)++;
                (*len)--;
                c->first[c->n_first++] = byte;
                if (byte != (uint8_t)preface[c->n_first - 1])
                        return choose_protocol(c, &http1_protocol);
        }
        return c->n_first == CONNECTION_PREFACE_BYTES ? choose_protocol(c, &http2_protocol) : 0;
}

static int feed(struct connection *c, const uint8_t *data, size_t len)
{
        if (c->state == CONNECTION_LINGERING) {
                c->linger_bytes += len;
                return c->linger_bytes > LINGER_BYTES ? -ECONNRESET : 0;
        }
        if (c->state == CONNECTION_CLOSING)
                return 0;
        if (c->state == CONNECTION_OPENING) {
                int r = sniff(c, &data, &len);
                if (r != 0 || c->state == CONNECTION_OPENING || len == 0)
                        return r;
        }
        return c->protocol->feed(c, data, len);
}

static bool peer_ended(struct connection *c)
{
        c->peer_ended = true;
        watch(c);
        if (c->state == CONNECTION_LINGERING || c->state == CONNECTION_OPENING)
                return false;
        return c->state == CONNECTION_CLOSING || obey(c, c->protocol->end(c));
}

/* False when the connection is to go. */
static bool read_some(struct connection *c)
{
        for (int i = 0; i < READS_PER_PASS && !c->read_paused; i++) {
                ssize_t n = read(c->io.fd, c->set->scratch, sizeof(c->set->scratch));
                if (n == 0)
                        return peer_ended(c);
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR;
                c->read_ns = connection_now_ns(c);
                if (!obey(c, feed(c, c->set->scratch, (size_t)n)))
                        return false;
                if ((size_t)n < sizeof(c->set->scratch))
                        break;
        }
        return true;
}

/* The last answer is out. */
static bool start_linger(struct connection *c)
{
        if (c->peer_ended)
                return false;
        shutdown(c->io.fd, SHUT_WR);
        move(c, CONNECTION_LINGERING);
        c->write_ns = connection_now_ns(c);
        c->read_paused = false;
        return true;
}

/* False when the connection is to go. */
static bool write_some(struct connection *c)
{
        for (int i = 0; i < WRITES_PER_PASS; i++) {
                if (c->out_done == c->out.len) {
                        buf_clear(&c->out);
                        c->out_done = 0;
                        if (c->out.cap > OUT_KEPT_BYTES)
                                buf_done(&c->out);
                        if (c->protocol && c->state != CONNECTION_LINGERING && !obey(c, c->protocol->produce(c)))
                                return false;
                        if (c->out.len == 0)
                                return c->state == CONNECTION_CLOSING ? start_linger(c) : true;
                }
                ssize_t n = send(c->io.fd, c->out.data + c->out_done, c->out.len - c->out_done, MSG_NOSIGNAL);
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR;
                if (c->out_done == 0 || n > 0)
                        c->write_ns = connection_now_ns(c);
                c->out_done += (size_t)n;
        }
        connection_wants_flush(c); /* the others' turn first */
        return true;
}

static void on_flush(struct loop_task *task)
{
        struct connection *c = container_of(task, struct connection, flush);
        c->flush_queued = false;
        if (write_some(c))
                watch(c);
        else
                connection_free(c);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
        struct connection *c = container_of(io, struct connection, io);
        bool alive = !(events & EPOLLERR);
        if (alive && (events & (EPOLLIN | EPOLLHUP)) && !c->peer_ended)
                alive = c->read_paused ? !(events & EPOLLHUP) : read_some(c);
        else if (alive && (events & EPOLLHUP))
                alive = false;
        if (alive && (events & EPOLLOUT))
                connection_wants_flush(c);
        if (!alive)
                connection_free(c);
}

/* False when the connection has outstayed a limit. */
static bool tick_one(struct connection *c, uint64_t now)
{
        const struct config_limits *l = connection_limits(c);
        if (c->state == CONNECTION_LINGERING)
                return now - c->write_ns < (c->set->draining ? 1 : LINGER_SECS) * second_ns;
        if (c->out_done < c->out.len && now - c->write_ns > l->write_timeout_secs * second_ns)
                return false;
        if (c->state == CONNECTION_OPENING)
                return now - c->opened_ns < (c->set->draining ? DRAIN_GRACE_SECS : l->head_timeout_secs) * second_ns;
        return obey(c, c->protocol->tick(c, now));
}

static void free_all(struct connection_set *s)
{
        while (s->first)
                connection_free(s->first);
}

static void on_tick(void *set)
{
        struct connection_set *s = set;
        uint64_t now = loop_now_ns(s->loop);
        if (s->draining && s->first && now - s->drain_ns > s->config.limits->drain_timeout_secs * second_ns) {
                log_warn("closing connections that did not finish in time");
                free_all(s);
        }
        for (struct connection *c = s->first, *next; c; c = next) {
                next = c->next;
                if (!tick_one(c, now))
                        connection_free(c);
        }
}

static void connection_open(struct connection_set *s, int fd, const struct sockaddr_storage *peer)
{
        struct connection *c = calloc(1, sizeof(*c));
        if (!c) {
                close(fd);
                address_table_leave(s->config.addresses, peer);
                return;
        }
        c->io = (struct loop_io){ .fd = fd, .ready = on_ready };
        c->set = s;
        c->flush.run = on_flush;
        c->address = *peer;
        c->opened_ns = c->read_ns = c->write_ns = loop_now_ns(s->loop);
        c->watching = EPOLLIN;
        listener_format_peer(peer, c->peer);
        metrics_gauge_add(s->config.metrics, METRICS_CONNECTIONS, 1);
        metrics_count(s->config.metrics, METRICS_CONNECTIONS_ACCEPTED, 1);
        c->next = s->first;
        if (s->first)
                s->first->prev = c;
        s->first = c;
        if (loop_add(s->loop, &c->io, EPOLLIN) < 0)
                connection_free(c);
}

void connection_set_accept(void *set, int fd, const struct sockaddr_storage *peer)
{
        struct connection_set *s = set;
        assert(loop_is_mine(s->loop));
        if (address_table_enter(s->config.addresses, peer))
                connection_open(s, fd, peer);
        else
                close(fd);
}

int connection_set_new(struct loop *l, const struct connection_set_config *config, struct connection_set **ret)
{
        struct connection_set *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->loop = l;
        s->config = *config;
        loop_set_tick(l, on_tick, s);
        *ret = s;
        return 0;
}

struct connection_set *connection_set_free(struct connection_set *s)
{
        if (!s)
                return NULL;
        loop_set_tick(s->loop, NULL, NULL);
        free_all(s);
        http2_streams_drop_spare(s);
        free(s);
        return NULL;
}

void connection_set_drain(struct connection_set *s, void (*empty)(void *userdata), void *userdata)
{
        assert(loop_is_mine(s->loop));
        assert(!s->draining);
        for (struct connection *c = s->first, *next; c; c = next) {
                next = c->next;
                bool alive = c->peer_ended || read_some(c); /* what came in time is served */
                if (!alive || (c->protocol && !obey(c, c->protocol->drain(c))))
                        connection_free(c);
        }
        s->draining = true;
        s->drain_ns = loop_now_ns(s->loop);
        s->empty = empty;
        s->empty_userdata = userdata;
        tell_if_empty(s);
}
