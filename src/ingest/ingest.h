#pragma once
/* What the use cases work with. One `struct ingest` for the server, one `struct ingest_loop` for each network thread. */

#include <stdatomic.h>
#include <stdbool.h>

#include "auth/rate_limit.h"
#include "auth/token_use.h"
#include "auth/verifier.h"
#include "config/config.h"
#include "http/request.h"
#include "ingest/upload_slots.h"
#include "metrics/metrics.h"
#include "net/loop.h"
#include "storage/store/store.h"
#include "util/arena.h"
#include "util/buf.h"

/* Shared by all loops; everything is borrowed from the server and safe for any thread. */
struct ingest {
        const struct config *config;
        struct metrics *metrics;
        struct store *store;
        struct verifier *verifier;
        struct token_use *token_use;
        struct rate_limit *rate_limit;
        struct upload_slots *uploads;
        atomic_uint_fast64_t body_bytes; /* of log requests held in memory, against limits.inflight_body_bytes */
};

/* The gate's: a good token and whose it is. */
struct known_token {
        struct principal principal;
        size_t len;
        char presented[128];
};
#define KNOWN_TOKENS 4

/* A network thread's own: scratch that lives from request to request. */
struct ingest_loop {
        struct ingest *ingest;
        struct loop *loop;
        struct arena *arena;
        struct buf inflated;
        struct buf rendering; /* otlp_render()'s scratch */
        struct log_call *spare_log_calls;
        unsigned n_spare_log_calls;
        struct log_batch *log_batches, **last_log_batch; /* not submitted yet, in order */
        unsigned n_log_batches;
        struct loop_task submit_logs;
        struct known_token known_tokens[KNOWN_TOKENS];
        unsigned next_known_token; /* the one to replace */
};

/* 0 or -ENOMEM. */
int ingest_loop_init(struct ingest_loop *l, struct ingest *ingest, struct loop *loop);
void ingest_loop_done(struct ingest_loop *l);

/* The handler of http/connection.h: finds the use case for a request's path. userdata is a struct ingest_loop. */
void route_begin(void *ingest_loop, struct http_request *r);

/* The use cases. Each takes the request over. */
void logs_begin(struct ingest_loop *l, struct http_request *r);
void logs_init(struct ingest_loop *l);
void logs_drop_spare(struct ingest_loop *l); /* frees what it kept for the next requests */
void gate_forget(struct ingest_loop *l);     /* the known tokens */
void crashes_begin(struct ingest_loop *l, struct http_request *r);
void operators_health(struct ingest_loop *l, struct http_request *r);
void operators_metrics(struct ingest_loop *l, struct http_request *r);
void operators_grpc_health(struct ingest_loop *l, struct http_request *r);
void unknown_begin(struct ingest_loop *l, struct http_request *r);
