/* Values below 128 have a bucket each; above, a value's bucket is its exponent and the 7 bits behind the leading
 * one. */
#include "histogram.h"

static unsigned bucket_of(uint64_t value)
{
        if (value < HISTOGRAM_STEPS)
                return (unsigned)value;
        unsigned shift = (unsigned)(63 - __builtin_clzll(value)) - 7;
        return (shift + 1) * HISTOGRAM_STEPS + (unsigned)((value >> shift) & (HISTOGRAM_STEPS - 1));
}

static uint64_t highest_in(unsigned bucket)
{
        if (bucket < HISTOGRAM_STEPS)
                return bucket;
        unsigned shift = bucket / HISTOGRAM_STEPS - 1;
        return ((uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
        h->count++;
        h->buckets[bucket_of(value)]++;
        if (value > h->max)
                h->max = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
        into->count += from->count;
        if (from->max > into->max)
                into->max = from->max;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                into->buckets[i] += from->buckets[i];
}

uint64_t histogram_at(const struct histogram *h, unsigned per_million)
{
        uint64_t rank = (uint64_t)((unsigned __int128)h->count * per_million / 1000000), seen = 0;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += h->buckets[i];
                if (seen > 0 && seen >= rank)
                        return highest_in(i) < h->max ? highest_in(i) : h->max;
        }
        return h->max;
}
