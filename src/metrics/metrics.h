#pragma once
/* Counters, gauges and histograms, and their OpenMetrics text. Any thread may count (relaxed atomics); rendering reads
 * them one by one. No label grows without bound. Source: OpenMetrics 1.0; family names as in docs/protocol.md. */

#include <stdatomic.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/troubles.h"

enum metrics_endpoint {
        METRICS_LOGS,
        METRICS_CRASHES,
        METRICS_METRICS,
        METRICS_HEALTHZ,
        METRICS_OTHER,
        METRICS_ENDPOINT_MAX_
};

/* Gauges of what is alive: all are zero when nobody is connected and nothing is queued. Tests end on that. */
enum metrics_gauge {
        METRICS_CONNECTIONS,     /* detritus_connections */
        METRICS_REQUESTS,        /* detritus_requests_in_flight: streams that a handler holds */
        METRICS_BODY_BYTES,      /* detritus_body_bytes: request bytes buffered in memory */
        METRICS_UPLOADS,         /* detritus_uploads_in_flight */
        METRICS_TEMPORARY_FILES, /* detritus_temporary_files: blobs being received */
        METRICS_LOG_QUEUE,       /* detritus_writer_queue_depth: log batches waiting */
        METRICS_INDEX_QUEUE,     /* detritus_index_queue_depth */
        METRICS_VERIFIER_QUEUE,  /* detritus_verifier_queue_depth */
        METRICS_LOG_FILES_OPEN,  /* detritus_log_files_open (may stay above zero: the descriptor cache) */
        METRICS_READY,           /* detritus_ready: 1 while every store takes writes */
        METRICS_JANITOR_LAST_LOGS_DELETED,
        METRICS_JANITOR_LAST_INDEXES_DELETED,
        METRICS_JANITOR_LAST_BLOBS_DELETED,
        METRICS_DISK_FREE_BYTES, /* detritus_disk_free_bytes: at the last look, as are the next ones */
        METRICS_DISK_SIZE_BYTES,
        METRICS_DISK_IN_FLIGHT_BYTES,    /* detritus_disk_reserved_in_flight_bytes: promised, not written yet */
        METRICS_DISK_REFUSING_UPLOADS,   /* detritus_disk_refusing{kind="uploads"}: 0 or 1 */
        METRICS_DISK_REFUSING_LOGS,      /* {kind="logs"} */
        METRICS_DISK_FORECAST_MILLIDAYS, /* detritus_disk_forecast_days, in thousandths */
        METRICS_INDEX_WAL_BYTES,         /* detritus_index_wal_bytes */
        METRICS_TROUBLES, /* detritus_trouble: 0 or 1, one for each kind of util/troubles.h, in its order */
        METRICS_TROUBLES_LAST = METRICS_TROUBLES + TROUBLE_KIND_MAX_ - 1,
        METRICS_GAUGE_MAX_
};

enum metrics_counter {
        METRICS_DEDUP_HITS,          /* detritus_dedup_hits_total */
        METRICS_JANITOR_CYCLES,      /* detritus_janitor_cycles_total */
        METRICS_JANITOR_BLOBS_FREED, /* detritus_janitor_blobs_freed_total */
        METRICS_JANITOR_BYTES_FREED, /* detritus_janitor_bytes_freed_total */
        METRICS_VALIDATION_FAILURES_LOGS,
        METRICS_VALIDATION_FAILURES_CRASHES,
        METRICS_LOG_RECORDS,           /* detritus_log_records_total: records made durable */
        METRICS_LOG_RECORDS_REJECTED,  /* detritus_log_records_rejected_total: left out of exports answered OK */
        METRICS_LOG_COMMITS,           /* detritus_log_commits_total: group commits */
        METRICS_LOG_CHECKPOINTS,       /* detritus_log_checkpoints_total */
        METRICS_LOG_SYNCED_DIRECTLY,   /* detritus_log_direct_syncs_total: commits that went round the journal */
        METRICS_INDEX_COMMITS,         /* detritus_index_commits_total: SQLite transactions of reports */
        METRICS_VERIFICATIONS,         /* detritus_verifications_total: Argon2 computations */
        METRICS_DISK_REFUSALS_UPLOADS, /* detritus_disk_refusals_total{kind="uploads"} */
        METRICS_DISK_REFUSALS_LOGS,    /* {kind="logs"} */
        METRICS_CONNECTIONS_ACCEPTED,  /* detritus_connections_accepted_total */
        METRICS_COUNTER_MAX_
};

struct metrics;

struct metrics *metrics_new(void); /* NULL on ENOMEM */
struct metrics *metrics_free(struct metrics *m);

/* The calling thread counts with every request: it gets a block of counters, which it shares with few others. */
void metrics_thread_counts_much(void);

void metrics_count(struct metrics *m, enum metrics_counter c, uint64_t n);
void metrics_gauge_add(struct metrics *m, enum metrics_gauge g, int64_t n); /* n may be negative */
void metrics_gauge_set(struct metrics *m, enum metrics_gauge g, int64_t value);
int64_t metrics_gauge_get(const struct metrics *m, enum metrics_gauge g);

uint64_t metrics_counter_get(const struct metrics *m, enum metrics_counter c);

/* One finished request. status is 100..599; statuses outside the set we answer with are counted as 500. */
void metrics_request(struct metrics *m, enum metrics_endpoint e, int status, uint64_t duration_ns);
uint64_t metrics_requests_get(const struct metrics *m, enum metrics_endpoint e, int status);
void metrics_bytes(struct metrics *m, enum metrics_endpoint e, uint64_t n); /* detritus_bytes_ingested_total */
uint64_t metrics_bytes_get(const struct metrics *m, enum metrics_endpoint e);
/* detritus_janitor_cycle_duration_seconds; METRICS_JANITOR_CYCLES is counted apart. */
void metrics_janitor_cycle(struct metrics *m, int ok, uint64_t duration_ns);

/* The whole exposition, ending in "# EOF\n". 0 or -ENOMEM. */
int metrics_render(const struct metrics *m, struct buf *out);
