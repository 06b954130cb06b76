#include "load.h"

#include <stdio.h>

void load_counts_merge(struct load_counts *into, const struct load_counts *from)
{
        histogram_merge(&into->latency_ns, &from->latency_ns);
        into->ok_total += from->ok_total;
        into->last_ns = from->last_ns > into->last_ns ? from->last_ns : into->last_ns;
        into->failed_total += from->failed_total;
        for (unsigned i = 0; i < LOAD_HTTP_MAX; i++)
                into->by_http[i] += from->by_http[i];
        for (unsigned i = 0; i < LOAD_GRPC_MAX; i++)
                into->by_grpc[i] += from->by_grpc[i];
        into->reset += from->reset;
        into->cut += from->cut;
        into->connections_opened += from->connections_opened;
        into->connections_failed += from->connections_failed;
        if (into->first_error[0] == '\0')
                snprintf(into->first_error, sizeof(into->first_error), "%s", from->first_error);
}

/* The finaliser of MurmurHash3. */
uint64_t load_mix(uint64_t n)
{
        n = (n ^ (n >> 33)) * 0xff51afd7ed558ccdULL;
        n = (n ^ (n >> 33)) * 0xc4ceb9fe1a85ec53ULL;
        return n ^ (n >> 33);
}

uint64_t load_source(const struct load_options *o, uint64_t request)
{
        return (o->random ? load_mix(request) : request) % o->sources;
}
