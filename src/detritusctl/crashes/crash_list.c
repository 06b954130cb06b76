/* detritusctl crashes list and crashes follow: the index answers in JSON, which is what scripts get, or becomes rows. */

#include <errno.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/reading.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/crashes/crash_filter.h"
#include "detritusctl/crashes/crash_table.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "storage/index/index_list.h"

#define LIMIT_DEFAULT 50
#define GREP_DEPTH_DEFAULT 10000
#define FOLLOW_POLL_MS 250 /* between two looks at the index's number of changes */

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
                status = reading_count("--limit", text, INT_MAX, &limit);
        if (status == CTL_OK && (text = ctl_value(ctl, "depth")))
                status = reading_count("--depth", text, INT64_MAX, &depth);
        if (status == CTL_OK && (text = ctl_value(ctl, "after")))
                status = reading_cursor(text, &l->page.after);
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
                status = reading_open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = ctl->json ? 0 : crash_table_new(&table);
        if (r == 0)
                r = index_list_crashes(index, &l.filter.index, &l.page, ctl->json ? screen_json : crash_table_add,
                                       table);
        if (r == 0 && table)
                r = table_finish(table);
        if (r < 0)
                return reading_failed(r);
        fflush(stdout);
        reading_say_more(&l.page, "crash");
        return CTL_OK;
}

const struct command crashes_list_command = {
        .name = "list",
        .summary = "the newest crashes, newest first",
        .description =
                "Lists crashes by when they were received, the newest first. Each of the filters that are given has to "
                "fit; they cost a few milliseconds whatever is stored, but for --grep, which has to read the panic "
                "texts: it looks at the newest --depth of those that fit the other filters, and says when there are "
                "more.\n"
                "\n"
                "When a page is full, the end of it is told on standard error; --after begins the next page there. For "
                "scripts: it is received_at and id of the last crash with a comma in between.\n"
                "\n"
                "T is a time of RFC 3339, a day (its beginning, UTC), or how long ago: 90s, 5m, 2h, 3d, 1w. --since "
                "means at or after, --until before.",
        .options =
                (const struct command_option[]){
                        CRASH_FILTER_OPTIONS,
                        { "since", "T", "received at or after" },
                        { "until", "T", "received before" },
                        { "limit", "N", "at most so many, 0: all [50]", .letter = 'n' },
                        { "after", "CURSOR", "the page behind this place" },
                        { "depth", "N", "with --grep: look at so many panic texts, 0: all [10000]" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes list --limit 5", "the five that came last" },
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

/* One line a crash: a table cannot know how wide the next one will be. */
static int put_new(struct buf *out, struct json_object *crash)
{
        static const char *const keys[] = { "received_at", "project", "install_id", "version", "kind" };
        char size[32];
        size_t columns = screen_columns();
        int r = buf_printf(out, "%6s", reading_text(crash, "id"));
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++) {
                r = buf_append_str(out, "  ");
                if (r == 0)
                        r = terminal_line(out, reading_text(crash, keys[i]), i == 2 && screen_is_narrow() ? 11 : 40);
        }
        size_text(json_object_get_uint64(json_object_object_get(crash, "dump_len")), size);
        if (r == 0)
                r = buf_printf(out, "  %s  ", size);
        if (r == 0)
                r = terminal_line(out, reading_text(crash, "panic_text"),
                                  columns > out->len + 10 ? columns - out->len : 0);
        return r == 0 ? buf_append_char(out, '\n') : r;
}

static int print_new(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        struct json_object *crash = json_tokener_parse(json);
        if (!crash)
                return -ENOMEM;
        int r = put_new(&out, crash);
        json_object_put(crash);
        if (r < 0)
                return r;
        return fwrite(out.data, 1, out.len, stdout) == out.len ? 0 : -EIO;
}

/* Until nobody reads any more, or the index fails. */
static int follow_index(struct index *x, const struct index_crash_filter *filter, int64_t id, bool json)
{
        int64_t version = -1, now = 0;
        int r;
        do {
                r = index_data_version(x, &now);
                if (r == 0 && now != version)
                        r = index_new_crashes(x, filter, &id, json ? screen_json : print_new, NULL);
                version = now;
        } while (r == 0 && reading_wait(FOLLOW_POLL_MS));
        return r;
}

static int follow(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct crash_filter filter;
        int64_t id = 0;
        int status = crash_filter_read(ctl, false, &filter);
        if (status == CTL_OK)
                status = reading_open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = index_newest_crash(index, &id);
        if (r == 0)
                say_note("waiting for crashes behind %lld", (long long)id);
        if (r == 0)
                r = follow_index(index, &filter.index, id, ctl->json);
        return r == 0 ? CTL_OK : reading_failed(r);
}

const struct command crashes_follow_command = {
        .name = "follow",
        .summary = "new crashes as they come",
        .description = "Prints each crash that is received from now on and fits the filters. Only reads; a daemon that "
                       "stops and starts again makes no difference. Ends when it is interrupted, or when nobody reads "
                       "its output any more.",
        .options = (const struct command_option[]){ CRASH_FILTER_OPTIONS, { NULL } },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes follow --project acme", "watch a project" },
                        { "detritusctl crashes follow --json | while read -r c; do notify \"$c\"; done",
                          "do something about each" },
                        { NULL },
                },
        .run = follow,
};
