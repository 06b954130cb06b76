/* The socket first. When nobody listens there, the lock: whoever gets it is alone, opens the store (no listener, no
 * retention of its own) and runs the operation itself. When the lock is taken, a daemon may have started in between, so
 * the socket is tried once more; if there is still none, a daemon is just starting or stopping, and we say so.
 *
 * Killed midway, the work is as far as its last transaction; the lock file then says that the stop was not orderly, and
 * the next start, or the next detritusctl, checks everything. */
#include "detritusctl/access/perform.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/operations.h"
#include "detritusctl/access/daemon.h"
#include "detritusctl/access/settings.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/progress.h"
#include "protocol/json/json_read.h"
#include "util/files/owner.h"

#define DEPTH_MAX 32

struct performance {
        const struct perform_request *request;
        struct json_object *answer; /* NULL: not yet */
        int stopped;                /* what on_item returned */
};

/* ---- lines of an answer ---- */

/* A daemon_on_line. */
static int on_line(void *userdata, const char *line)
{
        struct performance *p = userdata;
        _cleanup_(json_read_freep) struct json_object *object = NULL;
        assert(!p->answer);
        if (json_read_parse(line, strlen(line), DEPTH_MAX, &object) != 0 || !object)
                return -EBADMSG;
        struct json_object *progress = json_read_member(object, "progress"), *item = json_read_member(object, "item");
        if (progress) {
                progress_show("deleted", json_read_u64(progress, "crashes") + json_read_u64(progress, "log_files"), 0);
        } else if (item) {
                if (p->request->on_item && p->stopped == 0)
                        p->stopped = p->request->on_item(p->request->userdata, item);
                return p->stopped;
        } else {
                p->answer = TAKE_PTR(object);
                return DAEMON_ANSWERED;
        }
        return 0;
}

/* An operations_emit, which wants 0 after the last line too. */
static int emit(void *userdata, const char *line, _unused_ size_t len)
{
        struct performance *p = userdata;
        int r = on_line(p, line);
        return p->answer ? 0 : r;
}

/* ---- by the daemon ---- */

static int ask_daemon(int fd, struct performance *p)
{
        int r = daemon_converse(fd, p->request->text, on_line, p);
        progress_clear();
        if (r == -EPIPE)
                return say_failed("the daemon closed the connection before the operation finished; what it had done so "
                                  "far is kept");
        if (p->answer)
                return CTL_OK;
        return say_failed("the daemon does not answer: %s", strerror(r < 0 ? -r : ECANCELED));
}

/* ---- without one ---- */

/* Root's files would be in the daemon's way. */
static int become_owner(const char *data_dir)
{
        if (geteuid() != 0)
                return 0;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : owner_become_for_good(fd);
}

static int run_here(const struct config *config, struct metrics *metrics, struct store *store, struct performance *p)
{
        const struct operations_config here = { .config = config, .metrics = metrics, .store = store };
        _cleanup_(operations_freep) struct operations *operations = NULL;
        int r = operations_new(&here, &operations);
        if (r == 0)
                r = operations_run(operations, p->request->text, emit, p);
        progress_clear();
        return p->answer ? CTL_OK : say_failed("%s", strerror(r < 0 ? -r : ECANCELED));
}

#define LOCKED (-1)

/* CTL_OK, CTL_FAILED, or LOCKED: by *ret_holder. */
static int run_alone(const struct ctl *ctl, struct performance *p, pid_t *ret_holder)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct error err = { "out of memory" };
        struct store *store;
        int status = settings_for_operation(ctl, p->request, &config);
        if (!config)
                return status;
        umask(0027);
        int r = become_owner(config->data_dir);
        if (r < 0)
                return say_failed("cannot become the owner of %s: %s", config->data_dir, strerror(-r));
        struct metrics *metrics = metrics_new();
        r = metrics ? store_open_for_a_job(config, metrics, &store, ret_holder, &err) : -ENOMEM;
        if (r == 0) {
                status = run_here(config, metrics, store, p);
                store_free(store);
        }
        metrics_free(metrics);
        if (r == -EBUSY)
                return LOCKED;
        return r == 0 ? status : say_failed("%s", err.text);
}

static int by_daemon_or_alone(const struct ctl *ctl, struct performance *p)
{
        pid_t holder = 0;
        _cleanup_(closep) int fd = daemon_connect(ctl->data_dir);
        if (fd >= 0)
                return ask_daemon(fd, p);
        if (fd != -ECONNREFUSED)
                return say_failed("cannot connect to the daemon for data directory %s: %s", ctl->data_dir,
                                  strerror(-fd));
        int status = run_alone(ctl, p, &holder);
        if (status != LOCKED)
                return status;
        _cleanup_(closep) int again = daemon_connect(ctl->data_dir);
        if (again >= 0)
                return ask_daemon(again, p);
        return say_failed(
                "process %d holds %s and answers no control socket: a detritusd that is starting or stopping, or "
                "another detritusctl; try again",
                (int)holder, ctl->data_dir);
}

int perform(const struct ctl *ctl, const struct perform_request *request, struct json_object **ret_answer)
{
        struct performance p = { .request = request };
        int status = by_daemon_or_alone(ctl, &p);
        assert(status != CTL_OK || p.answer);
        *ret_answer = p.answer;
        if (status != CTL_OK || !json_read_has(p.answer, "error"))
                return status;
        return say_failed("%s", json_read_string(p.answer, "error"));
}
