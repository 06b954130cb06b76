/* detritusctl logs: reads log lines from their files, plain and compressed, even while a daemon runs. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "detritusctl/access/names.h"
#include "detritusctl/access/open.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/logs/log_odd.h"
#include "detritusctl/logs/log_print.h"
#include "detritusctl/screen/screen.h"
#include "storage/log_days/log_follow.h"
#include "util/text/time_arg.h"

#define TAIL_DEFAULT 10

#define LOG_OPTIONS                                                                                                    \
        { "project", "P", "only of this project" }, { "install", "ID", "only of this installation" },                  \
                { "since", "T", "at this time or later" }, { "until", "T", "before this time" },                       \
        {                                                                                                              \
                "severity", "NAME|N", "at least this: trace, debug, info, warn, error, fatal, or OTLP's 1 to 24"       \
        }

#define ABOUT_TIMES                                                                                                    \
        "The time of a line is the client's (time_unix_nano, else observed_time_unix_nano). T is an RFC 3339 time, a " \
        "day (its beginning in UTC), or how long ago: 90s, 5m, 2h, 3d, 1w. Only files that can match are read: those " \
        "of the given project and installation, of the days from --since to --until, and of one day before and one "   \
        "after, since files are named after the day of receipt."
#define ABOUT_JSON                                                                                                     \
        "With --json lines are printed as they are stored, with \"project\" and \"install_id\" before the other "      \
        "members."

struct logs {
        struct log_filter filter;
        struct moment since, until;
        struct log_print print;
        struct names names;
        int datadir_fd;
        uint64_t odd; /* what was named because it could not be read, or not to its end */
};

static int read_severity(const char *text, int *ret)
{
        static const char *const names[] = { "trace", "debug", "info", "warn", "error", "fatal" };
        uint64_t number;
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (strcasecmp(text, names[i]) == 0) {
                        *ret = (int)i * 4 + 1; /* OTLP: SeverityNumber */
                        return CTL_OK;
                }
        }
        if (text[0] < '0' || text[0] > '9' || strcmp(text, "0") == 0)
                return say_usage(
                        "--severity: \"%s\" is not a severity; use trace, debug, info, warn, error, fatal, or 1 to 24",
                        text);
        int status = arg_count("--severity", text, 24, &number);
        *ret = status == CTL_OK ? (int)number : 0;
        return status;
}

/* *ret: NULL when the option was not given, else at, which has the value. */
static int read_time(const struct ctl *ctl, const char *option, struct moment *at, const struct moment **ret)
{
        const char *text = ctl_value(ctl, option + 2);
        int status = text ? arg_moment(option, text, at) : CTL_OK;
        *ret = text ? at : NULL;
        return status;
}

static int read_options(const struct ctl *ctl, struct logs *l)
{
        const char *severity = ctl_value(ctl, "severity");
        *l = (struct logs){ .datadir_fd = -1 };
        int status = names_find(ctl->data_dir, ctl_value(ctl, "project"), ctl_value(ctl, "install"), &l->names);
        l->filter.project = *l->names.project ? l->names.project : NULL;
        l->filter.install_id = *l->names.install_id ? l->names.install_id : NULL;
        l->print.json = ctl->json;
        l->print.with_source = !l->filter.install_id;
        if (status == CTL_OK)
                status = read_time(ctl, "--since", &l->since, &l->filter.since);
        if (status == CTL_OK)
                status = read_time(ctl, "--until", &l->until, &l->filter.until);
        if (status == CTL_OK && severity)
                status = read_severity(severity, &l->filter.severity);
        return status == CTL_OK ? open_data_dir(ctl, &l->datadir_fd) : status;
}

/* A log_line_cb. */
static int print_line(void *userdata, const struct source *source, const struct log_line *line)
{
        struct logs *l = userdata;
        return log_print(&l->print, source, line);
}

/* A log_broken_cb. A file that became shorter is read on. */
static void name_broken(void *userdata, const struct source *source, const char *day, int error)
{
        struct logs *l = userdata;
        l->odd += error != -ESPIPE;
        log_odd_say_broken(l->datadir_fd, source, day, error);
}

static void logs_done(struct logs *l)
{
        closep(&l->datadir_fd);
        free((char *)l->filter.text);
        log_print_done(&l->print);
}

/* ---- cat, grep ---- */

static int query(struct logs *l, struct log_query_counts *counts)
{
        *counts = (struct log_query_counts){ 0 };
        int r = log_odd_report(l->datadir_fd, &l->filter, LOG_ODD_ALL, &l->odd);
        if (r == 0)
                r = log_query(l->datadir_fd, &l->filter, print_line, name_broken, l, counts);
        if (counts->passed_over > 0)
                say_note("%llu lines are too long to be shown and were left out",
                         (unsigned long long)counts->passed_over);
        if (r != 0)
                return say_error("read the log files", r);
        if (faccessat(l->datadir_fd, "logs", F_OK, 0) < 0)
                return say_failed("there are no log files here: the data directory has no logs/");
        if (counts->fits == 0 && !l->filter.text && screen_is_terminal())
                say_at_end("no log line matches");
        return l->odd > 0 ? CTL_FAILED : CTL_OK;
}

static int cat(const struct ctl *ctl)
{
        _cleanup_(logs_done) struct logs l = { 0 };
        struct log_query_counts counts;
        int status = read_options(ctl, &l);
        return status == CTL_OK ? query(&l, &counts) : status;
}

static int grep(const struct ctl *ctl)
{
        _cleanup_(logs_done) struct logs l = { 0 };
        struct log_query_counts counts;
        int status = read_options(ctl, &l);
        if (status != CTL_OK)
                return status;
        l.filter.text = log_filter_text(ctl->arguments[0]);
        if (!l.filter.text)
                return say_failed("out of memory");
        l.filter.text_len = strlen(l.filter.text);
        l.filter.ignore_case = ctl_flag(ctl, "ignore-case");
        l.filter.invert = ctl_flag(ctl, "invert-match");
        status = query(&l, &counts);
        return status == CTL_OK && counts.fits == 0 ? CTL_FAILED : status; /* grep(1) */
}

/* ---- tail ---- */

static int follow(struct log_follow *w, struct logs *l)
{
        int r = 0;
        while (r == 0 && screen_wait(LOG_FOLLOW_POLL_MS))
                r = log_follow_more(w, clock_now(), print_line, name_broken, l);
        return r;
}

static int tail(const struct ctl *ctl)
{
        _cleanup_(logs_done) struct logs l = { 0 };
        _cleanup_(log_follow_freep) struct log_follow *w = NULL;
        const char *lines = ctl_value(ctl, "lines");
        uint64_t n = TAIL_DEFAULT;
        int status = lines ? arg_count("--lines", lines, LOG_FOLLOW_LAST_MAX, &n) : CTL_OK;
        if (status == CTL_OK)
                status = read_options(ctl, &l);
        if (status != CTL_OK)
                return status;
        int r = log_odd_report(l.datadir_fd, &l.filter, LOG_ODD_NEWEST, &l.odd);
        if (r == 0)
                r = log_follow_new(l.datadir_fd, &l.filter, &w);
        if (r == 0)
                r = log_follow_last(w, n, print_line, name_broken, &l);
        if (r == 0 && ctl_flag(ctl, "follow"))
                r = follow(w, &l);
        if (r != 0)
                return say_error("read the log files", r);
        return l.odd > 0 ? CTL_FAILED : CTL_OK;
}

static const struct command cat_command = {
        .name = "cat",
        .summary = "print all matching lines, by day and source",
        .description = "Prints the lines that match: day by day, within a day source by source, within a source in the "
                       "order they arrived.\n"
                       "\n" ABOUT_TIMES "\n\n" ABOUT_JSON,
        .options = (const struct command_option[]){ LOG_OPTIONS, { NULL } },
        .examples =
                (const struct command_example[]){
                        { "detritusctl logs cat --project acme --since 1h --severity warn", "what went wrong lately" },
                        { "detritusctl logs cat --since 2026-05-19 --until 2026-05-20 --json | jq .body", "one day" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = cat,
};

static const struct command grep_command = {
        .name = "grep",
        .summary = "print the lines that contain a text",
        .arguments = "TEXT",
        .min_arguments = 1,
        .max_arguments = 1,
        .description = "Prints the lines that contain TEXT anywhere in their stored form, names of attributes "
                       "included. TEXT is plain text, not a pattern. The exit status is 1 when no line contains it.\n"
                       "\n" ABOUT_TIMES "\n\n" ABOUT_JSON,
        .options =
                (const struct command_option[]){
                        LOG_OPTIONS,
                        { "ignore-case", .help = "ignore case (of ASCII letters)", .letter = 'i' },
                        { "invert-match", .help = "print the lines that do not contain it", .letter = 'v' },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl logs grep -i timeout --project acme --since 1d", "the last day of a project" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = grep,
};

static const struct command tail_command = {
        .name = "tail",
        .summary = "print the newest lines, and with -f new ones",
        .description =
                "Prints the newest lines that match, those of several sources by time. With -f it continues as lines "
                "arrive, across the end of a day, compression and new sources, until it is interrupted or nobody "
                "reads its output any more.\n"
                "\n" ABOUT_TIMES "\n\n" ABOUT_JSON,
        .options =
                (const struct command_option[]){
                        LOG_OPTIONS,
                        { "lines", "N", "print N lines [10]", .letter = 'n' },
                        { "follow", .help = "also print new lines as they arrive", .letter = 'f' },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl logs tail -f --project acme --severity error", "errors as they arrive" },
                        { NULL },
                },
        .run = tail,
};

const struct command logs_command = {
        .name = "logs",
        .summary = "read and follow log lines",
        .subcommands = (const struct command *const[]){ &cat_command, &grep_command, &tail_command, NULL },
};
