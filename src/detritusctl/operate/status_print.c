/* The screen of `status`. */
#include <stdio.h>
#include <string.h>

#include "detritusctl/operate/status.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"

static void label(const char *name)
{
        printf("  %s%-12s%s", screen_on(SCREEN_DIM), name, screen_off());
}

/* Text that is not ours: paths, reasons. */
static void print_text(const char *text)
{
        _cleanup_(buf_done) struct buf shown = { 0 };
        if (text && terminal_line(&shown, text, 0) == 0)
                fwrite(shown.data, 1, shown.len, stdout);
}

static void print_head(const struct status *s)
{
        char up[SCREEN_TIME_SIZE];
        if (s->daemon) {
                screen_duration(json_read_u64(s->daemon, "uptime_secs"), up);
                printf("%sdetritusd %s%s  up %s, pid %llu, durability %s\n", screen_on(SCREEN_HEAD),
                       json_read_string(s->daemon, "version"), screen_off(), up,
                       (unsigned long long)json_read_u64(s->daemon, "pid"), json_read_string(s->daemon, "durability"));
        } else if (s->reason.text[0]) {
                bool busy = strcmp(s->state, "busy") == 0;
                printf("%s%s%s: ", screen_on(SCREEN_WARN),
                       busy ? "detritusd is up, but gives no status" : "cannot tell whether detritusd is up",
                       screen_off());
                print_text(s->reason.text);
                putchar('\n');
        } else if (s->held_by) {
                printf("%sdetritusd is starting or stopping, or a detritusctl is at work%s (pid %d)\n",
                       screen_on(SCREEN_WARN), screen_off(), (int)s->held_by);
        } else {
                printf("%sdetritusd is down%s%s\n", screen_on(SCREEN_BAD), screen_off(),
                       strcmp(s->state, "died") == 0
                               ? "; its last stop was not orderly, so the next start checks everything"
                               : "");
        }
}

static void print_taking(struct json_object *daemon)
{
        static const char *const kinds[][2] = { { "takes_logs", "logs" }, { "takes_crashes", "crashes" } };
        struct json_object *listeners = json_read_member(daemon, "listeners");
        label("listening");
        for (size_t i = 0; i < json_read_count(listeners); i++)
                printf("%s%s", i ? ", " : "", json_read_value_shown(json_read_item(listeners, i)));
        putchar('\n');
        label("takes");
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                bool takes = json_read_bool(daemon, kinds[i][0]);
                printf("%s%s%s%s%s", i ? ", " : "", screen_on(takes ? SCREEN_GOOD : SCREEN_BAD), takes ? "" : "NO ",
                       kinds[i][1], screen_off());
        }
        if (json_read_string(daemon, "reason")) {
                fputs(": ", stdout);
                print_text(json_read_string(daemon, "reason"));
        }
        putchar('\n');
}

/* One line for each, also for those that stop nothing. */
static void print_troubles(struct json_object *daemon)
{
        struct json_object *troubles = json_read_member(daemon, "troubles");
        for (size_t i = 0; i < json_read_count(troubles); i++) {
                char since[SCREEN_TIME_SIZE];
                struct json_object *t = json_read_item(troubles, i);
                const char *path = json_read_string(t, "path");
                screen_time(json_read_string(t, "since"), since);
                label(i ? "" : "trouble");
                fputs(screen_on(SCREEN_BAD), stdout);
                print_text(json_read_string(t, "reason"));
                if (path) {
                        fputs(": ", stdout);
                        print_text(path);
                }
                printf("%s, since %s\n", screen_off(), since);
        }
}

/* The numbers of the daemon when it runs, which subtract what it has promised to uploads. */
static void print_disk(const struct status *s)
{
        char free_bytes[32], size[32];
        struct json_object *disk = json_read_member(s->daemon, "disk");
        label("data");
        print_text(s->data_dir);
        putchar('\n');
        if (s->daemon ? !disk : !s->disk_known)
                return;
        size_text(disk ? json_read_u64(disk, "free_bytes") : s->disk_free_bytes, free_bytes);
        size_text(disk ? json_read_u64(disk, "size_bytes") : s->disk_size_bytes, size);
        label("disk");
        printf("%s free of %s", free_bytes, size);
        uint64_t millidays = json_read_u64(disk, "forecast_millidays");
        if (disk && millidays >= 36500 * UINT64_C(1000))
                printf(", does not fill");
        else if (disk)
                printf(", full in %.1f days at the pace of the last hours", (double)millidays / 1000);
        putchar('\n');
}

/* There may be more. */
static const char *plus(uint64_t count)
{
        return count >= STATUS_COUNT_MAX ? "+" : "";
}

static void print_stored(const struct status *s)
{
        char crashes[32], logs[32], newest[SCREEN_TIME_SIZE];
        const struct index_counts *n = &s->counts;
        label("stored");
        if (!s->stored_known) {
                printf("%s", screen_on(SCREEN_BAD));
                print_text(s->problem.text);
                printf("%s\n", screen_off());
                return;
        }
        size_text(s->usage.crash_bytes, crashes);
        size_text(s->usage.log_bytes, logs);
        printf("%llu crash%s (%s) from %llu%s source%s, logs %s\n", (unsigned long long)n->crashes,
               n->crashes == 1 ? "" : "es", crashes, (unsigned long long)n->sources, plus(n->sources),
               n->sources == 1 ? "" : "s", logs);
        if (!*n->newest)
                return;
        screen_time(n->newest, newest);
        label("last crash");
        printf("%s, %llu%s in the last hour\n", newest, (unsigned long long)n->crashes_since, plus(n->crashes_since));
}

static double rate(struct json_object *span, const char *key, double per_secs)
{
        uint64_t ms = json_read_u64(span, "over_ms");
        return ms ? (double)json_read_u64(span, key) * 1000 * per_secs / (double)ms : 0;
}

static void print_rates(struct json_object *daemon)
{
        static const struct {
                const char *name, *key, *unit; /* NULL: bytes a second */
                double per_secs;
        } rows[] = {
                { "log lines", "log_records", "/s", 1 },
                { "log bytes", "log_bytes", NULL, 1 },
                { "crashes", "crashes", "/min", 60 },
                { "crash bytes", "crash_bytes", NULL, 1 },
        };
        struct json_object *spans = json_read_member(daemon, "rates");
        printf("\n  %s%-12s%16s%16s%s\n", screen_on(SCREEN_DIM), "", "last minute", "last 5 minutes", screen_off());
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                label(rows[i].name);
                for (size_t k = 0; k < json_read_count(spans); k++) {
                        char text[32], size[32];
                        double n = rate(json_read_item(spans, k), rows[i].key, rows[i].per_secs);
                        size_text((uint64_t)n, size);
                        if (rows[i].unit)
                                snprintf(text, sizeof(text), "%.1f%s", n, rows[i].unit);
                        else
                                snprintf(text, sizeof(text), "%.20s/s", size);
                        printf("%16s", text);
                }
                putchar('\n');
        }
}

struct counted {
        const char *key, *one, *many; /* NULL many: one, with an s */
};

/* "1 connection, 2 requests", and the end of the line. */
static void print_counts(struct json_object *object, const struct counted *c)
{
        for (bool first = true; c->key; c++, first = false) {
                uint64_t n = json_read_u64(object, c->key);
                printf("%s%llu %s%s", first ? "" : ", ", (unsigned long long)n, n == 1 || !c->many ? c->one : c->many,
                       n == 1 || c->many ? "" : "s");
        }
        putchar('\n');
}

static void print_queues(struct json_object *daemon)
{
        struct json_object *q = json_read_member(daemon, "queues");
        putchar('\n');
        label("under way");
        print_counts(q, (const struct counted[]){ { "connections", "connection" },
                                                  { "requests", "request" },
                                                  { "uploads", "upload" },
                                                  { NULL } });
        label("waiting");
        print_counts(q, (const struct counted[]){ { "log_batches", "log batch", "log batches" },
                                                  { "crash_reports", "crash report" },
                                                  { "tokens_to_verify", "token to verify", "tokens to verify" },
                                                  { NULL } });
}

static void print_cycle(struct json_object *daemon)
{
        char at[SCREEN_TIME_SIZE], took[SCREEN_TIME_SIZE];
        struct json_object *cycle = json_read_member(daemon, "last_cycle");
        label("retention");
        if (!cycle) {
                puts("has not run yet");
                return;
        }
        screen_time(json_read_string(cycle, "began_at"), at);
        bool ok = json_read_bool(cycle, "ok");
        uint64_t ms = json_read_u64(cycle, "duration_ms");
        if (ms < 10000)
                snprintf(took, sizeof(took), "%llu ms", (unsigned long long)ms);
        else
                screen_duration(ms / 1000, took);
        printf("%s%s%s %s, took %s; gone: ", ok ? "" : screen_on(SCREEN_BAD), ok ? "ran" : "FAILED",
               ok ? "" : screen_off(), at, took);
        print_counts(cycle, (const struct counted[]){ { "crashes", "crash", "crashes" },
                                                      { "blobs", "blob" },
                                                      { "log_files", "log file" },
                                                      { NULL } });
}

void status_print(const struct status *s)
{
        print_head(s);
        if (s->daemon)
                print_taking(s->daemon);
        if (s->daemon)
                print_troubles(s->daemon);
        print_disk(s);
        print_stored(s);
        if (!s->daemon)
                return;
        print_rates(s->daemon);
        print_queues(s->daemon);
        print_cycle(s->daemon);
}
