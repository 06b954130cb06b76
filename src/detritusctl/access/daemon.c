#include "detritusctl/access/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "control/control.h"
#include "protocol/json/json_read.h"
#include "storage/store/data_dir.h"
#include "util/buf.h"

#define ASK_SECS 10 /* for what is answered from memory */
#define READ_BYTES 65536
#define DEPTH_MAX 32

int daemon_find(const char *data_dir, pid_t *ret_pid)
{
        *ret_pid = 0;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        data_dir_is_held(fd, ret_pid);
        return 0;
}

int daemon_connect(const char *data_dir)
{
        const struct timeval patience = { .tv_sec = ASK_SECS };
        struct sockaddr_un address;
        _cleanup_(closep) int directory = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
                return -errno;
        control_address(directory, &address);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return errno == ENOENT ? -ECONNREFUSED : errno == EAGAIN ? -ETIMEDOUT : -errno;
        return TAKE_FD(fd);
}

static int send_request(int fd, const char *request)
{
        struct iovec parts[] = { { (void *)request, strlen(request) }, { (void *)"\n", 1 } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts) };
        size_t len = parts[0].iov_len + 1;
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        while (n >= 0 && (size_t)n < len) { /* a signal came in between */
                size_t sent = (size_t)n;
                ssize_t more = sent + 1 < len ? send(fd, request + sent, len - 1 - sent, MSG_NOSIGNAL)
                                              : send(fd, "\n", 1, MSG_NOSIGNAL);
                n = more < 0 ? more : n + more;
        }
        return n < 0 ? -errno : 0;
}

/* More bytes of the answer. */
static int receive(int fd, struct buf *b)
{
        int r = buf_reserve(b, READ_BYTES);
        if (r < 0)
                return r;
        ssize_t n = recv(fd, b->data + b->len, READ_BYTES, 0);
        if (n < 0 && errno == EINTR)
                return 0;
        if (n <= 0)
                return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
        b->len += (size_t)n;
        return 0;
}

/* A daemon that refuses us says so and closes the connection, so its words count more than a failed send. */
int daemon_converse(int fd, const char *request, daemon_on_line on_line, void *userdata)
{
        _cleanup_(buf_done) struct buf b = { 0 };
        int r = send_request(fd, request);
        if (r == -EPIPE)
                r = 0;
        while (r == 0) {
                uint8_t *newline = b.len > 0 ? memchr(b.data, '\n', b.len) : NULL;
                if (!newline) {
                        r = receive(fd, &b);
                        continue;
                }
                *newline = '\0';
                r = on_line(userdata, (const char *)b.data);
                buf_consume(&b, (size_t)(newline - b.data) + 1);
        }
        return r;
}

static int take_answer(void *userdata, const char *line)
{
        struct json_object **answer = userdata;
        return json_read_parse(line, strlen(line), DEPTH_MAX, answer) == 0 && *answer ? DAEMON_ANSWERED : -EBADMSG;
}

int daemon_ask(const char *data_dir, const char *request, struct json_object **ret_answer)
{
        const struct timeval patience = { .tv_sec = ASK_SECS };
        _cleanup_(closep) int fd = daemon_connect(data_dir);
        if (fd < 0)
                return fd;
        int r = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ? -errno : 0;
        if (r == 0)
                r = daemon_converse(fd, request, take_answer, ret_answer);
        return r == DAEMON_ANSWERED ? 0 : r == -EAGAIN ? -ETIMEDOUT : r;
}

bool daemon_answers(const char *data_dir)
{
        _cleanup_(json_read_freep) struct json_object *answer = NULL;
        return daemon_ask(data_dir, "{\"op\":\"ping\"}", &answer) == 0 && json_read_has(answer, "ok");
}
