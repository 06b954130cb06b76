/* detritusctl crashes list and crashes follow. The index answers in JSON; scripts get that, people get rows. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/open.h"
#include "detritusctl/access/paging.h"
#include "detritusctl/access/row.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/cli/suggest.h"
#include "detritusctl/crashes/crash_filter.h"
#include "detritusctl/crashes/crash_table.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"
#include "storage/index/index_list.h"

#define LIMIT_DEFAULT 50
#define GREP_DEPTH_DEFAULT 10000
#define NAMES_DEPTH 1000   /* of the newest crashes, for names that are like what was typed */
#define FOLLOW_POLL_MS 250 /* how often the index is asked whether anything changed */

/* ---- names that do not exist ---- */

struct nearest {
        const char *key, *typed; /* "version" */
        struct suggestion suggestion;
        char name[256];
        bool any;
};

static int see_crash(void *userdata, const char *json)
{
        struct nearest *n = userdata;
        struct suggestion before = n->suggestion;
        _cleanup_(json_read_freep) struct json_object *crash = NULL;
        int r = row_parse(json, &crash);
        if (r < 0)
                return r;
        const char *name = json_read_string(crash, n->key) ?: "";
        n->any = true;
        suggest(&n->suggestion, n->typed, name);
        if (n->suggestion.name != before.name || n->suggestion.distance != before.distance) {
                snprintf(n->name, sizeof(n->name), "%s", name);
                n->suggestion.name = n->name; /* the crash is gone soon */
        }
        return 0;
}

/* Nothing was found. Is there a crash at all with this value? alone: a filter of just that. */
static int check_value(struct index *index, const struct index_crash_filter *alone, const char *key, const char *typed)
{
        const struct index_crash_filter all = { 0 };
        struct index_page one = { .max = 1 }, newest = { .max = NAMES_DEPTH };
        struct nearest n = { .key = key, .typed = typed };
        if (!typed)
                return CTL_OK;
        int r = index_list_crashes(index, alone, &one, see_crash, &n);
        if (r == 0 && one.n > 0)
                return CTL_OK;
        n.suggestion = (struct suggestion){ 0 };
        if (r == 0)
                r = index_list_crashes(index, &all, &newest, see_crash, &n);
        if (r < 0)
                return say_error("read the database", r);
        if (n.suggestion.name)
                return say_failed("no crash has the %s \"%s\"; the nearest is %s", key, typed, n.name);
        return say_failed("no crash has the %s \"%s\"", key, typed);
}

static int check_values(struct index *index, const struct index_crash_filter *f)
{
        const struct index_crash_filter version = { .version = f->version }, platform = { .platform = f->platform };
        int status = check_value(index, &version, "version", f->version);
        return status == CTL_OK ? check_value(index, &platform, "platform", f->platform) : status;
}

/* ---- list ---- */

struct list {
        struct crash_filter filter;
        struct index_page page;
};

static int read_list(const struct ctl *ctl, struct list *l)
{
        const char *text;
        uint64_t limit = LIMIT_DEFAULT, depth = GREP_DEPTH_DEFAULT;
        *l = (struct list){ 0 };
        int status = crash_filter_read(ctl, true, &l->filter);
        if (status == CTL_OK && (text = ctl_value(ctl, "limit")))
                status = arg_count("--limit", text, INT_MAX, &limit);
        if (status == CTL_OK && (text = ctl_value(ctl, "depth")))
                status = arg_count("--depth", text, INT64_MAX, &depth);
        if (status == CTL_OK && (text = ctl_value(ctl, "after")))
                status = paging_cursor(text, &l->page.after);
        l->page.max = limit;
        l->filter.index.grep_depth = depth;
        return status;
}

static int list(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(table_freep) struct table *table = NULL;
        struct list l;
        int status = read_list(ctl, &l);
        if (status == CTL_OK)
                status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = ctl->json ? 0 : crash_table_new(&table);
        if (r == 0)
                r = index_list_crashes(index, &l.filter.index, &l.page, ctl->json ? screen_json : crash_table_add,
                                       table);
        if (r == 0 && table)
                r = table_finish(table);
        if (r < 0)
                return say_error("read the database", r);
        fflush(stdout);
        if (l.page.n == 0 && !l.page.after.id && (status = check_values(index, &l.filter.index)) != CTL_OK)
                return status;
        paging_say_more(&l.page, "crash");
        return CTL_OK;
}

const struct command crashes_list_command = {
        .name = "list",
        .summary = "list crashes, newest first",
        .description =
                "Lists crashes by the time they were received, newest first. A crash is listed when it matches all "
                "filters that are given. Filters take a few milliseconds however much is stored, except --grep, which "
                "has to read panic texts: it searches the newest --depth crashes that match the other filters, and "
                "says when there are more.\n"
                "\n"
                "When there are more crashes than --limit, standard error says where the page ended; --after begins "
                "the next page there. A script can make the cursor itself: received_at and id of the last crash, with "
                "a comma between them.\n"
                "\n"
                "T is an RFC 3339 time, a day (its beginning in UTC), or how long ago: 90s, 5m, 2h, 3d, 1w. --since "
                "is inclusive, --until is exclusive.",
        .options =
                (const struct command_option[]){
                        CRASH_FILTER_OPTIONS,
                        { "since", "T", "received at this time or later" },
                        { "until", "T", "received before this time" },
                        { "limit", "N", "at most N crashes, 0: all [50]", .letter = 'n' },
                        { "after", "CURSOR", "begin after this crash: the next page" },
                        { "depth", "N", "with --grep: search at most N panic texts, 0: all [10000]" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes list --limit 5", "the five newest" },
                        { "detritusctl crashes list --project acme --version 1.4.2 --since 1d",
                          "is the release good?" },
                        { "detritusctl crashes list --grep 'index out of bounds'", "by panic text" },
                        { "detritusctl crashes list --json | jq -r .dump_sha256", "for scripts" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = list,
};

/* ---- follow ---- */

/* One line per crash. A table cannot know how wide the next crash will be. */
static void put_new(struct buf *out, struct json_object *crash)
{
        static const char *const keys[] = { "received_at", "project", "install_id", "version", "kind" };
        char size[32];
        size_t columns = screen_columns();
        buf_printf(out, "%6s", json_read_shown(crash, "id") ?: "");
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                buf_append_str(out, "  ");
                terminal_line(out, json_read_shown(crash, keys[i]) ?: "", i == 2 && screen_is_narrow() ? 11 : 40);
        }
        size_text(json_read_u64(crash, "dump_len"), size);
        buf_printf(out, "  %s  ", size);
        terminal_line(out, json_read_shown(crash, "panic_text") ?: "",
                      columns > out->len + 10 ? columns - out->len : 0);
        buf_append_char(out, '\n');
}

static int print_new(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        _cleanup_(json_read_freep) struct json_object *crash = NULL;
        int r = row_parse(json, &crash);
        if (r < 0)
                return r;
        put_new(&out, crash);
        return screen_put(&out);
}

/* Until nobody reads standard output any more, or the index fails. */
static int follow_index(struct index *x, const struct index_crash_filter *filter, int64_t id, bool json)
{
        int64_t version = -1, now = 0;
        int r;
        do {
                r = index_data_version(x, &now);
                if (r == 0 && now != version)
                        r = index_new_crashes(x, filter, &id, json ? screen_json : print_new, NULL);
                version = now;
        } while (r == 0 && screen_wait(FOLLOW_POLL_MS));
        return r;
}

static int follow(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct crash_filter filter;
        int64_t id = 0;
        int status = crash_filter_read(ctl, false, &filter);
        if (status == CTL_OK)
                status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = index_newest_crash(index, &id);
        if (r == 0)
                say_note("waiting for crashes after %lld", (long long)id);
        if (r == 0)
                r = follow_index(index, &filter.index, id, ctl->json);
        return r == 0 ? CTL_OK : say_error("read the database", r);
}

const struct command crashes_follow_command = {
        .name = "follow",
        .summary = "print new crashes as they arrive",
        .description =
                "Prints each crash that is received from now on and matches the filters. The daemon may stop and "
                "start meanwhile. Ends when it is interrupted, or when nobody reads its output any more.",
        .options = (const struct command_option[]){ CRASH_FILTER_OPTIONS, { NULL } },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes follow --project acme", "watch a project" },
                        { "detritusctl crashes follow --json | while read -r c; do notify \"$c\"; done",
                          "run a command for each" },
                        { NULL },
                },
        .run = follow,
};
