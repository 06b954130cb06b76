/* Binding and accepting. When descriptors run out, a spare one is closed for a moment so that the connection can be
 * accepted and closed. Otherwise it would stay in the queue, and the loop would spin on it. */

#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define BACKLOG 4096
#define PAUSE_MS 2
#define ACCEPTS_PER_PASS 64 /* then the connections already here get their turn */

struct listener {
        struct loop_io io;
        struct loop *loop;
        listener_accepted accepted;
        void *userdata;
        int spare_fd;
};

static int parse_port(const char *text, in_port_t *ret)
{
        char *end;
        if (*text < '0' || *text > '9')
                return -EINVAL;
        unsigned long port = strtoul(text, &end, 10);
        if (*end || port > 65535)
                return -EINVAL;
        *ret = htons((in_port_t)port);
        return 0;
}

static int parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
        char host[INET6_ADDRSTRLEN + 2];
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : 0;
        in_port_t port;

        if (n == 0 || n >= sizeof(host) || parse_port(colon + 1, &port) < 0)
                return -EINVAL;
        memcpy(host, text, n);
        host[n] = '\0';
        memset(ret, 0, sizeof(*ret));
        if (host[0] == '[' && host[n - 1] == ']') {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
                host[n - 1] = '\0';
                *in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
                *ret_len = sizeof(*in6);
                return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1 ? 0 : -EINVAL;
        }
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        *in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
        *ret_len = sizeof(*in);
        return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
}

static int open_socket(const struct sockaddr_storage *addr, socklen_t len, bool reuse_port, int *ret)
{
        int one = 1;
        _cleanup_(closep) int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
            bind(fd, (const struct sockaddr *)addr, len) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int listener_bind(const char *address, bool share, int *ret_fd, struct error *err)
{
        struct sockaddr_storage addr;
        socklen_t len;
        _cleanup_(closep) int fd = -1;

        int r = parse_address(address, &addr, &len);
        if (r < 0) {
                error_set(err, "\"%.64s\" is not a valid address; use ADDR:PORT or [ADDR6]:PORT", address);
                return r;
        }
        if (!share) { /* without SO_REUSEPORT, a port in use is an error */
                _cleanup_(closep) int probe = -1;
                r = open_socket(&addr, len, false, &probe);
        }
        if (r == 0)
                r = open_socket(&addr, len, true, &fd);
        if (r == 0 && listen(fd, BACKLOG) < 0)
                r = -errno;
        if (r < 0) {
                error_set(err, "%s: cannot listen: %s", address, strerror(-r));
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void listener_format_peer(const struct sockaddr_storage *peer, char ret[LISTENER_ADDRESS_SIZE])
{
        char host[INET6_ADDRSTRLEN];
        if (peer->ss_family == AF_INET) {
                const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
                inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
                snprintf(ret, LISTENER_ADDRESS_SIZE, "%s:%u", host, ntohs(in->sin_port));
        } else if (peer->ss_family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
                inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
                snprintf(ret, LISTENER_ADDRESS_SIZE, "[%s]:%u", host, ntohs(in6->sin6_port));
        } else {
                snprintf(ret, LISTENER_ADDRESS_SIZE, "local");
        }
}

int listener_address(int fd, char ret[LISTENER_ADDRESS_SIZE])
{
        struct sockaddr_storage addr = { 0 };
        socklen_t len = sizeof(addr);
        if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
                return -errno;
        listener_format_peer(&addr, ret);
        return 0;
}

static int open_spare(void)
{
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left: uses the spare one to turn the client away. Another thread may take that descriptor first;
 * then the client waits, and a pause keeps the loop from spinning. */
static void turn_away(struct listener *l)
{
        if (l->spare_fd < 0)
                l->spare_fd = open_spare();
        if (l->spare_fd < 0) {
                poll(NULL, 0, PAUSE_MS);
                return;
        }
        close(l->spare_fd);
        int fd = accept4(l->io.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
                close(fd);
        l->spare_fd = open_spare();
}

/* False when nothing is waiting. */
static bool accept_one(struct listener *l)
{
        struct sockaddr_storage peer = { 0 };
        socklen_t len = sizeof(peer);
        int one = 1;
        int fd = accept4(l->io.fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                int why = errno;
                if (why == EMFILE || why == ENFILE)
                        turn_away(l);
                return why == ECONNABORTED || why == EINTR;
        }
        if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        l->accepted(l->userdata, fd, &peer);
        return true;
}

static void on_ready(struct loop_io *io, uint32_t events _unused_)
{
        struct listener *l = container_of(io, struct listener, io);
        for (int i = 0; i < ACCEPTS_PER_PASS && accept_one(l); i++)
                ;
}

int listener_new(struct loop *loop, int listen_fd, listener_accepted accepted, void *userdata, struct listener **ret)
{
        struct listener *l = calloc(1, sizeof(*l));
        if (!l) {
                close(listen_fd);
                return -ENOMEM;
        }
        *l = (struct listener){
                .io = { .fd = listen_fd, .ready = on_ready },
                .loop = loop,
                .accepted = accepted,
                .userdata = userdata,
                .spare_fd = open_spare(),
        };
        int r = loop_add(loop, &l->io, EPOLLIN | EPOLLEXCLUSIVE);
        if (r < 0) {
                listener_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct listener *listener_free(struct listener *l)
{
        if (!l)
                return NULL;
        while (accept_one(l))
                ;
        loop_remove(l->loop, &l->io);
        close(l->io.fd);
        if (l->spare_fd >= 0)
                close(l->spare_fd);
        free(l);
        return NULL;
}
