/* An exponentially weighted mean of net growth. It is divided by the weight of what has been seen, so that a daemon
 * need not run for hours before it can forecast; but at least by the weight of an hour, so that the first seconds after
 * a start are not taken for the usual rate. */
#include "storage/space/space_forecast.h"

#include <stdbool.h>

#define WINDOW_SECS (SPACE_FORECAST_HOURS * 3600.0)
#define FIRST_HOUR (3600.0 / (WINDOW_SECS + 3600.0))
#define MILLIDAYS_PER_SEC (1000.0 / 86400.0)

void space_forecast_note(struct space_forecast *f, int64_t bytes, uint64_t duration_ns)
{
        double secs = (double)duration_ns / 1e9;
        if (secs <= 0)
                return;
        double share = secs / (WINDOW_SECS + secs);
        f->rate += share * ((double)bytes / secs - f->rate);
        f->weight += share * (1 - f->weight);
        f->secs += secs;
        f->bytes += bytes;
}

static bool has_seen_enough(const struct space_forecast *f, uint64_t disk_bytes)
{
        return f->secs >= 3600 || (f->bytes > 0 && (uint64_t)f->bytes >= disk_bytes / 100);
}

uint64_t space_forecast_millidays(const struct space_forecast *f, int64_t left_bytes, uint64_t disk_bytes)
{
        uint64_t never = SPACE_FORECAST_MAX_DAYS * UINT64_C(1000);
        double rate = f->rate / (f->weight > FIRST_HOUR ? f->weight : FIRST_HOUR);
        if (left_bytes <= 0)
                return 0;
        if (rate <= 0 || !has_seen_enough(f, disk_bytes))
                return never;
        double millidays = (double)left_bytes / rate * MILLIDAYS_PER_SEC;
        return millidays < (double)never ? (uint64_t)millidays : never;
}
