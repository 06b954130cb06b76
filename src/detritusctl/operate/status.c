/* detritusctl status: what the daemon says of itself, what the database has, what the file system has. Nothing here
 * takes the lock or waits for a busy daemon: the daemon answers from memory. */
#include "detritusctl/operate/status.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "control/control.h"
#include "detritusctl/access/daemon.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/operate/watch.h"
#include "detritusctl/screen/screen.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_read.h"

#define RECENT_SECS 3600

/* ---- gathering ---- */

static void look_at_database(struct status *s)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct moment since = clock_now();
        since.sec -= RECENT_SECS;
        if (index_open_readonly(s->data_dir, &index, &s->problem) != 0)
                return;
        s->stored_known =
                index_counts(index, STATUS_COUNT_MAX, since, &s->counts) == 0 && index_usage(index, "", &s->usage) == 0;
        if (!s->stored_known)
                error_set(&s->problem, "the database cannot be read");
}

static void look_at_disk(struct status *s)
{
        struct statvfs fs;
        if (statvfs(s->data_dir, &fs) < 0)
                return;
        s->disk_known = true;
        s->disk_free_bytes = fs.f_bavail * fs.f_frsize;
        s->disk_size_bytes = fs.f_blocks * fs.f_frsize;
}

/* Nobody listens on the socket. Who holds the lock; else how its last holder stopped. */
static void look_at_lock(struct status *s)
{
        char path[PATH_MAX], text[64] = "";
        snprintf(path, sizeof(path), "%s/lock", s->data_dir);
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        int r = fd < 0 ? -errno : daemon_find(s->data_dir, &s->held_by);
        ssize_t n = r < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        bool running = n > 0 && strstr(text, "\nrunning");
        if (r == -ENOENT)
                error_set(&s->reason, "%s is not the data directory of a detritusd", s->data_dir);
        else if (r < 0)
                error_set(&s->reason, "%s: %s", path, strerror(-r));
        s->state = r < 0 ? "unknown" : s->held_by > 0 ? "held" : running ? "died" : "down";
}

/* The daemon gave no status: why? */
static void look_without_answer(struct status *s, int r, struct json_object *answer)
{
        const char *error = r == 0 ? json_read_string(answer, "error") : NULL;
        if (r == -ECONNREFUSED || r == -ENOENT) {
                look_at_lock(s);
                return;
        }
        daemon_find(s->data_dir, &s->held_by);
        s->state = r == 0 || r == -ETIMEDOUT || r == -EPIPE ? "busy" : "unknown";
        if (r < 0 && r != -ETIMEDOUT && r != -EPIPE)
                error_set(&s->reason, "%s/" CONTROL_SOCKET ": %s%s", s->data_dir, strerror(-r),
                          r == -EACCES ? "; ask as the daemon's user, or as root" : "");
        else
                error_set(&s->reason, "%s", error ? error : "it did not answer in time");
}

void status_gather(const struct ctl *ctl, struct status *ret)
{
        struct json_object *answer = NULL;
        *ret = (struct status){ .data_dir = ctl->data_dir };
        int r = daemon_ask(ctl->data_dir, "{\"op\":\"status\"}", &answer);
        if (r == 0 && json_read_has(answer, "ok")) {
                json_object_object_del(answer, "ok");
                ret->daemon = answer;
                ret->state = "up";
        } else {
                look_without_answer(ret, r, answer);
                json_read_free(answer);
        }
        look_at_disk(ret);
        look_at_database(ret);
        assert(ret->state);
}

void status_done(struct status *s)
{
        json_read_free(s->daemon);
}

bool status_is_fine(const struct status *s)
{
        return json_read_bool(s->daemon, "takes_logs") && json_read_bool(s->daemon, "takes_crashes") &&
               json_read_count(json_read_member(s->daemon, "troubles")) == 0 && s->stored_known;
}

int status_exit(const struct status *s)
{
        if (s->daemon)
                return status_is_fine(s) ? STATUS_FINE : STATUS_TROUBLE;
        if (strcmp(s->state, "busy") == 0)
                return STATUS_TROUBLE;
        return strcmp(s->state, "down") == 0 || strcmp(s->state, "died") == 0 ? STATUS_DOWN : STATUS_CANNOT_TELL;
}

/* ---- as JSON ---- */

static void write_disk(struct json_write *w, const struct status *s)
{
        if (!s->disk_known)
                return;
        json_write_object(w, "disk");
        json_write_u64(w, "free_bytes", s->disk_free_bytes);
        json_write_u64(w, "size_bytes", s->disk_size_bytes);
        json_write_end(w);
}

static void write_stored(struct json_write *w, const struct status *s)
{
        if (!s->stored_known) {
                json_write_null(w, "stored");
                return;
        }
        json_write_object(w, "stored");
        json_write_u64(w, "crashes", s->counts.crashes);
        json_write_u64(w, "sources", s->counts.sources);
        json_write_u64(w, "crashes_last_hour", s->counts.crashes_since);
        json_write_string(w, "newest_crash_at", *s->counts.newest ? s->counts.newest : NULL);
        json_write_u64(w, "crash_bytes", s->usage.crash_bytes);
        json_write_u64(w, "log_bytes", s->usage.log_bytes);
        json_write_u64(w, "counted_to", STATUS_COUNT_MAX);
        json_write_end(w);
}

int status_print_json(const struct status *s)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        const char *daemon = s->daemon ? json_read_value_shown(s->daemon) : "null";
        json_write_object(&w, NULL);
        json_write_string(&w, "data_dir", s->data_dir);
        json_write_string(&w, "state", s->state);
        if (s->reason.text[0])
                json_write_string(&w, "reason", s->reason.text);
        if (s->held_by)
                json_write_u64(&w, "held_by", (uint64_t)s->held_by);
        json_write_raw(&w, "daemon", daemon, strlen(daemon));
        write_disk(&w, s);
        write_stored(&w, s);
        json_write_string(&w, "problem", s->stored_known ? NULL : s->problem.text);
        json_write_end(&w);
        return screen_json_line(&line);
}

/* ---- the command ---- */

struct view {
        const struct ctl *ctl;
        int exit; /* of the last look */
};

static int look(void *userdata, bool *ret_fine)
{
        struct view *v = userdata;
        _cleanup_(status_done) struct status s;
        status_gather(v->ctl, &s);
        v->exit = status_exit(&s);
        *ret_fine = v->exit == STATUS_FINE;
        if (v->ctl->json)
                return status_print_json(&s);
        status_print(&s);
        return 0;
}

static int run(const struct ctl *ctl)
{
        struct view v = { .ctl = ctl };
        int status = watch_run(ctl, ctl_flag(ctl, "watch"), look, &v);
        return status == CTL_FAILED && v.exit != STATUS_FINE ? v.exit : status;
}

const struct command status_command = {
        .name = "status",
        .heading = "See what is going on",
        .summary = "is it healthy? the daemon, the disk, rates, totals",
        .description =
                "Shows whether a daemon runs and accepts what clients send, and if not why; free disk space and "
                "how long it will last; what arrived in the last minutes; what is waiting; the last retention "
                "cycle; what is stored. Without a daemon it shows what the database and the file system know. "
                "The exit status is 0 when a daemon runs, accepts everything and has no trouble; 1 when one runs "
                "but not all is well, or it is too busy to answer; 3 when none runs; 4 when that cannot be told, "
                "for example by a user who may not open the control socket.",
        .options =
                (const struct command_option[]){
                        { "watch", .help = "repeat until interrupted", .letter = 'w' },
                        { "interval", "SECS", "with --watch: seconds between two looks [2]" },
                        { "count", "N", "with --watch: stop after N looks, 0: never [0]" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl status", "is everything all right?" },
                        { "detritusctl status --watch", "and does it stay that way?" },
                        { "detritusctl status --json | jq .daemon.queues", "for scripts" },
                        { NULL },
                },
        .run = run,
};
