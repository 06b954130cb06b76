#pragma once
/* What came in over the last minutes: the counters of metrics.h, looked at now and then and kept for a while. A fixed
 * ring. Thread-safe. */

#include "metrics/metrics.h"

#define RATES_INTERVAL_MS 5000
#define RATES_KEPT 61 /* five minutes */

struct rates;

struct rates *rates_new(const struct metrics *metrics); /* borrowed; NULL on ENOMEM */
struct rates *rates_free(struct rates *r);              /* NULL-safe */

/* Looks, when RATES_INTERVAL_MS are over since the last look. */
void rates_look(struct rates *r);

/* What came in within `secs` (more than there is: as far as it goes), from the nearest look to now. */
struct rates_sum {
        uint64_t over_ms; /* so long that really was; 0: nothing is known yet */
        uint64_t log_requests, log_records, log_bytes, crashes, crash_bytes;
};
void rates_since(struct rates *r, unsigned secs, struct rates_sum *ret);
