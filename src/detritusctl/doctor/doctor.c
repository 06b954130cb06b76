/* detritusctl doctor: checks what an experienced operator would check before trusting a machine with data. It changes
 * nothing: the file that it writes to time the disk has no name and disappears when it ends. */
#include "detritusctl/doctor/doctor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/daemon.h"
#include "detritusctl/access/settings.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "util/buf.h"
#include "util/troubles.h"

static const char *const state_names[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_BAD] = "bad" };

void doctor_find(struct doctor *d, enum doctor_state state, const char *check, const char *advice, const char *found,
                 ...)
{
        struct doctor_finding *f = &d->findings[d->n_findings];
        va_list arguments;
        assert(d->n_findings < DOCTOR_FINDINGS_MAX); /* there are fewer checks than that */
        va_start(arguments, found);
        int n = vasprintf(&f->found, found, arguments);
        va_end(arguments);
        if (n < 0)
                return;
        f->state = state;
        f->check = check;
        f->advice = advice ? strdup(advice) : NULL;
        d->n_findings++;
}

static void doctor_done(struct doctor *d)
{
        for (size_t i = 0; i < d->n_findings; i++) {
                free(d->findings[i].found);
                free(d->findings[i].advice);
        }
        if (d->data_dir_fd >= 0)
                close(d->data_dir_fd);
}

static int print_object(const struct doctor_finding *f)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "state", state_names[f->state]);
        json_write_string(&w, "check", f->check);
        json_write_string(&w, "found", f->found);
        json_write_string(&w, "advice", f->advice);
        json_write_end(&w);
        return screen_json_line(&line);
}

static const enum screen_style styles[] = {
        [DOCTOR_OK] = SCREEN_GOOD, [DOCTOR_WARN] = SCREEN_WARN, [DOCTOR_BAD] = SCREEN_BAD
};

/* The advice is below the finding. */
static int print_line(const struct doctor_finding *f)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        buf_printf(&line, "%s%-4s%s  %-16s  ", screen_on(styles[f->state]), state_names[f->state], screen_off(),
                   f->check);
        terminal_line(&line, f->found, 0);
        if (f->advice)
                buf_printf(&line, "\n%24s%s", "", f->advice);
        buf_append_char(&line, '\n');
        return screen_put(&line);
}

static int report(const struct doctor *d, bool json)
{
        int status = CTL_OK;
        for (size_t i = 0; i < d->n_findings; i++) {
                int r = (json ? print_object : print_line)(&d->findings[i]);
                if (r < 0)
                        return say_error("print the findings", r);
                if (d->findings[i].state == DOCTOR_BAD)
                        status = CTL_FAILED;
        }
        return status;
}

static void look_at_daemon(struct doctor *d)
{
        int r = daemon_find(d->config->data_dir, &d->daemon);
        if (r < 0)
                doctor_find(d, DOCTOR_WARN, "daemon", "Run this as the daemon's user or as root.",
                            "cannot see whether one runs: %s", strerror(-r));
        else if (d->daemon)
                doctor_find(d, DOCTOR_OK, "daemon", NULL, "runs on this directory, pid %d", (int)d->daemon);
        else
                doctor_find(d, DOCTOR_OK, "daemon", NULL, "none runs on this directory");
}

/* What the daemon itself complains about. */
static void look_at_troubles(struct doctor *d)
{
        struct json_object *answer = NULL, *troubles;
        if (!d->daemon || daemon_ask(d->config->data_dir, "{\"op\":\"status\"}", &answer) != 0)
                return;
        troubles = json_read_member(answer, "troubles");
        for (size_t i = 0; i < json_read_count(troubles) && i < TROUBLE_KIND_MAX_; i++) {
                struct json_object *t = json_read_item(troubles, i);
                const char *path = json_read_string(t, "path"), *reason = json_read_string(t, "reason");
                bool stops = json_read_bool(t, "stops_logs") || json_read_bool(t, "stops_crashes");
                doctor_find(d, stops ? DOCTOR_BAD : DOCTOR_WARN, "trouble", "See `detritusctl status`.", "%s%s%s",
                            reason ? reason : "", path ? ": " : "", path ? path : "");
        }
        json_read_free(answer);
}

static int run(const struct ctl *ctl)
{
        _cleanup_(config_freep) struct config *config = NULL;
        _cleanup_(doctor_done) struct doctor d = { .data_dir_fd = -1 };
        int status = settings_read(ctl, ctl->config_path, ctl_value(ctl, "tokens-config"), &config);
        if (status != CTL_OK)
                return status;
        d.config = config;
        look_at_daemon(&d);
        look_at_troubles(&d);
        doctor_files(&d);
        doctor_disk(&d);
        doctor_machine(&d);
        return report(&d, ctl->json);
}

const struct command doctor_command = {
        .name = "doctor",
        .summary = "check the machine, the disk and the files",
        .description = "Checks permissions, the clock, the disk (its space, and how fast its syncs are and whether "
                       "they are real), file descriptors, memory and cores. Each line is ok, warn or bad; warn and "
                       "bad come with advice. The exit status is 1 when something is bad. It changes nothing.",
        .options =
                (const struct command_option[]){
                        { "tokens-config", "FILE", "the token file [$DETRITUS_TOKENS_CONFIG, else the one in --config]",
                          .complete = COMPLETE_FILE },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl doctor --config /etc/detritus/detritusd.yaml",
                          "before you trust a machine with data" },
                        { NULL },
                },
        .run = run,
};
