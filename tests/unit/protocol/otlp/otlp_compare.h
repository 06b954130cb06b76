#pragma once
/* The log path and its oracle side by side. Out of memory ends the test. */

#include "protocol/otlp/otlp.h"

struct otlp_compare_counts {
        unsigned requests, resources, lines;
        unsigned sources;             /* named by both */
        unsigned sources_refused;     /* an attribute is missing or cannot name a source */
        unsigned long_lines, outputs; /* refused for the length of one line; of all lines */
        unsigned scratches;           /* refused for the members of objects being rendered */
};

/* Splits, names and renders product, and compares each step, byte for byte, with what the oracle makes of bytes. Both
 * have passed otlp_scan(). They are the same bytes, except where a test checks that a difference is found. NULL when
 * the two sides agree, else what differs, in a static buffer. Adds to *counts. */
const char *otlp_compare(struct otlp_span bytes, struct otlp_span product, const struct otlp_limits *limits,
                         struct otlp_compare_counts *counts);
