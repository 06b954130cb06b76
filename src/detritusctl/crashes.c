/* detritusctl crashes: reads the index beside a running daemon, never writes it. The index answers in JSON: with --json
 * that is what is printed, one crash a line; else it becomes a table or a page for people. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/commands.h"
#include "detritusctl/crash_page.h"
#include "detritusctl/crash_table.h"
#include "detritusctl/say.h"
#include "detritusctl/screen.h"
#include "storage/crashes/index.h"
#include "util/hex.h"

#define LIMIT_DEFAULT 50
#define PREFIX_MIN 4
#define CANDIDATES_MAX 10

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
        if (text && !parse_limit(text, &limit))
                return say_usage("--limit is not a number");
        int status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = ctl->json ? 0 : crash_table_new(&table);
        if (r == 0)
                r = index_list_crashes(index, limit, ctl->json ? screen_json : crash_table_add, table);
        if (r == 0 && table)
                r = crash_table_finish(table);
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
}

/* < 0: it is no id. */
static int64_t parse_id(const char *text)
{
        size_t len = strlen(text);
        return len > 0 && len <= 18 && strspn(text, "0123456789") == len ? strtoll(text, NULL, 10) : -1;
}

static int list_candidates(const int64_t *ids, size_t n)
{
        fputs("detritusctl: several crashes have such a dump; show one by its id:", stderr);
        for (size_t i = 0; i < n; i++)
                fprintf(stderr, " %lld", (long long)ids[i]);
        fputs(n == CANDIDATES_MAX ? " ...\n" : "\n", stderr);
        return CTL_FAILED;
}

static int show_id(const struct ctl *ctl, struct index *index, int64_t id)
{
        return index_show_crash(index, id, ctl->json ? screen_json : crash_page_print, NULL);
}

static int show(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        const char *what = ctl->arguments[0];
        int64_t ids[CANDIDATES_MAX], id = parse_id(what);
        size_t n = 0, len = strlen(what);
        int status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = id >= 0 ? show_id(ctl, index, id) : -ENOENT;
        if (r == -ENOENT && len >= PREFIX_MIN && len <= 64 && hex_is_lower(what, len)) {
                r = index_find_crashes(index, what, CANDIDATES_MAX, ids, &n);
                if (r == 0 && n > 1)
                        return list_candidates(ids, n);
                if (r == 0)
                        r = n == 1 ? show_id(ctl, index, ids[0]) : -ENOENT;
        }
        if (r == -ENOENT)
                return say_failed("there is no such crash");
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
        .summary = "look at crashes",
        .subcommands = (const struct command *const[]){ &list_command, &show_command, NULL },
};
