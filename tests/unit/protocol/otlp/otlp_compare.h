#pragma once
/* The log path and its oracle side by side. Out of memory ends the test. */

#include "protocol/otlp/otlp.h"

struct otlp_compare_counts {
        unsigned requests, resources, lines;
        unsigned sources;             /* that could be told */
        unsigned sources_refused;     /* for want of an attribute, or with one that cannot be */
        unsigned long_lines, outputs; /* refused for the length of a line; of all lines */
        unsigned scratches;           /* refused for the members under way */
};

/* Splits, names and renders product, and compares each step with what the oracle says of bytes, byte for byte. Both
 * have passed otlp_scan(), and are the same but where a test wants to see that a difference is found. NULL when they
 * agree, else what does not, in a buffer of this function's. counts grow. */
const char *otlp_compare(struct otlp_span bytes, struct otlp_span product, const struct otlp_limits *limits,
                         struct otlp_compare_counts *counts);
