/* What a daemon knows of itself, for one screen. All from numbers in memory: it answers also when the disk does not. */
#include <unistd.h>

#include "control/operation.h"
#include "storage/store/health.h"

static void put_listeners(struct json_write *w, const struct operations_config *config)
{
        const char *address;
        json_write_array(w, "listeners");
        for (size_t i = 0; config->address && (address = config->address(config->userdata, i)); i++)
                json_write_string(w, NULL, address);
        json_write_end(w);
}

static void put_self(struct json_write *w, const struct operations *all)
{
        bool commit = all->config.config->durability == CONFIG_DURABILITY_COMMIT;
        json_write_string(w, "version", DETRITUS_VERSION);
        json_write_u64(w, "pid", (uint64_t)getpid());
        operation_put_time(w, "started_at", all->started);
        json_write_u64(w, "uptime_secs", (clock_monotonic_ns() - all->started_ns) / 1000000000);
        json_write_string(w, "durability", commit ? "commit" : "written");
        put_listeners(w, &all->config);
}

/* Which requests are refused, and why. It is ready while /healthz is 204. */
static void put_health(struct json_write *w, struct store *store)
{
        struct health health;
        health_look(store, &health);
        health_write(&health, w);
}

struct gauge_name {
        const char *name;
        enum metrics_gauge gauge;
};

static void put_gauges(struct json_write *w, const struct metrics *m, const struct gauge_name *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                json_write_i64(w, names[i].name, metrics_gauge_get(m, names[i].gauge));
}

static void put_numbers(struct json_write *w, const struct metrics *m)
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
        json_write_object(w, "disk");
        put_gauges(w, m, disk, ARRAY_LEN(disk));
        json_write_end(w);
        json_write_object(w, "queues");
        put_gauges(w, m, queues, ARRAY_LEN(queues));
        json_write_end(w);
}

static void put_rates(struct json_write *w, struct rates *rates)
{
        static const unsigned spans[] = { 60, 300 };
        json_write_array(w, "rates");
        for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
                struct rates_sum s;
                rates_since(rates, spans[i], &s);
                json_write_object(w, NULL);
                json_write_u64(w, "secs", spans[i]);
                json_write_u64(w, "over_ms", s.over_ms);
                json_write_u64(w, "log_requests", s.log_requests);
                json_write_u64(w, "log_records", s.log_records);
                json_write_u64(w, "log_bytes", s.log_bytes);
                json_write_u64(w, "crashes", s.crashes);
                json_write_u64(w, "crash_bytes", s.crash_bytes);
                json_write_end(w);
        }
        json_write_end(w);
}

static void put_cycle(struct json_write *w, struct janitor *janitor)
{
        struct retention_cycle cycle;
        if (!janitor || !janitor_last_cycle(janitor, &cycle)) {
                json_write_null(w, "last_cycle");
                return;
        }
        json_write_object(w, "last_cycle");
        operation_put_time(w, "began_at", cycle.began);
        json_write_u64(w, "duration_ms", cycle.duration_ns / 1000000);
        json_write_bool(w, "ok", cycle.result == 0);
        operation_put_tally(w, &cycle.deleted);
        json_write_end(w);
}

int operation_status(struct operation *o)
{
        const struct operations_config *config = &o->operations->config;
        if (!config->rates)
                return operation_refuse(o, "no daemon runs");
        put_self(&o->out, o->operations);
        put_health(&o->out, config->store);
        put_numbers(&o->out, config->metrics);
        put_rates(&o->out, config->rates);
        put_cycle(&o->out, store_janitor(config->store));
        return 0;
}
