#pragma once
/* What a run has shown, as one line for people or as one JSON object. */

#include <stdio.h>

#include "load.h"

struct report {
        const struct load_options *options;
        const struct load_counts *counts; /* of all threads */
        uint64_t requests;                /* begun, the warm-up's included */
        double seconds;                   /* measured, until the last answer */
        double cpu_seconds;               /* ours, user and system, over the same time */
        uint64_t body_bytes;              /* of each request */
};

void report_print(const struct report *r, FILE *to);
