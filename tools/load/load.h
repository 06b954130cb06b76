#pragma once
/* One run of load: what was asked for, what the threads share, and what each of them counts. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "histogram.h"

enum load_kind { LOAD_LOGS, LOAD_CRASHES, LOAD_IDLE };

struct load_options {
        struct sockaddr_storage address;
        socklen_t address_len;
        char authority[64];
        const char *token, *project;
        enum load_kind kind;
        uint64_t sources;     /* 1 to LOAD_SOURCES_MAX */
        uint64_t records;     /* in each export */
        uint64_t bytes;       /* of each dump */
        uint64_t connections; /* in all threads together */
        uint64_t streams;     /* requests at once on each of them */
        uint64_t threads;
        uint64_t seconds;  /* how long requests are begun, behind the warm-up; or, if 0, */
        uint64_t requests; /* how many, the warm-up's included */
        uint64_t warm_up;  /* seconds in which nothing is measured */
        uint64_t rate;     /* requests a second in all; 0: each answer begins the next (closed loop) */
        uint64_t first; /* the number of the first request: a second run over the same data goes on behind the first */
        bool random;    /* order of sources; else one after the other */
        bool new_connection; /* for each request */
        bool json;
};

#define LOAD_SOURCES_MAX 1000000 /* install ids have six digits */
#define LOAD_STREAMS_MAX 1000
#define LOAD_CONNECTIONS_MAX 100000
#define LOAD_THREADS_MAX 64
#define LOAD_HTTP_MAX 600
#define LOAD_GRPC_MAX 17
#define LOAD_DRAIN_SECS 30 /* answers that come later than so after the last request are missing */

/* The threads' common state. Times are of clock_monotonic_ns(). */
struct load_run {
        const struct load_options *options;
        _Atomic uint64_t next_request; /* counts on beyond options->requests once they are used up */
        uint64_t start_ns;
        uint64_t measure_ns; /* behind the warm-up */
        uint64_t end_ns;     /* no request is begun from here on; UINT64_MAX: until there are none left */
};

/* What a thread saw. "Measured" are the requests begun, or in an open loop due, from measure_ns on. */
struct load_counts {
        struct histogram latency_ns; /* of the good answers measured */
        uint64_t ok_total;           /* good answers, measured or not */
        uint64_t last_ns;            /* when the newest answer came */
        uint64_t failed_total;
        uint64_t by_http[LOAD_HTTP_MAX]; /* failures, by the status that is not the right one */
        uint64_t by_grpc[LOAD_GRPC_MAX]; /* or by grpc-status */
        uint64_t reset;                  /* streams reset, or ended without a status */
        uint64_t cut;                    /* requests whose connection broke, or that were never answered */
        uint64_t connections_opened;
        uint64_t connections_failed;
        char first_error[128]; /* of the connections that failed */
};

void load_counts_merge(struct load_counts *into, const struct load_counts *from);

/* The source of a request: 0 to sources - 1. */
uint64_t load_source(const struct load_options *o, uint64_t request);
/* A number that looks random; the same for the same input. */
uint64_t load_mix(uint64_t n);
