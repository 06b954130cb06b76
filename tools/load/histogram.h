#pragma once
/* Latencies in a log-linear table: 128 steps to each power of two, so that a value read back is at most 0.8 % too
 * large. Zero-initialised is empty. Not thread-safe. */

#include <stdint.h>

#define HISTOGRAM_STEPS 128
#define HISTOGRAM_BUCKETS (58 * HISTOGRAM_STEPS)

struct histogram {
        uint64_t count, max;
        uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that so many of a million are not above; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, unsigned per_million);
