#pragma once
/* What the use cases work with: one `struct ingest` for the server, one `struct ingest_loop` for each network
 * thread. */

#include <stdatomic.h>

#include "auth/rate_limit.h"
#include "auth/token_use.h"
#include "auth/verifier.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "net/loop.h"
#include "storage/store/store.h"
#include "util/slots.h"
#include "util/thread_owner.h"

/* Shared by all loops. Everything is borrowed from the server, and any thread may use it. */
struct ingest {
        const struct config *config;
        struct metrics *metrics;
        struct store *store;
        struct troubles *troubles; /* the store's */
        struct verifier *verifier;
        struct token_use *token_use;
        struct rate_limit *rate_limit;
        struct slots *uploads;           /* in all, and by source */
        atomic_uint_fast64_t body_bytes; /* of log requests in memory; at most limits.inflight_body_bytes */
};

/* One network thread's. What a use case keeps from request to request is its own, opaque struct. */
struct ingest_loop {
        struct ingest *ingest;
        struct loop *loop;
        struct thread_owner thread; /* runs everything in ingest/, except what says otherwise */
        struct gate_loop *gate;
        struct log_export_loop *log_export;
        struct log_handover_loop *log_handover;
        struct logs_loop *logs;
};

/* ingest and loop are borrowed. 0 or -ENOMEM. */
int ingest_loop_init(struct ingest_loop *l, struct ingest *ingest, struct loop *loop);
void ingest_loop_done(struct ingest_loop *l); /* also after a failed init */
