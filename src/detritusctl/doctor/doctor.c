/* detritusctl doctor: what an experienced operator would look at before trusting a machine with data. It changes nothing:
 * what it writes to time the disk has no name, and is gone when it ends. */
#include "detritusctl/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/daemon.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/cli/settings.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_document.h"
#include "util/buf.h"

static const char *const state_names[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_BAD] = "bad" };

void doctor_find(struct doctor *d, enum doctor_state state, const char *check, const char *advice, const char *found,
                 ...)
{
        struct doctor_finding *f = &d->findings[d->n_findings];
        va_list arguments;
        if (d->n_findings == DOCTOR_FINDINGS_MAX)
                return;
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
        int r = buf_printf(&line, "{\"state\":\"%s\",\"check\":\"%s\",\"found\":", state_names[f->state], f->check);
        if (r == 0)
                r = json_document_append_string(&line, f->found);
        if (r == 0)
                r = buf_append_str(&line, ",\"advice\":");
        if (r == 0)
                r = f->advice ? json_document_append_string(&line, f->advice) : buf_append_str(&line, "null");
        if (r == 0)
                r = buf_append(&line, "}", 2);
        return r == 0 ? screen_json(NULL, (const char *)line.data) : r;
}

static const enum screen_style styles[] = {
        [DOCTOR_OK] = SCREEN_GOOD, [DOCTOR_WARN] = SCREEN_WARN, [DOCTOR_BAD] = SCREEN_BAD
};

/* The advice stands below what it is about. */
static int print_lines(const struct doctor *d)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < d->n_findings; i++) {
                _cleanup_(buf_done) struct buf line = { 0 };
                const struct doctor_finding *f = &d->findings[i];
                r = buf_printf(&line, "%s%-4s%s  %-16s  ", screen_on(styles[f->state]), state_names[f->state],
                               screen_off(), f->check);
                if (r == 0)
                        r = terminal_line(&line, f->found, 0);
                if (r == 0 && f->advice)
                        r = buf_printf(&line, "\n%24s%s", "", f->advice);
                if (r == 0)
                        r = buf_append_char(&line, '\n');
                if (r == 0 && fwrite(line.data, 1, line.len, stdout) != line.len)
                        r = -EIO;
        }
        return r;
}

static int report(const struct doctor *d, bool json)
{
        int r = json ? 0 : print_lines(d), status = CTL_OK;
        for (size_t i = 0; r == 0 && i < d->n_findings; i++) {
                if (json)
                        r = print_object(&d->findings[i]);
                if (d->findings[i].state == DOCTOR_BAD)
                        status = CTL_FAILED;
        }
        return r < 0 ? say_failed("%s", strerror(-r)) : status;
}

static void look_at_daemon(struct doctor *d)
{
        int r = daemon_find(d->config->data_dir, &d->daemon);
        if (r < 0)
                doctor_find(d, DOCTOR_WARN, "daemon", "Run this as the daemon's user or as root.",
                            "whether one runs cannot be seen: %s", strerror(-r));
        else if (d->daemon)
                doctor_find(d, DOCTOR_OK, "daemon", NULL, "runs on this directory, pid %d", (int)d->daemon);
        else
                doctor_find(d, DOCTOR_OK, "daemon", NULL, "none runs on this directory");
}

static int run(const struct ctl *ctl)
{
        _cleanup_(config_freep) struct config *config = NULL;
        _cleanup_(doctor_done) struct doctor d = { .data_dir_fd = -1 };
        int status = settings_read(ctl, ctl_value(ctl, "tokens-config"), &config);
        if (status != CTL_OK)
                return status;
        d.config = config;
        look_at_daemon(&d);
        doctor_files(&d);
        doctor_disk(&d);
        doctor_machine(&d);
        return report(&d, ctl->json);
}

const struct command doctor_command = {
        .name = "doctor",
        .summary = "look at the machine, the disk and the files",
        .description =
                "Permissions, the clock, the disk and how fast and honest its syncs are, space, descriptors, memory, "
                "cores. Each line is ok, warn or bad, the latter two with advice. The exit status is 1 when something "
                "is bad. It changes nothing.",
        .options =
                (const struct command_option[]){
                        { "tokens-config", "FILE", "the token file [$DETRITUS_TOKENS_CONFIG, else what --config names]",
                          .complete = COMPLETE_FILE },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl doctor --config /etc/detritus/detritusd.yaml",
                          "before trusting a machine with data" },
                        { NULL },
                },
        .run = run,
};
