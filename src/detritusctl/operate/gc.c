/* detritusctl gc: a retention cycle now. */
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/control_client.h"
#include "detritusctl/cli/receipt.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"

static void print_caps(struct json_object *answer)
{
        struct json_object *caps = json_object_object_get(answer, "beyond_caps");
        for (size_t i = 0; caps && i < json_object_array_length(caps); i++) {
                struct json_object *cap = json_object_array_get_idx(caps, i);
                _cleanup_(buf_done) struct buf name = { 0 };
                char logs[32], crashes[32];
                const char *project = ctl_text(cap, "project");
                size_text(ctl_number(cap, "log_bytes"), logs);
                size_text(ctl_number(cap, "crash_bytes"), crashes);
                if (terminal_line(&name, project ? project : "all projects", 0) == 0)
                        printf("  beyond a cap of %.*s: logs %s, crashes %s (as of now, before what expires)\n",
                               (int)name.len, (const char *)name.data, logs, crashes);
        }
}

static int run(const struct ctl *ctl)
{
        _cleanup_(json_object_putp) struct json_object *answer = NULL;
        const struct ctl_operation operation = {
                .request = ctl->dry_run ? "{\"op\":\"gc\",\"dry_run\":true}" : "{\"op\":\"gc\"}",
                .retention = true,
                .logs_ttl_days = ctl_value(ctl, "logs-ttl-days"),
                .crashes_ttl_days = ctl_value(ctl, "crashes-ttl-days"),
        };
        if ((operation.logs_ttl_days || operation.crashes_ttl_days) && ctl_daemon_runs(ctl))
                return say_usage("a daemon runs, and keeps things as long as it was told");
        int status = ctl_operate(ctl, &operation, &answer);
        if (!answer)
                return status;
        int r = receipt_print(ctl, ctl->dry_run ? "would be deleted" : "deleted", answer);
        if (!ctl->json)
                print_caps(answer);
        return r < 0 ? say_failed("%s", strerror(-r)) : status;
}

const struct command gc_command = {
        .name = "gc",
        .heading = "Free space",
        .summary = "run a retention cycle now",
        .description = "Deletes what is older than its time to live or beyond a cap, and blobs that nothing uses, as "
                       "the daemon "
                       "does by itself every hour (janitor.interval_secs). Waits until it is done and says what went. "
                       "Without a daemon, the configuration must be named, so that nothing is deleted that it keeps.",
        .options =
                (const struct command_option[]){
                        { "logs-ttl-days", "N", "without a daemon: log files older than this go" },
                        { "crashes-ttl-days", "N", "without a daemon: crashes older than this go" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl gc --dry-run", "how much would go?" },
                        { "detritusctl gc --config /etc/detritus/detritusd.yaml", "while the daemon is stopped" },
                        { NULL },
                },
        .flags = COMMAND_DRY_RUN,
        .run = run,
};
