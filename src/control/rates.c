#include "control/rates.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "util/clock.h"

enum { LOG_REQUESTS, LOG_RECORDS, LOG_BYTES, CRASHES, CRASH_BYTES, N_COUNTS };

struct look {
        uint64_t at_ns;
        uint64_t counts[N_COUNTS];
};

struct rates {
        const struct metrics *metrics;
        pthread_mutex_t lock;
        size_t n, next;
        struct look looks[RATES_KEPT];
};

static struct look look_now(const struct metrics *m)
{
        return (struct look){
                .at_ns = clock_monotonic_ns(),
                .counts = { [LOG_REQUESTS] = metrics_requests_get(m, METRICS_LOGS, 200),
                            [LOG_RECORDS] = metrics_counter_get(m, METRICS_LOG_RECORDS),
                            [LOG_BYTES] = metrics_bytes_get(m, METRICS_LOGS),
                            [CRASHES] = metrics_requests_get(m, METRICS_CRASHES, 201),
                            [CRASH_BYTES] = metrics_bytes_get(m, METRICS_CRASHES) },
        };
}

struct rates *rates_new(const struct metrics *metrics)
{
        struct rates *r = calloc(1, sizeof(*r));
        if (!r)
                return NULL;
        r->metrics = metrics;
        pthread_mutex_init(&r->lock, NULL);
        r->looks[0] = look_now(metrics);
        r->n = r->next = 1;
        return r;
}

struct rates *rates_free(struct rates *r)
{
        if (!r)
                return NULL;
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

/* i: 0 is the newest. */
static const struct look *back(const struct rates *r, size_t i)
{
        assert(i < r->n);
        return &r->looks[(r->next + RATES_KEPT - 1 - i) % RATES_KEPT];
}

void rates_look(struct rates *r)
{
        pthread_mutex_lock(&r->lock);
        struct look now = look_now(r->metrics);
        if (now.at_ns - back(r, 0)->at_ns >= RATES_INTERVAL_MS * UINT64_C(1000000)) {
                r->looks[r->next] = now;
                r->next = (r->next + 1) % RATES_KEPT;
                r->n += r->n < RATES_KEPT;
        }
        pthread_mutex_unlock(&r->lock);
}

void rates_since(struct rates *r, unsigned secs, struct rates_sum *ret)
{
        struct look now = look_now(r->metrics);
        pthread_mutex_lock(&r->lock);
        size_t i = 0;
        while (i + 1 < r->n && now.at_ns - back(r, i)->at_ns < secs * UINT64_C(1000000000))
                i++;
        const struct look then = *back(r, i);
        pthread_mutex_unlock(&r->lock);
        *ret = (struct rates_sum){
                .over_ms = (now.at_ns - then.at_ns) / 1000000,
                .log_requests = now.counts[LOG_REQUESTS] - then.counts[LOG_REQUESTS],
                .log_records = now.counts[LOG_RECORDS] - then.counts[LOG_RECORDS],
                .log_bytes = now.counts[LOG_BYTES] - then.counts[LOG_BYTES],
                .crashes = now.counts[CRASHES] - then.counts[CRASHES],
                .crash_bytes = now.counts[CRASH_BYTES] - then.counts[CRASH_BYTES],
        };
}
