/* detritusctl status: what the daemon says of itself, what the database has, what the file system has, in one document.
 * --json prints it; else it becomes a screen. Nothing here takes the lock or waits for a daemon that is busy: the daemon
 * answers from memory. */
#include "detritusctl/operate/status.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/control_client.h"
#include "detritusctl/cli/daemon.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/operate/watch.h"
#include "detritusctl/screen/screen.h"
#include "storage/index/index_list.h"
#include "storage/index/index_read.h"

#define COUNT_MAX 100000 /* more are not counted: a screen must come at once */
#define RECENT_SECS 3600

static void put(struct json_object *object, const char *key, uint64_t value)
{
        json_object_object_add(object, key, json_object_new_uint64(value));
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
        json_object_object_add(object, key, text && *text ? json_object_new_string(text) : NULL);
}

/* ---- gathering ---- */

static struct json_object *look_at_database(const struct ctl *ctl, struct error *err)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct index_counts counts;
        struct index_usage usage;
        struct moment since = clock_now();
        since.sec -= RECENT_SECS;
        if (index_open_readonly(ctl->data_dir, &index, err) != 0)
                return NULL;
        if (index_counts(index, COUNT_MAX, since, &counts) < 0 || index_usage(index, "", &usage) < 0) {
                error_set(err, "the database cannot be read");
                return NULL;
        }
        struct json_object *stored = json_object_new_object();
        put(stored, "crashes", counts.crashes);
        put(stored, "sources", counts.sources);
        put(stored, "crashes_last_hour", counts.crashes_since);
        put_text(stored, "newest_crash_at", counts.newest);
        put(stored, "crash_bytes", usage.crash_bytes);
        put(stored, "log_bytes", usage.log_bytes);
        json_object_object_add(stored, "counted_to", json_object_new_uint64(COUNT_MAX));
        return stored;
}

static void look_at_disk(const struct ctl *ctl, struct json_object *status)
{
        struct statvfs fs;
        if (statvfs(ctl->data_dir, &fs) < 0)
                return;
        struct json_object *disk = json_object_new_object();
        put(disk, "free_bytes", fs.f_bavail * fs.f_frsize);
        put(disk, "size_bytes", fs.f_blocks * fs.f_frsize);
        json_object_object_add(status, "disk", disk);
}

/* Who has the lock, else how the one who had it last left it. */
static void look_at_lock(const struct ctl *ctl, struct json_object *status)
{
        char path[PATH_MAX], text[64] = "";
        pid_t holder = 0;
        snprintf(path, sizeof(path), "%s/lock", ctl->data_dir);
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        bool running = n > 0 && strstr(text, "\nrunning");
        bool held = daemon_find(ctl->data_dir, &holder) == 0 && holder > 0;
        put_text(status, "state", held ? "held" : running ? "died" : "down");
        if (held)
                put(status, "held_by", (uint64_t)holder);
}

struct json_object *status_gather(const struct ctl *ctl)
{
        struct error err = { "" };
        struct json_object *status = json_object_new_object();
        struct json_object *daemon = ctl_ask_daemon(ctl, "{\"op\":\"status\"}");
        put_text(status, "data_dir", ctl->data_dir);
        if (daemon && json_object_object_get_ex(daemon, "ok", NULL)) {
                json_object_object_del(daemon, "ok");
                put_text(status, "state", "up");
        } else {
                json_object_put(daemon);
                daemon = NULL;
                look_at_lock(ctl, status);
        }
        json_object_object_add(status, "daemon", daemon);
        look_at_disk(ctl, status);
        struct json_object *stored = look_at_database(ctl, &err);
        json_object_object_add(status, "stored", stored);
        put_text(status, "problem", stored ? NULL : err.text);
        return status;
}

bool status_is_fine(struct json_object *status)
{
        struct json_object *daemon = json_object_object_get(status, "daemon");
        return daemon && json_object_get_boolean(json_object_object_get(daemon, "takes_logs")) &&
               json_object_get_boolean(json_object_object_get(daemon, "takes_crashes")) &&
               json_object_object_get(status, "stored");
}

/* ---- the command ---- */

static int look_once(const struct ctl *ctl, bool *ret_fine)
{
        _cleanup_(json_object_putp) struct json_object *status = status_gather(ctl);
        *ret_fine = status_is_fine(status);
        if (ctl->json)
                return screen_json(NULL, json_object_to_json_string_ext(status, JSON_C_TO_STRING_NOSLASHESCAPE));
        status_print(status);
        return 0;
}

static int look(void *userdata, bool *ret_fine)
{
        return look_once(userdata, ret_fine);
}

static int run(const struct ctl *ctl)
{
        return watch_run(ctl, ctl_flag(ctl, "watch"), look, (void *)ctl);
}

const struct command status_command = {
        .name = "status",
        .heading = "See how it does and what came in",
        .summary = "how it does, on one screen: daemon, disk, rates, stock",
        .description =
                "Shows whether a daemon runs and takes what clients send, or why not; the disk and how long it lasts; "
                "what came in over the last minutes; what waits; the last retention cycle; what is stored. Without a "
                "daemon, what the database and the file system tell. Exit status 0: a daemon runs and takes "
                "everything; 1: not.",
        .options =
                (const struct command_option[]){
                        { "watch", .help = "again and again", .letter = 'w' },
                        { "interval", "SECS", "with --watch: how often [2]" },
                        { "count", "N", "with --watch: so many times, 0: until it is ended [0]" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl status", "is all well?" },
                        { "detritusctl status --watch", "and stays it so?" },
                        { "detritusctl status --json | jq .daemon.queues", "for scripts" },
                        { NULL },
                },
        .run = run,
};
