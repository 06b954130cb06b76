/* detritusctl gc: runs a retention cycle now. */
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/daemon.h"
#include "detritusctl/access/perform.h"
#include "detritusctl/access/receipt.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"

static void print_caps(struct json_object *answer)
{
        struct json_object *caps = json_read_member(answer, "beyond_caps");
        for (size_t i = 0; i < json_read_count(caps); i++) {
                struct json_object *cap = json_read_item(caps, i);
                _cleanup_(buf_done) struct buf line = { 0 };
                char logs[32], crashes[32];
                size_text(json_read_u64(cap, "log_bytes"), logs);
                size_text(json_read_u64(cap, "crash_bytes"), crashes);
                buf_append_str(&line, "  beyond a cap of ");
                terminal_line(&line, json_read_string(cap, "project") ?: "all projects", 0);
                buf_printf(&line, ": logs %s, crashes %s (now, before anything expires)\n", logs, crashes);
                (void)screen_put(&line); /* command_main() reports an output that failed */
        }
}

static int run(const struct ctl *ctl)
{
        _cleanup_(json_read_freep) struct json_object *answer = NULL;
        const struct perform_request operation = {
                .text = ctl->dry_run                     ? "{\"op\":\"gc\",\"dry_run\":true}"
                        : ctl_flag(ctl, "confirm-clock") ? "{\"op\":\"gc\",\"confirm_clock\":true}"
                                                         : "{\"op\":\"gc\"}",
                .retention = true,
                .logs_ttl_days = ctl_value(ctl, "logs-ttl-days"),
                .crashes_ttl_days = ctl_value(ctl, "crashes-ttl-days"),
        };
        if ((operation.logs_ttl_days || operation.crashes_ttl_days) && daemon_answers(ctl->data_dir))
                return say_usage("a daemon runs, so its configuration decides how long things are kept; leave these "
                                 "options out");
        int status = perform(ctl, &operation, &answer);
        if (!answer)
                return status;
        int r = receipt_print(ctl, ctl->dry_run ? "would be deleted" : "deleted", answer);
        if (!ctl->json)
                print_caps(answer);
        const char *doubt = json_read_string(answer, "clock_doubt");
        if (doubt)
                status = say_failed("nothing was deleted for its age: %s (if the clock is right: detritusctl gc "
                                    "--confirm-clock)",
                                    doubt);
        return r < 0 ? say_error("print the receipt", r) : status;
}

const struct command gc_command = {
        .name = "gc",
        .heading = "Free space",
        .summary = "run a retention cycle now",
        .description =
                "Deletes what is older than its time to live or beyond a cap, and blobs that nothing uses, as the "
                "daemon does by itself every hour (janitor.interval_secs). Waits until that is done and prints what "
                "was deleted. Without a daemon, name its configuration, so that nothing is deleted that it would keep.",
        .options =
                (const struct command_option[]){
                        { "confirm-clock", NULL,
                          "the clock is right: delete what is too old, though it was set or ran wrong" },
                        { "logs-ttl-days", "N", "without a daemon: delete log files older than N days" },
                        { "crashes-ttl-days", "N", "without a daemon: delete crashes older than N days" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl gc --dry-run", "how much would be deleted?" },
                        { "detritusctl gc --config /etc/detritus/detritusd.yaml", "while the daemon is stopped" },
                        { NULL },
                },
        .flags = COMMAND_DRY_RUN,
        .run = run,
};
