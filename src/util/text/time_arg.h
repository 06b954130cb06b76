#pragma once
/* Moments and durations as people type them after --since, --until and the like. Pure. Thread-safe. */

#include <stdint.h>

#include "util/clock.h"

enum { TIME_ARG_BAD = 1 };

/* "90s", "5m", "2h", "3d", "1w", and several in a row: "1h30m". At most 9999 years.
 * 0 or TIME_ARG_BAD. */
int time_arg_duration(const char *text, int64_t *ret_seconds);

/* RFC 3339 with any offset; a day ("2026-05-19": its beginning, UTC); a duration: that long before now; "now". Never
 * more than a moment can hold: years 0000..9999. 0 or TIME_ARG_BAD. */
int time_arg_moment(const char *text, struct moment now, struct moment *ret);
