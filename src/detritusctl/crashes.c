/* detritusctl crashes: reads the index beside a running daemon, never writes it. The index answers in JSON: with --json
 * that is what is printed, one crash a line; else it becomes a table or a page for people. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/commands.h"
#include "detritusctl/crash_ids.h"
#include "detritusctl/crash_page.h"
#include "detritusctl/crash_table.h"
#include "detritusctl/crashes_change.h"
#include "detritusctl/say.h"
#include "detritusctl/screen.h"
#include "storage/crashes/index.h"

#define LIMIT_DEFAULT 50

static int open_index(const struct ctl *ctl, struct index **ret)
{
        struct error err = { "out of memory" };
        int r = index_open_readonly(ctl->data_dir, ret, &err);
        return r == 0 ? CTL_OK : say_failed("%s", err.text);
}

static bool parse_limit(const char *text, unsigned *ret)
{
        char *end;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (errno || end == text || *end || *text == '-' || value > INT_MAX)
                return false;
        *ret = (unsigned)value;
        return true;
}

static int list(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(crash_table_freep) struct crash_table *table = NULL;
        const char *text = ctl_value(ctl, "limit");
        unsigned limit = LIMIT_DEFAULT;
        const struct index_crash_filter any = { 0 };
        struct index_page page;
        if (text && !parse_limit(text, &limit))
                return say_usage("--limit is not a number");
        int status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = ctl->json ? 0 : crash_table_new(&table);
        if (r == 0)
                r = index_list_crashes(index, &any, NULL, limit, ctl->json ? screen_json : crash_table_add, table,
                                       &page);
        if (r == 0 && table)
                r = crash_table_finish(table);
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
}

static int show(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        int64_t id;
        int status = open_index(ctl, &index);
        if (status == CTL_OK)
                status = crash_ids_find(index, ctl->arguments[0], &id);
        if (status != CTL_OK)
                return status;
        int r = index_show_crash(index, id, ctl->json ? screen_json : crash_page_print, NULL);
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
}

static const struct command list_command = {
        .name = "list",
        .summary = "the newest crashes, newest first",
        .options =
                (const struct command_option[]){
                        { "limit", "N", "at most so many, 0: all [50]", .letter = 'n' },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes list --limit 5", "the five that came last" },
                        { "detritusctl crashes list --json | jq -r .dump_sha256", "for scripts" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = list,
};

static const struct command show_command = {
        .name = "show",
        .summary = "all that is known of one crash",
        .arguments = "ID|HASH",
        .min_arguments = 1,
        .max_arguments = 1,
        .description = "Shows one crash, by its id or by the first digits of its dump's SHA-256, four at least.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes show 17", "by id" },
                        { "detritusctl crashes show 3fa9c1", "by the start of its dump's hash" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = show,
};

const struct command crashes_command = {
        .name = "crashes",
        .summary = "look at crashes, delete and hold them",
        .subcommands = (const struct command *const[]){ &list_command, &show_command, &crashes_delete_command,
                                                        &crashes_hold_command, &crashes_release_command, NULL },
};
