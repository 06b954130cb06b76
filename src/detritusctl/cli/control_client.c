/* The socket first. When nobody listens there, the lock: whoever gets it is alone, opens the store (no listener, no
 * retention of its own) and runs the operation itself. When the lock is taken, a daemon may have started in between, so
 * the socket is tried once more; if there is still none, somebody is just starting or stopping, and we say so.
 *
 * Killed midway, the work is as far as its last transaction; the lock file then says that the stop was not orderly, and
 * the next start, or the next detritusctl, looks at everything. */
#include "detritusctl/cli/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "control/control.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/progress.h"
#include "util/files/owner.h"

uint64_t ctl_number(struct json_object *object, const char *key)
{
        return json_object_get_uint64(json_object_object_get(object, key));
}

const char *ctl_text(struct json_object *object, const char *key)
{
        struct json_object *value = json_object_object_get(object, key);
        return value ? json_object_get_string(value) : NULL;
}

#define ASK_SECS 10 /* what is answered from memory */

/* ---- lines of an answer ---- */

struct listener {
        const struct ctl_operation *operation;
        struct json_object *answer;
        int stopped; /* what on_item said */
};

static int hear(void *userdata, const char *line, _unused_ size_t len)
{
        struct listener *l = userdata;
        _cleanup_(json_object_putp) struct json_object *object = json_tokener_parse(line);
        struct json_object *inner;
        if (!object)
                return -EBADMSG;
        if (json_object_object_get_ex(object, "progress", &inner)) {
                progress_show("deleted", ctl_number(inner, "crashes") + ctl_number(inner, "log_files"), 0);
        } else if (json_object_object_get_ex(object, "item", &inner)) {
                if (l->operation->on_item && l->stopped == 0)
                        l->stopped = l->operation->on_item(l->operation->userdata, inner);
                return l->stopped;
        } else {
                l->answer = TAKE_PTR(object);
        }
        return 0;
}

/* ---- the daemon ---- */

/* The socket, or -errno. -ECONNREFUSED also when there is none; -ETIMEDOUT: a daemon that stands still, before which
 * others wait. */
static int connect_daemon(const char *data_dir)
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

/* Until the last line. 0, or -errno; -EPIPE: it went away before. */
static int read_answer(int fd, struct listener *l)
{
        _cleanup_(buf_done) struct buf b = { 0 };
        while (!l->answer) {
                uint8_t *newline = b.len > 0 ? memchr(b.data, '\n', b.len) : NULL;
                if (newline) {
                        *newline = '\0';
                        int r = hear(l, (const char *)b.data, (size_t)(newline - b.data));
                        if (r != 0)
                                return r;
                        buf_consume(&b, (size_t)(newline - b.data) + 1);
                        continue;
                }
                int r = buf_reserve(&b, 65536);
                if (r < 0)
                        return r;
                ssize_t n = recv(fd, b.data + b.len, 65536, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
                b.len += (size_t)n;
        }
        return 0;
}

/* A daemon that refuses us says so and goes away, so what it said counts more than that it did not want to read. */
static int ask(int fd, struct listener *l)
{
        int sent = send_request(fd, l->operation->request);
        return sent == 0 || sent == -EPIPE ? read_answer(fd, l) : sent;
}

static int converse(int fd, struct listener *l)
{
        int r = ask(fd, l);
        progress_clear();
        if (r == -EPIPE)
                return say_failed("the daemon went away before it was done; what was done stays done");
        return r == 0 ? CTL_OK : say_failed("the daemon does not answer: %s", strerror(r < 0 ? -r : ECANCELED));
}

int ctl_ask(const char *data_dir, const char *request, struct json_object **ret_answer)
{
        const struct ctl_operation operation = { .request = request };
        struct listener l = { .operation = &operation };
        const struct timeval patience = { .tv_sec = ASK_SECS };
        _cleanup_(closep) int fd = connect_daemon(data_dir);
        if (fd < 0)
                return fd;
        int r = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ? -errno : 0;
        if (r == 0)
                r = ask(fd, &l);
        if (r != 0) {
                json_object_put(l.answer);
                return r == -EAGAIN ? -ETIMEDOUT : r;
        }
        *ret_answer = l.answer;
        return 0;
}

struct json_object *ctl_ask_daemon(const struct ctl *ctl, const char *request)
{
        struct json_object *answer;
        return ctl_ask(ctl->data_dir, request, &answer) == 0 ? answer : NULL;
}

bool ctl_daemon_runs(const struct ctl *ctl)
{
        _cleanup_(json_object_putp) struct json_object *answer = ctl_ask_daemon(ctl, "{\"op\":\"ping\"}");
        return answer && json_object_object_get_ex(answer, "ok", NULL);
}

/* ---- without one ---- */

/* Root's files would be in the daemon's way. */
static int become_owner(const char *data_dir)
{
        struct owner before; /* which this process does not become again */
        if (geteuid() != 0)
                return 0;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : owner_become(fd, &before);
}

static int set(struct config *config, const char *flag, const char *value, struct error *err)
{
        return value ? config_set(config, flag, value, err) : 0;
}

static int read_config(const struct ctl *ctl, const struct ctl_operation *operation, struct config **ret)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct error err = { "out of memory" };
        bool days = operation->logs_ttl_days && operation->crashes_ttl_days;
        if (operation->retention && !ctl->config_path && !days)
                return say_failed("no daemon runs, so it must be said how long things are kept: --config FILE, or "
                                  "--logs-ttl-days and --crashes-ttl-days");
        int r = config_new(&config);
        if (r == 0 && ctl->config_path)
                r = config_read(config, ctl->config_path, &err);
        if (r == 0)
                r = config_set(config, "data-dir", ctl->data_dir, &err);
        if (r == 0)
                r = set(config, "logs-ttl-days", operation->logs_ttl_days, &err);
        if (r == 0)
                r = set(config, "crashes-ttl-days", operation->crashes_ttl_days, &err);
        if (r != 0)
                return say_failed("%s", err.text);
        *ret = TAKE_PTR(config);
        return CTL_OK;
}

static int run_here(const struct config *config, struct metrics *metrics, struct store *store, struct listener *l)
{
        const struct operations_config here = { .config = config, .metrics = metrics, .store = store };
        _cleanup_(operations_freep) struct operations *operations = NULL;
        int r = operations_new(&here, &operations);
        if (r == 0)
                r = operations_run(operations, l->operation->request, hear, l);
        progress_clear();
        return l->answer ? CTL_OK : say_failed("%s", strerror(r < 0 ? -r : ECANCELED));
}

#define SOMEBODY_HAS_IT (-1)

/* CTL_OK, CTL_FAILED, or SOMEBODY_HAS_IT: the lock. */
static int run_alone(const struct ctl *ctl, struct listener *l, pid_t *ret_holder)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct error err = { "out of memory" };
        struct store *store;
        int status = read_config(ctl, l->operation, &config);
        if (!config)
                return status;
        umask(0027);
        int r = become_owner(config->data_dir);
        if (r < 0)
                return say_failed("cannot become the owner of %s: %s", config->data_dir, strerror(-r));
        struct metrics *metrics = metrics_new();
        r = metrics ? store_open_for_a_job(config, metrics, &store, ret_holder, &err) : -ENOMEM;
        if (r == 0) {
                status = run_here(config, metrics, store, l);
                store_free(store);
        }
        metrics_free(metrics);
        if (r == -EBUSY)
                return SOMEBODY_HAS_IT;
        return r == 0 ? status : say_failed("%s", err.text);
}

static int find_somebody(const struct ctl *ctl, struct listener *l)
{
        pid_t holder = 0;
        _cleanup_(closep) int fd = connect_daemon(ctl->data_dir);
        if (fd >= 0)
                return converse(fd, l);
        if (fd != -ECONNREFUSED)
                return say_failed("cannot ask the daemon on %s: %s", ctl->data_dir, strerror(-fd));
        int status = run_alone(ctl, l, &holder);
        if (status != SOMEBODY_HAS_IT)
                return status;
        _cleanup_(closep) int again = connect_daemon(ctl->data_dir);
        if (again >= 0)
                return converse(again, l);
        return say_failed("%s is held by process %d, which answers no control socket: a detritusd that is starting or "
                          "stopping, or another detritusctl; try again",
                          ctl->data_dir, (int)holder);
}

int ctl_operate(const struct ctl *ctl, const struct ctl_operation *operation, struct json_object **ret_answer)
{
        struct listener l = { .operation = operation };
        *ret_answer = NULL;
        int status = find_somebody(ctl, &l);
        *ret_answer = l.answer;
        if (status != CTL_OK || !json_object_object_get_ex(l.answer, "error", NULL))
                return status;
        return say_failed("%s", ctl_text(l.answer, "error"));
}
