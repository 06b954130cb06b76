/* Atomics, counted with relaxed adds, and one function that writes all of them as OpenMetrics text. Network threads
 * have blocks of their own, so that they do not contend for cache lines with every request; all other threads share
 * one. A value is the sum over the blocks. A scrape reads value by value: it may see one counter of a request and
 * not yet another, which OpenMetrics allows. A histogram's _count is the sum of the buckets read, so each histogram
 * is consistent. The only failure is a lack of memory for the text. */

#include "metrics/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define BLOCKS 8 /* the first is for all threads without one of their own */

static const uint64_t bucket_ns[] = { 1000000,   2500000,   5000000,    10000000,   25000000,   50000000,   100000000,
                                      250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000 };
/* OpenMetrics "Considerations: Canonical Numbers". */
static const char *const bucket_names[] = { "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
                                            "0.25",  "0.5",    "1.0",   "2.5",  "5.0",   "10.0", "+Inf" };
#define BUCKETS ARRAY_LEN(bucket_names)
_Static_assert(BUCKETS == ARRAY_LEN(bucket_ns) + 1, "every bucket has a name");

/* What we answer with; anything else is counted as 500. */
static const int statuses[] = { 200, 201, 204, 400, 401, 403, 404, 405, 408, 411, 412,
                                413, 414, 415, 417, 422, 429, 431, 500, 501, 503, 505 };
#define STATUSES ARRAY_LEN(statuses)

static const char *const endpoint_names[METRICS_ENDPOINT_MAX_] = {
        [METRICS_LOGS] = "logs",       [METRICS_CRASHES] = "crashes", [METRICS_METRICS] = "metrics",
        [METRICS_HEALTHZ] = "healthz", [METRICS_OTHER] = "other",
};

struct histogram {
        atomic_uint_least64_t buckets[BUCKETS]; /* not cumulative */
        atomic_uint_least64_t sum_ns;
};

struct endpoint {
        atomic_uint_least64_t bytes;
        struct histogram duration;
        atomic_uint_least64_t requests[STATUSES];
};

struct block {
        _Alignas(CACHE_LINE) struct endpoint endpoints[METRICS_ENDPOINT_MAX_];
        atomic_uint_least64_t gauges[METRICS_GAUGE_MAX_]; /* may be below zero, as two's complement */
        atomic_uint_least64_t counters[METRICS_COUNTER_MAX_];
        struct histogram cycles[2]; /* by ok */
};

struct metrics {
        struct block blocks[BLOCKS];
};

struct metrics *metrics_new(void)
{
        struct metrics *m = aligned_alloc(CACHE_LINE, sizeof(*m));
        if (m)
                memset(m, 0, sizeof(*m));
        return m;
}

struct metrics *metrics_free(struct metrics *m)
{
        free(m);
        return NULL;
}

static _Thread_local unsigned own;

void metrics_thread_counts_much(void)
{
        static atomic_uint threads;
        own = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % (BLOCKS - 1);
}

static struct block *own_block(struct metrics *m)
{
        return &m->blocks[own];
}

static void add(atomic_uint_least64_t *counter, uint64_t n)
{
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Over all blocks, of what is at that place in each. */
static uint64_t sum(const struct metrics *m, size_t offset)
{
        uint64_t n = 0;
        for (size_t i = 0; i < BLOCKS; i++) {
                const void *at = (const char *)&m->blocks[i] + offset;
                n += atomic_load_explicit((const atomic_uint_least64_t *)at, memory_order_relaxed);
        }
        return n;
}

void metrics_count(struct metrics *m, enum metrics_counter c, uint64_t n)
{
        assert(c < METRICS_COUNTER_MAX_);
        add(&own_block(m)->counters[c], n);
}

/* One thread adds, another subtracts: kept in one block, so that no scrape finds the gauge below zero. */
static bool is_passed_on(enum metrics_gauge g)
{
        return g == METRICS_LOG_QUEUE || g == METRICS_INDEX_QUEUE || g == METRICS_VERIFIER_QUEUE ||
               g == METRICS_DISK_IN_FLIGHT_BYTES;
}

void metrics_gauge_add(struct metrics *m, enum metrics_gauge g, int64_t n)
{
        assert(g < METRICS_GAUGE_MAX_);
        add(&(is_passed_on(g) ? m->blocks : own_block(m))->gauges[g], (uint64_t)n);
}

/* What is set is never added to. */
void metrics_gauge_set(struct metrics *m, enum metrics_gauge g, int64_t value)
{
        atomic_store_explicit(&m->blocks[0].gauges[g], (uint64_t)value, memory_order_relaxed);
}

int64_t metrics_gauge_get(const struct metrics *m, enum metrics_gauge g)
{
        return (int64_t)sum(m, offsetof(struct block, gauges[g]));
}

uint64_t metrics_counter_get(const struct metrics *m, enum metrics_counter c)
{
        return sum(m, offsetof(struct block, counters[c]));
}

static void observe(struct histogram *h, uint64_t ns)
{
        size_t i = 0;
        while (i < ARRAY_LEN(bucket_ns) && ns > bucket_ns[i])
                i++;
        add(&h->buckets[i], 1);
        add(&h->sum_ns, ns);
}

static size_t status_index(int status)
{
        size_t unexpected = 0;
        for (size_t i = 0; i < STATUSES; i++) {
                if (statuses[i] == status)
                        return i;
                if (statuses[i] == 500)
                        unexpected = i;
        }
        return unexpected;
}

void metrics_request(struct metrics *m, enum metrics_endpoint e, int status, uint64_t duration_ns)
{
        struct endpoint *endpoint = &own_block(m)->endpoints[e];
        add(&endpoint->requests[status_index(status)], 1);
        observe(&endpoint->duration, duration_ns);
}

uint64_t metrics_requests_get(const struct metrics *m, enum metrics_endpoint e, int status)
{
        return sum(m, offsetof(struct block, endpoints[e].requests[status_index(status)]));
}

void metrics_bytes(struct metrics *m, enum metrics_endpoint e, uint64_t n)
{
        add(&own_block(m)->endpoints[e].bytes, n);
}

uint64_t metrics_bytes_get(const struct metrics *m, enum metrics_endpoint e)
{
        return sum(m, offsetof(struct block, endpoints[e].bytes));
}

void metrics_janitor_cycle(struct metrics *m, int ok, uint64_t duration_ns)
{
        observe(&own_block(m)->cycles[ok != 0], duration_ns);
}

/* ---- the exposition: the buffer keeps the first error ---- */

static void put_family(struct buf *out, const char *name, const char *type, const char *help)
{
        buf_printf(out, "# TYPE detritus_%s %s\n", name, type);
        buf_printf(out, "# HELP detritus_%s %s\n", name, help);
}

/* One that something was observed in; at: where it is in a block. */
static void put_histogram(struct buf *out, const struct metrics *m, size_t at, const char *name, const char *label,
                          const char *value)
{
        uint64_t buckets[BUCKETS], observed = 0, count = 0;
        for (size_t i = 0; i < BUCKETS; i++) {
                buckets[i] = sum(m, at + offsetof(struct histogram, buckets[i]));
                observed += buckets[i];
        }
        if (observed == 0)
                return;
        for (size_t i = 0; i < BUCKETS; i++) {
                count += buckets[i];
                buf_printf(out, "detritus_%s_bucket{%s=\"%s\",le=\"%s\"} %" PRIu64 "\n", name, label, value,
                           bucket_names[i], count);
        }
        uint64_t ns = sum(m, at + offsetof(struct histogram, sum_ns));
        buf_printf(out, "detritus_%s_sum{%s=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n", name, label, value, ns / 1000000000,
                   ns % 1000000000);
        buf_printf(out, "detritus_%s_count{%s=\"%s\"} %" PRIu64 "\n", name, label, value, count);
}

static void put_requests(struct buf *out, const struct metrics *m)
{
        put_family(out, "requests", "counter", "Finished requests; gRPC outcomes as their HTTP equivalents.");
        for (size_t e = 0; e < METRICS_ENDPOINT_MAX_; e++) {
                for (size_t s = 0; s < STATUSES; s++) {
                        uint64_t n = sum(m, offsetof(struct block, endpoints[e].requests[s]));
                        if (n > 0)
                                buf_printf(out, "detritus_requests_total{endpoint=\"%s\",status=\"%d\"} %" PRIu64 "\n",
                                           endpoint_names[e], statuses[s], n);
                }
        }
        put_family(out, "request_duration_seconds", "histogram",
                   "From the request's head to its answer being handed to the connection.");
        for (size_t e = 0; e < METRICS_ENDPOINT_MAX_; e++)
                put_histogram(out, m, offsetof(struct block, endpoints[e].duration), "request_duration_seconds",
                              "endpoint", endpoint_names[e]);
        put_family(out, "bytes_ingested", "counter", "Request bytes accepted, after decompression.");
        for (size_t e = 0; e < METRICS_ENDPOINT_MAX_; e++)
                buf_printf(out, "detritus_bytes_ingested_total{endpoint=\"%s\"} %" PRIu64 "\n", endpoint_names[e],
                           metrics_bytes_get(m, e));
}

static const struct {
        enum metrics_counter counter;
        const char *name, *labels;
        const char *help; /* NULL: another sample of the family above */
} counters[] = {
        { METRICS_DEDUP_HITS, "dedup_hits", "", "Uploads whose bytes were there already." },
        { METRICS_JANITOR_CYCLES, "janitor_cycles", "", "Retention cycles run." },
        { METRICS_JANITOR_BLOBS_FREED, "janitor_blobs_freed", "", "Blobs deleted by retention." },
        { METRICS_JANITOR_BYTES_FREED, "janitor_bytes_freed", "",
          "Bytes of log files and blobs deleted by retention." },
        { METRICS_VALIDATION_FAILURES_LOGS, "validation_failures", "{endpoint=\"logs\"}",
          "Requests refused by a project's schema." },
        { METRICS_VALIDATION_FAILURES_CRASHES, "validation_failures", "{endpoint=\"crashes\"}", NULL },
        { METRICS_LOG_RECORDS, "log_records", "",
          "Log records acknowledged: durable, unless durability is `written`." },
        { METRICS_LOG_RECORDS_REJECTED, "log_records_rejected", "",
          "Log records left out of exports whose other records were taken." },
        { METRICS_LOG_COMMITS, "log_commits", "", "Group commits of log batches." },
        { METRICS_LOG_CHECKPOINTS, "log_checkpoints", "", "Checkpoints of the log journal." },
        { METRICS_LOG_SYNCED_DIRECTLY, "log_direct_syncs", "",
          "Commits of log batches synced straight to their files, without the journal." },
        { METRICS_INDEX_COMMITS, "index_commits", "", "SQLite transactions of crash reports." },
        { METRICS_VERIFICATIONS, "verifications", "", "Argon2 computations for tokens." },
        { METRICS_DISK_REFUSALS_UPLOADS, "disk_refusals", "{kind=\"uploads\"}",
          "Requests refused for want of disk space." },
        { METRICS_DISK_REFUSALS_LOGS, "disk_refusals", "{kind=\"logs\"}", NULL },
        { METRICS_CONNECTIONS_ACCEPTED, "connections_accepted", "", "Connections accepted." },
};
_Static_assert(ARRAY_LEN(counters) == METRICS_COUNTER_MAX_, "every counter is shown");

static const struct {
        enum metrics_gauge gauge;
        const char *name, *help; /* help NULL: another sample of the family above */
        const char *labels;      /* NULL: none */
        int64_t thousandths;     /* 1: what is kept is thousandths of what is shown */
} gauges[] = {
        { METRICS_CONNECTIONS, "connections", "Connections open." },
        { METRICS_REQUESTS, "requests_in_flight", "Requests that a handler holds." },
        { METRICS_BODY_BYTES, "body_bytes", "Request bytes buffered in memory." },
        { METRICS_UPLOADS, "uploads_in_flight", "Crash uploads being received." },
        { METRICS_TEMPORARY_FILES, "temporary_files", "Blobs being received." },
        { METRICS_LOG_QUEUE, "writer_queue_depth", "Log batches waiting for the committer." },
        { METRICS_INDEX_QUEUE, "index_queue_depth", "Reports waiting for the index writer." },
        { METRICS_VERIFIER_QUEUE, "verifier_queue_depth", "Tokens waiting for verification." },
        { METRICS_LOG_FILES_OPEN, "log_files_open", "Log files held open." },
        { METRICS_READY, "ready", "1 while every store takes writes." },
        { METRICS_JANITOR_LAST_LOGS_DELETED, "janitor_last_logs_deleted", "Log files deleted by the last cycle." },
        { METRICS_JANITOR_LAST_INDEXES_DELETED, "janitor_last_indexes_deleted", "Crashes deleted by the last cycle." },
        { METRICS_JANITOR_LAST_BLOBS_DELETED, "janitor_last_blobs_deleted", "Blobs deleted by the last cycle." },
        { METRICS_DISK_FREE_BYTES, "disk_free_bytes", "Free for us on the data directory's file system." },
        { METRICS_DISK_SIZE_BYTES, "disk_size_bytes", "Size of the data directory's file system." },
        { METRICS_DISK_IN_FLIGHT_BYTES, "disk_reserved_in_flight_bytes", "Promised to requests under way." },
        { METRICS_DISK_REFUSING_UPLOADS, "disk_refusing", "1 while requests are refused for want of disk space.",
          .labels = "{kind=\"uploads\"}" },
        { METRICS_DISK_REFUSING_LOGS, "disk_refusing", NULL, .labels = "{kind=\"logs\"}" },
        { METRICS_DISK_FORECAST_MILLIDAYS, "disk_forecast_days",
          "Until uploads are refused, at the rate of the last hours.", .thousandths = 1 },
        { METRICS_INDEX_WAL_BYTES, "index_wal_bytes", "Size of the database's WAL." },
};
_Static_assert(ARRAY_LEN(gauges) == METRICS_TROUBLES, "every gauge is shown");

static void put_counters(struct buf *out, const struct metrics *m)
{
        for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
                if (counters[i].help)
                        put_family(out, counters[i].name, "counter", counters[i].help);
                buf_printf(out, "detritus_%s_total%s %" PRIu64 "\n", counters[i].name, counters[i].labels,
                           metrics_counter_get(m, counters[i].counter));
        }
}

static void put_gauges(struct buf *out, const struct metrics *m)
{
        for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
                int64_t value = metrics_gauge_get(m, gauges[i].gauge);
                if (gauges[i].help)
                        put_family(out, gauges[i].name, "gauge", gauges[i].help);
                buf_printf(out, "detritus_%s%s ", gauges[i].name, gauges[i].labels ? gauges[i].labels : "");
                if (gauges[i].thousandths)
                        buf_printf(out, "%" PRId64 ".%03d\n", value / 1000, abs((int)(value % 1000)));
                else
                        buf_printf(out, "%" PRId64 "\n", value);
        }
}

static void put_troubles(struct buf *out, const struct metrics *m)
{
        put_family(out, "trouble", "gauge", "1 while there is such a trouble; /healthz?detail has the words.");
        for (unsigned k = 0; k < TROUBLE_KIND_MAX_; k++)
                buf_printf(out, "detritus_trouble{kind=\"%s\"} %" PRId64 "\n", trouble_name(k),
                           metrics_gauge_get(m, METRICS_TROUBLES + k));
}

static void put_cycles(struct buf *out, const struct metrics *m)
{
        static const char *const results[] = { "error", "ok" };
        put_family(out, "janitor_cycle_duration_seconds", "histogram", "How long a retention cycle took.");
        for (size_t i = 0; i < ARRAY_LEN(results); i++)
                put_histogram(out, m, offsetof(struct block, cycles[i]), "janitor_cycle_duration_seconds", "result",
                              results[i]);
}

int metrics_render(const struct metrics *m, struct buf *out)
{
        size_t before = out->len;
        put_requests(out, m);
        put_counters(out, m);
        put_cycles(out, m);
        put_gauges(out, m);
        put_troubles(out, m);
        put_family(out, "build", "info", "What is running.");
        buf_printf(out, "detritus_build_info{version=\"%s\"} 1\n", DETRITUS_VERSION);
        buf_append_str(out, "# EOF\n");
        if (out->error < 0)
                out->len = before;
        return out->error;
}
