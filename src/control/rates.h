#pragma once
/* What came in over the last minutes: the counters of metrics.h, read every few seconds and kept in a ring of fixed
 * size. Thread-safe. */

#include "metrics/metrics.h"

#define RATES_INTERVAL_MS 5000
#define RATES_KEPT 61 /* five minutes */

struct rates;

struct rates *rates_new(const struct metrics *metrics); /* borrowed; NULL on ENOMEM */
struct rates *rates_free(struct rates *r);              /* NULL-safe */

/* Reads the counters, if RATES_INTERVAL_MS have passed since the last look. */
void rates_look(struct rates *r);

/* What came in within the last `secs`, from the nearest look to now; over less time when the ring does not reach
 * back. */
struct rates_sum {
        uint64_t over_ms; /* how long it really was; 0: nothing is known yet */
        uint64_t log_requests, log_records, log_bytes, crashes, crash_bytes;
};
void rates_since(struct rates *r, unsigned secs, struct rates_sum *ret);
