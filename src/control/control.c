/* One thread accepts and looks at the rates; a connection gets one of CONTROL_CONNECTIONS_MAX places and a thread. A
 * place is free again when its thread has been joined.
 *
 * Failure modes: a stranger, one connection too many, a line that is too long: each gets an error line, then the
 * connection is closed. Without a thread for it the connection is closed at once. Nothing here stops the daemon. */
#include "control/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "protocol/json/json_write.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread_owner.h"

#define BACKLOG 16

struct client {
        struct control *control;
        pthread_t thread;
        bool used, finished;
        int fd;
};

struct control {
        int datadir_fd, listen_fd, wake_fd;
        uint64_t idle_ns, write_ns;
        struct operations *operations;
        struct rates *rates;
        pthread_t thread;
        struct thread_owner owner; /* it accepts connections and reaps their threads */
        bool started;
        pthread_mutex_t lock;                           /* for finished and fd of the clients */
        struct client clients[CONTROL_CONNECTIONS_MAX]; /* the accepting thread's */
};

void control_address(int datadir_fd, struct sockaddr_un *ret)
{
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET, datadir_fd);
}

/* ---- one connection ---- */

/* The time that is left until the deadline is the socket's own limit from now on. 0; -ETIMEDOUT: none is left;
 * -errno. */
static int set_patience(int fd, int option, uint64_t deadline_ns)
{
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= deadline_ns)
                return -ETIMEDOUT;
        uint64_t us = (deadline_ns - now_ns) / 1000 + 1; /* 0 would be no limit */
        const struct timeval left = { .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
        return setsockopt(fd, SOL_SOCKET, option, &left, sizeof(left)) < 0 ? -errno : 0;
}

static int send_all(int fd, const void *data, size_t len, uint64_t deadline_ns)
{
        for (const char *p = data; len > 0;) {
                int r = set_patience(fd, SO_SNDTIMEO, deadline_ns);
                if (r < 0)
                        return r;
                ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                len -= (size_t)n;
        }
        return 0;
}

static int send_text(const struct control *c, int fd, const char *line, size_t len)
{
        uint64_t deadline_ns = clock_monotonic_ns() + c->write_ns;
        int r = send_all(fd, line, len, deadline_ns);
        return r == 0 ? send_all(fd, "\n", 1, deadline_ns) : r;
}

/* Without memory for the line it is not sent: the connection ends in any case. */
static int send_error(const struct control *c, int fd, const char *error)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "error", error);
        json_write_end(&w);
        int r = json_write_finish(&w);
        return r == 0 ? send_text(c, fd, (const char *)line.data, line.len) : r;
}

static int send_line(void *userdata, const char *line, size_t len)
{
        const struct client *client = userdata;
        return send_text(client->control, client->fd, line, len);
}

/* The length of the first line in b, without its newline. The whole line must come in time: a piece now and then does
 * not help. -ENODATA: the peer has closed; -EMSGSIZE; -errno. */
static ssize_t read_line(int fd, struct buf *b, uint64_t idle_ns)
{
        uint64_t deadline_ns = clock_monotonic_ns() + idle_ns;
        for (;;) {
                const uint8_t *newline = b->len > 0 ? memchr(b->data, '\n', b->len) : NULL;
                if (newline)
                        return newline - b->data;
                if (b->len >= OPERATIONS_REQUEST_MAX)
                        return -EMSGSIZE;
                int r = buf_reserve(b, 4096);
                if (r == 0)
                        r = set_patience(fd, SO_RCVTIMEO, deadline_ns);
                if (r < 0)
                        return r;
                size_t room = OPERATIONS_REQUEST_MAX + 1 - b->len;
                ssize_t n = recv(fd, b->data + b->len, room < 4096 ? room : 4096, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ENODATA;
                b->len += (size_t)n;
        }
}

static int run_request(struct client *client, const char *request, size_t len)
{
        if (strlen(request) != len)
                return send_error(client->control, client->fd, "the request holds a NUL");
        return operations_run(client->control->operations, request, send_line, client);
}

static void answer_requests(struct client *client)
{
        _cleanup_(buf_done) struct buf b = { 0 };
        for (;;) {
                ssize_t len = read_line(client->fd, &b, client->control->idle_ns);
                if (len == -EMSGSIZE)
                        send_error(client->control, client->fd, "the request is longer than 65536 bytes");
                if (len < 0)
                        return;
                b.data[len] = '\0';
                int r = run_request(client, (const char *)b.data, (size_t)len);
                if (r < 0)
                        return;
                buf_consume(&b, (size_t)len + 1);
        }
}

static void *serve(void *userdata)
{
        struct client *client = userdata;
        struct control *c = client->control;
        pthread_setname_np(pthread_self(), "control-client");
        answer_requests(client);
        pthread_mutex_lock(&c->lock);
        assert(client->used && !client->finished && client->fd >= 0);
        close(client->fd);
        client->fd = -1;
        client->finished = true;
        pthread_mutex_unlock(&c->lock);
        return NULL;
}

/* ---- accepting ---- */

static bool is_ours(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return false;
        return peer.uid == geteuid() || peer.uid == 0;
}

static void reap(struct control *c)
{
        assert_on_thread(&c->owner);
        for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
                struct client *client = &c->clients[i];
                pthread_mutex_lock(&c->lock);
                bool finished = client->used && client->finished;
                pthread_mutex_unlock(&c->lock);
                if (!finished)
                        continue;
                pthread_join(client->thread, NULL);
                client->used = false;
        }
}

/* Takes fd. */
static void admit(struct control *c, int fd)
{
        struct client *client = NULL;
        assert_on_thread(&c->owner);
        for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX && !client; i++)
                client = c->clients[i].used ? NULL : &c->clients[i];
        if (!client) {
                send_error(c, fd, "too many control connections");
                close(fd);
                return;
        }
        *client = (struct client){ .control = c, .fd = fd, .used = true };
        if (pthread_create(&client->thread, NULL, serve, client) != 0) {
                client->used = false;
                close(fd);
        }
}

static void accept_one(struct control *c)
{
        int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
                        poll(NULL, 0, 100); /* it stays in the queue; do not spin */
                return;
        }
        if (is_ours(fd)) {
                reap(c);
                admit(c, fd);
                return;
        }
        send_error(c, fd, "only the daemon's own user and root may ask here");
        close(fd);
}

static void *run(void *userdata)
{
        struct control *c = userdata;
        struct pollfd fds[] = { { .fd = c->listen_fd, .events = POLLIN }, { .fd = c->wake_fd, .events = POLLIN } };
        pthread_setname_np(pthread_self(), "control");
        thread_owner_take(&c->owner);
        for (;;) {
                int n = poll(fds, ARRAY_LEN(fds), RATES_INTERVAL_MS);
                rates_look(c->rates);
                if (fds[1].revents)
                        break;
                if (n > 0 && fds[0].revents)
                        accept_one(c);
                reap(c);
        }
        thread_owner_release(&c->owner);
        return NULL;
}

/* ---- life ---- */

/* A file that is not a socket is somebody's, and stays. */
static int remove_stale(int datadir_fd)
{
        struct stat st;
        if (fstatat(datadir_fd, CONTROL_SOCKET, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode))
                return -EEXIST;
        return unlinkat(datadir_fd, CONTROL_SOCKET, 0) < 0 ? -errno : 0;
}

/* On Linux the mode that a socket has before it is bound becomes that of its name, so nobody gets in meanwhile. */
static int listen_there(struct control *c)
{
        struct sockaddr_un address;
        int r = remove_stale(c->datadir_fd);
        if (r < 0)
                return r;
        control_address(c->datadir_fd, &address);
        c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c->listen_fd < 0 || fchmod(c->listen_fd, 0600) < 0 ||
            bind(c->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(c->listen_fd, BACKLOG) < 0)
                return -errno;
        return 0;
}

static int start(struct control *c)
{
        sigset_t all, old;
        int r = listen_there(c);
        if (r < 0)
                return r;
        c->wake_fd = eventfd(0, EFD_CLOEXEC);
        if (c->wake_fd < 0)
                return -errno;
        sigfillset(&all); /* signals are the embedding program's */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(&c->thread, NULL, run, c);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        c->started = r == 0;
        return r;
}

int control_new(int datadir_fd, const struct config_limits *limits, struct operations *operations, struct rates *rates,
                struct control **ret, struct error *err)
{
        struct control *c = calloc(1, sizeof(*c));
        int r = -ENOMEM;
        if (c) {
                *c = (struct control){ .datadir_fd = datadir_fd,
                                       .listen_fd = -1,
                                       .wake_fd = -1,
                                       .idle_ns = limits->control_idle_timeout_secs * UINT64_C(1000000000),
                                       .write_ns = limits->control_write_timeout_secs * UINT64_C(1000000000),
                                       .operations = operations,
                                       .rates = rates };
                pthread_mutex_init(&c->lock, NULL);
                r = start(c);
        }
        if (r < 0) {
                error_set(err, "%s", r == -EEXIST ? CONTROL_SOCKET " is in the way and is not a socket" : strerror(-r));
                control_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

/* Reading ends at once; an operation that is running ends between two steps, and its answer says so. */
static void end_clients(struct control *c)
{
        operations_stop(c->operations);
        for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
                struct client *client = &c->clients[i];
                if (!client->used)
                        continue;
                pthread_mutex_lock(&c->lock);
                if (client->fd >= 0)
                        shutdown(client->fd, SHUT_RD);
                pthread_mutex_unlock(&c->lock);
                pthread_join(client->thread, NULL);
        }
}

struct control *control_free(struct control *c)
{
        const uint64_t one = 1;
        if (!c)
                return NULL;
        if (c->started) {
                unlinkat(c->datadir_fd, CONTROL_SOCKET, 0);
                while (write(c->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
                        ;
                pthread_join(c->thread, NULL);
                end_clients(c);
        }
        if (c->listen_fd >= 0)
                close(c->listen_fd);
        if (c->wake_fd >= 0)
                close(c->wake_fd);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return NULL;
}
