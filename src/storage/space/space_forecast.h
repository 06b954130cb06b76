#pragma once
/* How long the disk lasts at the rate at which it fills. Arithmetic alone; the governor's thread. */

#include <stdint.h>

#define SPACE_FORECAST_HOURS 6         /* what is older hardly counts */
#define SPACE_FORECAST_MAX_DAYS 36500u /* what is said of a disk that does not fill */

/* All zero: nothing is known. */
struct space_forecast {
        double rate;   /* bytes/s, weighted; what shrank counts against what grew */
        double weight; /* 0 to 1: how much of the window has been seen */
};

/* The disk has become fuller by so many bytes (emptier: below 0) within so long. */
void space_forecast_note(struct space_forecast *f, int64_t bytes, uint64_t duration_ns);

/* Thousandths of a day until left_bytes are used up: 0 when there are none, at most SPACE_FORECAST_MAX_DAYS. */
uint64_t space_forecast_millidays(const struct space_forecast *f, int64_t left_bytes);
