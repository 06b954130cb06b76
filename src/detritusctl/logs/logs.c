/* detritusctl logs: reads log lines from their files, plain and compressed, beside a running daemon. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/reading.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/logs/log_print.h"
#include "storage/log_days/log_follow.h"
#include "util/text/time_arg.h"

#define TAIL_DEFAULT 10

#define LOG_OPTIONS                                                                                                    \
        { "project", "P", "of this project" }, { "install", "ID", "of this installation" },                            \
                { "since", "T", "at or after" }, { "until", "T", "before" },                                           \
        {                                                                                                              \
                "severity", "NAME|N", "at least: trace, debug, info, warn, error, fatal, or OTLP's 1 to 24"            \
        }

#define ABOUT_TIMES                                                                                                    \
        "A line's time is the client's (time_unix_nano, else observed_time_unix_nano). T is a time of RFC 3339, a "    \
        "day "                                                                                                         \
        "(its beginning, UTC), or how long ago: 90s, 5m, 2h, 3d, 1w. Only the files that can match are read: those "   \
        "of "                                                                                                          \
        "the sources that are asked for, of the days from --since to --until and one day before and behind, since "    \
        "files are named after the day of receipt."
#define ABOUT_JSON                                                                                                     \
        "With --json lines are printed as they are stored, with \"project\" and \"install_id\" before the rest."

struct logs {
        struct log_filter filter;
        struct moment since, until;
        struct log_print print;
        int datadir_fd;
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
                return say_usage("--severity: trace, debug, info, warn, error, fatal, or 1 to 24");
        int status = reading_count("--severity", text, 24, &number);
        *ret = status == CTL_OK ? (int)number : 0;
        return status;
}

static int read_options(const struct ctl *ctl, struct logs *l)
{
        const char *since = ctl_value(ctl, "since"), *until = ctl_value(ctl, "until");
        const char *severity = ctl_value(ctl, "severity");
        *l = (struct logs){ .datadir_fd = -1 };
        l->filter.project = ctl_value(ctl, "project");
        l->filter.install_id = ctl_value(ctl, "install");
        l->print.json = ctl->json;
        l->print.with_source = !l->filter.install_id;
        int status = since ? reading_moment("--since", since, &l->since) : CTL_OK;
        if (status == CTL_OK && until)
                status = reading_moment("--until", until, &l->until);
        if (status == CTL_OK && severity)
                status = read_severity(severity, &l->filter.severity);
        l->filter.since = since ? &l->since : NULL;
        l->filter.until = until ? &l->until : NULL;
        return status == CTL_OK ? reading_open_data_dir(ctl, &l->datadir_fd) : status;
}

static void logs_done(struct logs *l)
{
        closep(&l->datadir_fd);
        free((char *)l->filter.text);
}

/* ---- cat, grep ---- */

static int query(struct logs *l, struct log_query_counts *counts)
{
        int r = log_query(l->datadir_fd, &l->filter, log_print, log_print_broken, &l->print, counts);
        if (counts->passed_over > 0)
                say_note("%llu lines are too long and were left out", (unsigned long long)counts->passed_over);
        if (r != 0)
                return reading_failed(r);
        return counts->broken > 0 ? CTL_FAILED : CTL_OK;
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
        while (r == 0 && reading_wait(LOG_FOLLOW_POLL_MS))
                r = log_follow_more(w, clock_now(), log_print, log_print_broken, &l->print);
        return r;
}

static int tail(const struct ctl *ctl)
{
        _cleanup_(logs_done) struct logs l = { 0 };
        _cleanup_(log_follow_freep) struct log_follow *w = NULL;
        const char *lines = ctl_value(ctl, "lines");
        uint64_t n = TAIL_DEFAULT;
        int status = lines ? reading_count("--lines", lines, LOG_FOLLOW_LAST_MAX, &n) : CTL_OK;
        if (status == CTL_OK)
                status = read_options(ctl, &l);
        if (status != CTL_OK)
                return status;
        int r = log_follow_new(l.datadir_fd, &l.filter, &w);
        if (r == 0)
                r = log_follow_last(w, n, log_print, log_print_broken, &l.print);
        if (r == 0 && ctl_flag(ctl, "follow"))
                r = follow(w, &l);
        return r == 0 ? CTL_OK : reading_failed(r);
}

static const struct command cat_command = {
        .name = "cat",
        .summary = "all lines that fit, by day and source",
        .description =
                "Prints the lines that fit: day by day, within a day source by source, within a source as they came.\n"
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
        .summary = "the lines that have a text",
        .arguments = "TEXT",
        .min_arguments = 1,
        .max_arguments = 1,
        .description =
                "Prints the lines that have TEXT anywhere in them as they are stored, names of attributes included: "
                "a text, no pattern. Exit status 1 when there is none.\n"
                "\n" ABOUT_TIMES "\n\n" ABOUT_JSON,
        .options =
                (const struct command_option[]){
                        LOG_OPTIONS,
                        { "ignore-case", .help = "upper and lower case (of ASCII) are the same", .letter = 'i' },
                        { "invert-match", .help = "the lines that do not have it", .letter = 'v' },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl logs grep -i timeout --project acme --since 1d", "a day of a project" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = grep,
};

static const struct command tail_command = {
        .name = "tail",
        .summary = "the newest lines, and with -f those that come",
        .description =
                "Prints the newest lines that fit, those of several sources by time. With -f it goes on as lines come, "
                "also when a day ends, when a day is compressed, and when new sources send; it ends when it is "
                "interrupted or when nobody reads its output any more.\n"
                "\n" ABOUT_TIMES "\n\n" ABOUT_JSON,
        .options =
                (const struct command_option[]){
                        LOG_OPTIONS,
                        { "lines", "N", "so many [10]", .letter = 'n' },
                        { "follow", .help = "and those that come", .letter = 'f' },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl logs tail -f --project acme --severity error", "errors as they come" },
                        { NULL },
                },
        .run = tail,
};

const struct command logs_command = {
        .name = "logs",
        .summary = "read log lines",
        .subcommands = (const struct command *const[]){ &cat_command, &grep_command, &tail_command, NULL },
};
