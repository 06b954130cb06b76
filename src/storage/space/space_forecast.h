#pragma once
/* How long the disk lasts at the rate at which it fills. Arithmetic alone; the governor's thread. */

#include <stdint.h>

#define SPACE_FORECAST_HOURS 6         /* older growth hardly counts */
#define SPACE_FORECAST_MAX_DAYS 36500u /* for a disk that does not fill up */

/* Zero-initialised: nothing is known. */
struct space_forecast {
        double rate;   /* bytes/s of net growth, weighted */
        double weight; /* 0 to 1: how much of the window has been seen */
        double secs;   /* that have been seen */
        int64_t bytes; /* by which the disk became fuller in them */
};

/* The disk became fuller by that many bytes (below 0: emptier) in that time. */
void space_forecast_note(struct space_forecast *f, int64_t bytes, uint64_t duration_ns);

/* Thousandths of a day until left_bytes of a disk are used up: 0 if none are left, at most SPACE_FORECAST_MAX_DAYS.
 * Also that much before there is enough to go by: an hour, or a hundredth of the disk. */
uint64_t space_forecast_millidays(const struct space_forecast *f, int64_t left_bytes, uint64_t disk_bytes);
