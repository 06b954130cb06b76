/* What a daemon knows of itself, for one screen. All from numbers in memory: it answers also when the disk does not. */
#include <errno.h>
#include <string.h>

#include "control/operations_internal.h"

static int put_time(struct buf *out, const char *key, struct moment at)
{
        char text[CLOCK_RFC3339_SIZE];
        at.nsec = 0;
        clock_format_rfc3339(at, text);
        return operation_put_text(out, key, text);
}

static int put_listeners(struct buf *out, const struct operations_config *config)
{
        int r = buf_append_str(out, ",\"listeners\":[]");
        if (r < 0 || !config->address)
                return r;
        out->len -= 1;
        const char *address;
        for (size_t i = 0; r == 0 && (address = config->address(config->userdata, i)); i++)
                r = buf_printf(out, "%s\"%s\"", i ? "," : "", address);
        return r == 0 ? buf_append_char(out, ']') : r;
}

static int put_self(struct buf *out, const struct operations *o)
{
        int r = operation_put_text(out, "version", DETRITUS_VERSION);
        if (r == 0)
                r = operation_put_number(out, "pid", (uint64_t)getpid());
        if (r == 0)
                r = put_time(out, "started_at", o->started);
        if (r == 0)
                r = operation_put_number(out, "uptime_secs", (clock_monotonic_ns() - o->started_ns) / 1000000000);
        if (r == 0)
                r = operation_put_text(out, "durability",
                                       o->config.config->durability == CONFIG_DURABILITY_COMMIT ? "commit" : "written");
        return r == 0 ? put_listeners(out, &o->config) : r;
}

/* Who is refused, and why. Ready as /healthz has it: it takes something. */
static int put_health(struct buf *out, struct store *store)
{
        const char *failure = store_failure(store);
        struct refusal refusal = { 0 };
        struct space *space = store_space(store);
        bool logs = !log_committer_failed(store_logs(store)) && space_check_kind(space, SPACE_LOGS, &refusal) == 0;
        bool crashes =
                !index_writer_failed(store_index(store)) && space_check_kind(space, SPACE_UPLOADS, &refusal) == 0;
        int r = operation_put_flag(out, "ready", !failure && (logs || crashes));
        if (r == 0)
                r = operation_put_flag(out, "takes_logs", logs);
        if (r == 0)
                r = operation_put_flag(out, "takes_crashes", crashes);
        return r == 0 ? operation_put_text(out, "reason",
                                           failure           ? failure
                                           : logs && crashes ? NULL
                                                             : refusal.message)
                      : r;
}

struct gauge_name {
        const char *name;
        enum metrics_gauge gauge;
};

static int put_gauges(struct buf *out, const char *key, const struct metrics *m, const struct gauge_name *names,
                      size_t n)
{
        int r = buf_printf(out, ",\"%s\":{", key);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = buf_printf(out, "%s\"%s\":%lld", i ? "," : "", names[i].name,
                               (long long)metrics_gauge_get(m, names[i].gauge));
        return r == 0 ? buf_append_char(out, '}') : r;
}

static int put_numbers(struct buf *out, const struct metrics *m)
{
        static const struct gauge_name disk[] = {
                { "free_bytes", METRICS_DISK_FREE_BYTES },
                { "size_bytes", METRICS_DISK_SIZE_BYTES },
                { "in_flight_bytes", METRICS_DISK_IN_FLIGHT_BYTES },
                { "forecast_millidays", METRICS_DISK_FORECAST_MILLIDAYS },
        };
        static const struct gauge_name queues[] = {
                { "connections", METRICS_CONNECTIONS },
                { "requests", METRICS_REQUESTS },
                { "uploads", METRICS_UPLOADS },
                { "body_bytes", METRICS_BODY_BYTES },
                { "log_batches", METRICS_LOG_QUEUE },
                { "crash_reports", METRICS_INDEX_QUEUE },
                { "tokens_to_verify", METRICS_VERIFIER_QUEUE },
        };
        int r = put_gauges(out, "disk", m, disk, ARRAY_LEN(disk));
        return r == 0 ? put_gauges(out, "queues", m, queues, ARRAY_LEN(queues)) : r;
}

static int put_rates(struct buf *out, struct rates *rates)
{
        static const unsigned spans[] = { 60, 300 };
        int r = buf_append_str(out, ",\"rates\":[");
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(spans); i++) {
                struct rates_sum s;
                rates_since(rates, spans[i], &s);
                r = buf_printf(out,
                               "%s{\"secs\":%u,\"over_ms\":%llu,\"log_requests\":%llu,\"log_records\":%llu,"
                               "\"log_bytes\":%llu,\"crashes\":%llu,\"crash_bytes\":%llu}",
                               i ? "," : "", spans[i], (unsigned long long)s.over_ms,
                               (unsigned long long)s.log_requests, (unsigned long long)s.log_records,
                               (unsigned long long)s.log_bytes, (unsigned long long)s.crashes,
                               (unsigned long long)s.crash_bytes);
        }
        return r == 0 ? buf_append_char(out, ']') : r;
}

static int put_cycle(struct buf *out, struct janitor *janitor)
{
        struct retention_cycle cycle;
        if (!janitor || !janitor_last_cycle(janitor, &cycle))
                return buf_append_str(out, ",\"last_cycle\":null");
        char at[CLOCK_RFC3339_SIZE];
        cycle.began.nsec = 0;
        clock_format_rfc3339(cycle.began, at);
        return buf_printf(out,
                          ",\"last_cycle\":{\"began_at\":\"%s\",\"duration_ms\":%llu,\"ok\":%s,\"crashes\":%llu,"
                          "\"blobs\":%llu,\"blob_bytes\":%llu,\"log_files\":%llu,\"log_bytes\":%llu}",
                          at, (unsigned long long)(cycle.duration_ns / 1000000), cycle.result == 0 ? "true" : "false",
                          (unsigned long long)cycle.deleted.crashes, (unsigned long long)cycle.deleted.blobs,
                          (unsigned long long)cycle.deleted.blob_bytes, (unsigned long long)cycle.deleted.log_files,
                          (unsigned long long)cycle.deleted.log_bytes);
}

int operation_status(struct operation_call *c)
{
        const struct operations_config *config = &c->operations->config;
        if (!config->rates)
                return operation_refuse(c, "no daemon runs");
        int r = put_self(&c->answer, c->operations);
        if (r == 0)
                r = put_health(&c->answer, config->store);
        if (r == 0)
                r = put_numbers(&c->answer, config->metrics);
        if (r == 0)
                r = put_rates(&c->answer, config->rates);
        return r == 0 ? put_cycle(&c->answer, store_janitor(config->store)) : r;
}
