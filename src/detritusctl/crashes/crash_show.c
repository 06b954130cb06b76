/* detritusctl crashes show: one crash, and what its installation logged around it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/open.h"
#include "detritusctl/access/row.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/crashes/crash_ids.h"
#include "detritusctl/crashes/crash_page.h"
#include "detritusctl/logs/log_odd.h"
#include "detritusctl/logs/log_print.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"
#include "storage/index/index_list.h"
#include "util/text/time_arg.h"

struct show {
        const struct ctl *ctl;
        int64_t around_secs; /* < 0: without logs */
        int datadir_fd;
        struct source source;
        struct moment crashed_at;
        size_t printed; /* log lines */
        uint64_t odd;   /* log files that could not be read, or not to their end, and were named */
};

/* ---- the lines around it ---- */

static int print_json_line(void *userdata, const struct source *source, const struct log_line *line)
{
        struct show *s = userdata;
        _cleanup_(buf_done) struct buf out = { 0 };
        if (s->printed++ > 0)
                buf_append_char(&out, ',');
        log_print_json(&out, source, line->text, line->len);
        return screen_put(&out) == 0 ? 0 : LOG_PRINT_FAILED;
}

static int print_line(void *userdata, const struct source *source, const struct log_line *line)
{
        struct show *s = userdata;
        _cleanup_(log_print_done) struct log_print people = { .indent = "  " };
        s->printed++;
        return log_print(&people, source, line);
}

/* A log_broken_cb. */
static void name_broken(void *userdata, const struct source *source, const char *day, int error)
{
        struct show *s = userdata;
        s->odd++;
        log_odd_say_broken(s->datadir_fd, source, day, error);
}

static int print_lines(struct show *s)
{
        struct moment since = s->crashed_at, until = s->crashed_at;
        struct log_query_counts counts;
        since.sec -= s->around_secs;
        until.sec += s->around_secs + 1; /* the last second too */
        const struct log_filter f = {
                .project = s->source.project, .install_id = s->source.install_id, .since = &since, .until = &until
        };
        int r = log_odd_report(s->datadir_fd, &f, LOG_ODD_ALL, &s->odd);
        return r < 0 ? r
                     : log_query(s->datadir_fd, &f, s->ctl->json ? print_json_line : print_line, name_broken, s,
                                 &counts);
}

/* ---- the crash ---- */

/* The crash's own JSON without its last brace, then the lines, then the brace. */
static int print_json(struct show *s, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        int r = terminal_json(&out, json);
        if (r < 0)
                return r;
        out.len--;
        printf("%.*s,\"logs\":[", (int)out.len, (const char *)out.data);
        r = print_lines(s);
        puts("]}");
        return r;
}

static int print_page(struct show *s, const char *json)
{
        int r = crash_page_print(NULL, json);
        if (r < 0)
                return r;
        printf("\n%sLogs%s, %lld s before and after\n", screen_on(SCREEN_HEAD), screen_off(),
               (long long)s->around_secs);
        r = print_lines(s);
        if (r == 0 && s->printed == 0)
                puts("  none");
        return r;
}

static void read_place(struct show *s, struct json_object *crash)
{
        const char *project = json_read_string(crash, "project"), *install_id = json_read_string(crash, "install_id");
        const char *at = json_read_string(crash, "crashed_at");
        snprintf(s->source.project, sizeof(s->source.project), "%s", project ?: "");
        snprintf(s->source.install_id, sizeof(s->source.install_id), "%s", install_id ?: "");
        if (!at || clock_parse_rfc3339(at, strlen(at), &s->crashed_at) != 0)
                s->crashed_at = (struct moment){ 0 };
}

static int print_with_logs(void *userdata, const char *json)
{
        struct show *s = userdata;
        _cleanup_(json_read_freep) struct json_object *crash = NULL;
        int r = row_parse(json, &crash);
        if (r < 0)
                return r;
        read_place(s, crash);
        return s->ctl->json ? print_json(s, json) : print_page(s, json);
}

static int show(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(closep) int datadir_fd = -1;
        struct show s = { .ctl = ctl, .around_secs = -1 };
        const char *around = ctl_value(ctl, "logs");
        int64_t id = 0;
        if (around && time_arg_duration(around, &s.around_secs) != 0)
                return say_usage("--logs: \"%s\" is not a duration; use one like 30s, 5m or 2h", around);
        int status = open_index(ctl, &index);
        if (status == CTL_OK && around)
                status = open_data_dir(ctl, &datadir_fd);
        if (status == CTL_OK)
                status = crash_ids_find(index, ctl->arguments[0], &id);
        if (status != CTL_OK)
                return status;
        s.datadir_fd = datadir_fd;
        int r = index_show_crash(index, id, around ? print_with_logs : ctl->json ? screen_json : crash_page_print, &s);
        if (r == -ENOENT)
                return say_failed("there is no crash %s", ctl->arguments[0]);
        if (r != 0)
                return say_error("read the database", r);
        return s.odd > 0 ? CTL_FAILED : CTL_OK;
}

const struct command crashes_show_command = {
        .name = "show",
        .summary = "show everything about one crash",
        .arguments = "ID|HASH",
        .min_arguments = 1,
        .max_arguments = 1,
        .description =
                "Shows one crash, by its id or by the first digits (at least four) of its dump's SHA-256. --logs adds "
                "what the same installation logged around crashed_at, up to that long before and after; with --json "
                "they are the member \"logs\".",
        .options =
                (const struct command_option[]){
                        { "logs", "DURATION",
                          "also the log lines around the crash, this long before and after: 30s, 5m, 2h" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes show 17 --logs 5m", "by id, with the log lines around it" },
                        { "detritusctl crashes show 3fa9c1", "by the start of its dump's hash" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = show,
};
