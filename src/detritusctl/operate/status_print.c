#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/control_client.h"
#include "detritusctl/operate/status.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"

static struct json_object *get(struct json_object *object, const char *key)
{
        return object ? json_object_object_get(object, key) : NULL;
}

static bool flag(struct json_object *object, const char *key)
{
        return json_object_get_boolean(get(object, key));
}

static void label(const char *name)
{
        printf("  %s%-12s%s", screen_on(SCREEN_DIM), name, screen_off());
}

/* Text of others: paths, reasons. */
static void print_text(const char *text)
{
        _cleanup_(buf_done) struct buf shown = { 0 };
        if (text && terminal_line(&shown, text, 0) == 0)
                fwrite(shown.data, 1, shown.len, stdout);
}

static void print_head(struct json_object *status, struct json_object *daemon)
{
        char up[SCREEN_TIME_SIZE];
        const char *state = ctl_text(status, "state");
        if (daemon) {
                screen_duration(ctl_number(daemon, "uptime_secs"), up);
                printf("%sdetritusd %s%s  up %s, pid %llu, durability %s\n", screen_on(SCREEN_HEAD),
                       ctl_text(daemon, "version"), screen_off(), up, (unsigned long long)ctl_number(daemon, "pid"),
                       ctl_text(daemon, "durability"));
        } else if (strcmp(state, "held") == 0) {
                printf("%sdetritusd is starting or stopping, or a detritusctl is at work%s (pid %llu)\n",
                       screen_on(SCREEN_WARN), screen_off(), (unsigned long long)ctl_number(status, "held_by"));
        } else {
                printf("%sdetritusd is down%s%s\n", screen_on(SCREEN_BAD), screen_off(),
                       strcmp(state, "died") == 0
                               ? "; its last stop was not orderly, so the next start looks at everything"
                               : "");
        }
}

static void print_taking(struct json_object *daemon)
{
        static const char *const kinds[][2] = { { "takes_logs", "logs" }, { "takes_crashes", "crashes" } };
        struct json_object *listeners = get(daemon, "listeners");
        label("listening");
        for (size_t i = 0; listeners && i < json_object_array_length(listeners); i++)
                printf("%s%s", i ? ", " : "", json_object_get_string(json_object_array_get_idx(listeners, i)));
        putchar('\n');
        label("takes");
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                bool takes = flag(daemon, kinds[i][0]);
                printf("%s%s%s%s%s", i ? ", " : "", screen_on(takes ? SCREEN_GOOD : SCREEN_BAD), takes ? "" : "NO ",
                       kinds[i][1], screen_off());
        }
        if (ctl_text(daemon, "reason")) {
                fputs(": ", stdout);
                print_text(ctl_text(daemon, "reason"));
        }
        putchar('\n');
}

static void print_disk(struct json_object *status, struct json_object *daemon)
{
        char free_bytes[32], size[32];
        struct json_object *disk = daemon ? get(daemon, "disk") : get(status, "disk");
        label("data");
        print_text(ctl_text(status, "data_dir"));
        putchar('\n');
        if (!disk)
                return;
        size_text(ctl_number(disk, "free_bytes"), free_bytes);
        size_text(ctl_number(disk, "size_bytes"), size);
        label("disk");
        printf("%s free of %s", free_bytes, size);
        uint64_t millidays = ctl_number(disk, "forecast_millidays");
        if (daemon && millidays >= 36500 * UINT64_C(1000))
                printf(", does not fill");
        else if (daemon)
                printf(", full in %.1f days at the pace of the last hours", (double)millidays / 1000);
        putchar('\n');
}

static const char *plus(struct json_object *stored, const char *key)
{
        return ctl_number(stored, key) >= ctl_number(stored, "counted_to") ? "+" : "";
}

static void print_stored(struct json_object *status)
{
        char crashes[32], logs[32], newest[SCREEN_TIME_SIZE];
        struct json_object *stored = get(status, "stored");
        label("stored");
        if (!stored) {
                printf("%s", screen_on(SCREEN_BAD));
                print_text(ctl_text(status, "problem"));
                printf("%s\n", screen_off());
                return;
        }
        size_text(ctl_number(stored, "crash_bytes"), crashes);
        size_text(ctl_number(stored, "log_bytes"), logs);
        uint64_t n_crashes = ctl_number(stored, "crashes"), n_sources = ctl_number(stored, "sources");
        printf("%llu crash%s (%s) of %llu%s source%s, logs %s\n", (unsigned long long)n_crashes,
               n_crashes == 1 ? "" : "es", crashes, (unsigned long long)n_sources, plus(stored, "sources"),
               n_sources == 1 ? "" : "s", logs);
        if (!ctl_text(stored, "newest_crash_at"))
                return;
        screen_time(ctl_text(stored, "newest_crash_at"), newest);
        label("last crash");
        printf("%s, %llu%s in the last hour\n", newest, (unsigned long long)ctl_number(stored, "crashes_last_hour"),
               plus(stored, "crashes_last_hour"));
}

static double rate(struct json_object *span, const char *key, double per_secs)
{
        uint64_t ms = ctl_number(span, "over_ms");
        return ms ? (double)ctl_number(span, key) * 1000 * per_secs / (double)ms : 0;
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
        struct json_object *spans = get(daemon, "rates");
        printf("\n  %s%-12s%16s%16s%s\n", screen_on(SCREEN_DIM), "", "last minute", "last 5 minutes", screen_off());
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                label(rows[i].name);
                for (size_t k = 0; spans && k < json_object_array_length(spans); k++) {
                        char text[32], size[32];
                        double n = rate(json_object_array_get_idx(spans, k), rows[i].key, rows[i].per_secs);
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

/* "1 connection, 2 requests", a line. */
static void print_counts(struct json_object *object, const struct counted *c)
{
        for (bool first = true; c->key; c++, first = false) {
                uint64_t n = ctl_number(object, c->key);
                printf("%s%llu %s%s", first ? "" : ", ", (unsigned long long)n, n == 1 || !c->many ? c->one : c->many,
                       n == 1 || c->many ? "" : "s");
        }
        putchar('\n');
}

static void print_queues(struct json_object *daemon)
{
        struct json_object *q = get(daemon, "queues");
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
        struct json_object *cycle = get(daemon, "last_cycle");
        label("retention");
        if (!cycle) {
                puts("has not run yet");
                return;
        }
        screen_time(ctl_text(cycle, "began_at"), at);
        bool ok = flag(cycle, "ok");
        uint64_t ms = ctl_number(cycle, "duration_ms");
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

void status_print(struct json_object *status)
{
        struct json_object *daemon = get(status, "daemon");
        print_head(status, daemon);
        if (daemon)
                print_taking(daemon);
        print_disk(status, daemon);
        print_stored(status);
        if (!daemon)
                return;
        print_rates(daemon);
        print_queues(daemon);
        print_cycle(daemon);
}
