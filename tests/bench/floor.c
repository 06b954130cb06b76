/* The durable floor: the least that a server must do which answers a log export only when it is on disk. Beside it a
 * benchmark shows what authentication, decoding and files for each source cost. It takes any HTTP/2 request.
 *
 * Two loops read; a whole body goes to the one committer, which takes all that wait, writes them to a journal (a file
 * that is preallocated, written once before and gone round and round), syncs it, appends the bodies to a second file
 * without a sync, and hands the answers back to the loops. No project code but the growable buffer is used, so that the
 * floor stays where it is while the project changes.
 *
 *     floor --port N --dir DIR [--no-sync]     says "listening" when it does; runs until a signal
 *
 * Any failure of the disk or of memory ends it: a benchmark needs no more. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "util/buf.h"

#define LOOPS 2
#define JOURNAL_BYTES ((size_t)256 << 20)
#define GROUP_BYTES ((size_t)16 << 20) /* one write to the journal has at most so much, and one body more */
#define READ_BYTES (256 * 1024)
#define WINDOW_BYTES (16 << 20)

struct stream {
        struct connection *connection;
        struct stream *next; /* in the committer's queue, or its loop's list of answers */
        int32_t id;
        bool queued, closed;
        struct buf body;
};

struct connection {
        struct loop *loop;
        int fd;
        nghttp2_session *session;
        unsigned queued; /* streams that the committer has */
        struct buf out;
        size_t out_at;
        uint32_t events; /* that epoll is asked for */
        bool dirty;      /* in the list of those with new answers */
        struct connection *next_dirty;
};

struct loop {
        int epoll_fd, event_fd, listen_fd;
        pthread_mutex_t lock;
        struct stream *answers;
        uint8_t read_buffer[READ_BYTES];
};

static struct loop loops[LOOPS];
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static struct stream *queue_first, **queue_last = &queue_first;
static int journal_fd, lines_fd;
static bool no_sync;

static void append(struct buf *b, const void *data, size_t n)
{
        if (buf_append(b, data, n) < 0)
                errx(1, "out of memory");
}

/* ---- the committer ---- */

static void write_all(int fd, const uint8_t *data, size_t n, off_t *at)
{
        while (n > 0) {
                ssize_t done = at ? pwrite(fd, data, n, *at) : write(fd, data, n);
                if (done < 0)
                        err(1, "write");
                data += done;
                n -= (size_t)done;
                if (at)
                        *at += done;
        }
}

static void hand_back(struct stream *group)
{
        static const uint64_t one = 1;
        for (struct stream *s = group, *next; s; s = next) {
                struct loop *l = s->connection->loop;
                next = s->next;
                pthread_mutex_lock(&l->lock);
                bool wake = !l->answers;
                s->next = l->answers;
                l->answers = s;
                pthread_mutex_unlock(&l->lock);
                if (wake && write(l->event_fd, &one, sizeof(one)) < 0)
                        err(1, "eventfd");
        }
}

static struct stream *take_group(void)
{
        struct stream *first;
        pthread_mutex_lock(&queue_lock);
        while (!queue_first)
                pthread_cond_wait(&queue_filled, &queue_lock);
        first = queue_first;
        size_t bytes = first->body.len;
        struct stream *last = first;
        while (last->next && bytes < GROUP_BYTES) {
                last = last->next;
                bytes += last->body.len;
        }
        queue_first = last->next;
        if (!queue_first)
                queue_last = &queue_first;
        last->next = NULL;
        pthread_mutex_unlock(&queue_lock);
        return first;
}

static void *commit(void *unused)
{
        struct buf group = { 0 };
        off_t at = 0;
        for (;;) {
                struct stream *first = take_group();
                group.len = 0;
                for (const struct stream *s = first; s; s = s->next)
                        append(&group, s->body.data, s->body.len);
                if ((size_t)at + group.len > JOURNAL_BYTES)
                        at = 0;
                write_all(journal_fd, group.data, group.len, &at);
                if (!no_sync && fdatasync(journal_fd) < 0)
                        err(1, "fdatasync");
                write_all(lines_fd, group.data, group.len, NULL);
                hand_back(first);
        }
        return unused;
}

static void open_files(const char *dir)
{
        static const uint8_t zeros[1 << 20];
        off_t at = 0;
        int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
        journal_fd = openat(dirfd, "journal", O_RDWR | O_CREAT | O_TRUNC, 0640);
        lines_fd = openat(dirfd, "lines", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0640);
        if (dirfd < 0 || journal_fd < 0 || lines_fd < 0)
                err(1, "%s", dir);
        while ((size_t)at < JOURNAL_BYTES)
                write_all(journal_fd, zeros, sizeof(zeros), &at);
        if (fsync(journal_fd) < 0 || fsync(dirfd) < 0)
                err(1, "fsync");
        close(dirfd);
}

/* ---- HTTP/2 ---- */

static void free_stream(struct stream *s)
{
        buf_done(&s->body);
        free(s);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        struct stream *s = calloc(1, sizeof(*s));
        if (!s)
                errx(1, "out of memory");
        s->connection = user_data;
        s->id = frame->hd.stream_id;
        return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags _unused_, int32_t stream_id, const uint8_t *data,
                         size_t len, void *user_data _unused_)
{
        struct stream *s = nghttp2_session_get_stream_user_data(session, stream_id);
        append(&s->body, data, len);
        return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct connection *c = user_data;
        if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
            !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
                return 0;
        struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        s->queued = true;
        c->queued++;
        pthread_mutex_lock(&queue_lock);
        if (!queue_first)
                pthread_cond_signal(&queue_filled);
        *queue_last = s;
        queue_last = &s->next;
        pthread_mutex_unlock(&queue_lock);
        return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error _unused_, void *user _unused_)
{
        struct stream *s = nghttp2_session_get_stream_user_data(session, stream_id);
        if (s && s->queued)
                s->closed = true;
        else if (s)
                free_stream(s);
        return 0;
}

static nghttp2_nv field(const char *name, const char *value)
{
        return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                             NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE };
}

/* An empty gRPC message, then the trailers. */
static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t max _unused_,
                           uint32_t *flags, nghttp2_data_source *source _unused_, void *user_data _unused_)
{
        const nghttp2_nv trailer = field("grpc-status", "0");
        memset(to, 0, 5);
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, stream_id, &trailer, 1);
        return 5;
}

static void answer(struct stream *s)
{
        const nghttp2_nv head[] = { field(":status", "200"), field("content-type", "application/grpc") };
        const nghttp2_data_provider provider = { .read_callback = read_answer };
        nghttp2_submit_response(s->connection->session, s->id, head, ARRAY_LEN(head), &provider);
}

static nghttp2_session *open_session(struct connection *c)
{
        const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000 },
                                                    { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES } };
        nghttp2_session_callbacks *cb;
        nghttp2_session *session;
        if (nghttp2_session_callbacks_new(&cb) != 0)
                errx(1, "out of memory");
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        if (nghttp2_session_server_new(&session, cb, c) != 0)
                errx(1, "out of memory");
        nghttp2_session_callbacks_del(cb);
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
        return session;
}

/* ---- the loops ---- */

static void watch(struct loop *l, int how, int fd, uint32_t events, void *ptr)
{
        struct epoll_event e = { .events = events, .data.ptr = ptr };
        if (epoll_ctl(l->epoll_fd, how, fd, &e) < 0)
                err(1, "epoll_ctl");
}

/* Streams that the committer has keep their connection; those that were never whole are lost with the process. */
static void close_connection(struct connection *c)
{
        if (c->fd >= 0)
                close(TAKE_FD(c->fd));
        if (c->queued > 0)
                return;
        nghttp2_session_del(c->session);
        buf_done(&c->out);
        free(c);
}

static void watch_connection(struct connection *c, uint32_t events)
{
        if (events != c->events)
                watch(c->loop, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, events, c);
        c->events = events;
}

/* Writes what there is. False: the connection is to be closed. */
static bool flush(struct connection *c)
{
        const uint8_t *data;
        ssize_t n;
        do {
                while (c->out.len < 65536 && (n = nghttp2_session_mem_send(c->session, &data)) > 0)
                        append(&c->out, data, (size_t)n);
                if (c->out_at == c->out.len)
                        break;
                n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
                if (n < 0 && errno != EAGAIN)
                        return false;
                c->out_at += n > 0 ? (size_t)n : 0;
                if (c->out_at == c->out.len)
                        c->out_at = c->out.len = 0;
        } while (c->out.len == 0);
        watch_connection(c, c->out.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
        return true;
}

static void serve(struct connection *c)
{
        ssize_t n = recv(c->fd, c->loop->read_buffer, READ_BYTES, 0);
        if (n < 0 && errno == EAGAIN)
                n = 0;
        else if (n <= 0 || nghttp2_session_mem_recv(c->session, c->loop->read_buffer, (size_t)n) < 0)
                n = -1;
        if (n < 0 || !flush(c))
                close_connection(c);
}

static void accept_all(struct loop *l)
{
        const int on = 1;
        int fd;
        while ((fd = accept4(l->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                struct connection *c = calloc(1, sizeof(*c));
                if (!c)
                        errx(1, "out of memory");
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                c->loop = l;
                c->fd = fd;
                c->session = open_session(c);
                watch_connection(c, EPOLLIN);
        }
}

/* All answers first, so that those of a connection leave in one write. */
static void answer_group(struct loop *l)
{
        struct connection *dirty = NULL;
        uint64_t ignored;
        if (read(l->event_fd, &ignored, sizeof(ignored)) < 0)
                return;
        pthread_mutex_lock(&l->lock);
        struct stream *group = TAKE_PTR(l->answers);
        pthread_mutex_unlock(&l->lock);
        for (struct stream *s = group, *next; s; s = next) {
                struct connection *c = s->connection;
                next = s->next;
                c->queued--;
                s->queued = false;
                if (s->closed || c->fd < 0)
                        free_stream(s);
                else
                        answer(s);
                if (!c->dirty) {
                        c->dirty = true;
                        c->next_dirty = dirty;
                        dirty = c;
                }
        }
        for (struct connection *c = dirty, *next; c; c = next) {
                next = c->next_dirty;
                c->dirty = false;
                if (c->fd < 0 || !flush(c))
                        close_connection(c);
        }
}

static void *run_loop(void *loop)
{
        struct loop *l = loop;
        struct epoll_event events[256];
        for (;;) {
                bool answers = false;
                int n = epoll_wait(l->epoll_fd, events, ARRAY_LEN(events), -1);
                for (int i = 0; i < n; i++) {
                        if (events[i].data.ptr == &l->listen_fd)
                                accept_all(l);
                        else if (events[i].data.ptr == &l->event_fd)
                                answers = true; /* last: it may free connections */
                        else
                                serve(events[i].data.ptr);
                }
                if (answers)
                        answer_group(l);
        }
        return NULL;
}

static void open_loop(struct loop *l, uint16_t port)
{
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons(port),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        const int on = 1;
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        l->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        pthread_mutex_init(&l->lock, NULL);
        setsockopt(l->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        setsockopt(l->listen_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
        if (bind(l->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(l->listen_fd, 4096) < 0)
                err(1, "port %u", port);
        watch(l, EPOLL_CTL_ADD, l->listen_fd, EPOLLIN, &l->listen_fd);
        watch(l, EPOLL_CTL_ADD, l->event_fd, EPOLLIN, &l->event_fd);
}

int main(int argc, char **argv)
{
        pthread_t threads[LOOPS + 1];
        const char *dir = NULL;
        int port = 0;
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
                        port = atoi(argv[++i]);
                else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
                        dir = argv[++i];
                else if (strcmp(argv[i], "--no-sync") == 0)
                        no_sync = true;
                else
                        errx(2, "usage: floor --port N --dir DIR [--no-sync]");
        }
        if (!dir || port <= 0 || port > UINT16_MAX)
                errx(2, "usage: floor --port N --dir DIR [--no-sync]");
        open_files(dir);
        for (size_t i = 0; i < LOOPS; i++)
                open_loop(&loops[i], (uint16_t)port);
        for (size_t i = 0; i <= LOOPS; i++) {
                if (pthread_create(&threads[i], NULL, i < LOOPS ? run_loop : commit, i < LOOPS ? &loops[i] : NULL) != 0)
                        errx(1, "no thread");
        }
        puts("listening");
        fflush(stdout);
        for (;;)
                pause();
}
