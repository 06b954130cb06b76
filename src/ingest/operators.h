#pragma once
/* Requests of the people who run the daemon. They need no token. Each function takes its request over. Loop's
 * thread. */

#include "http/request.h"
#include "ingest/ingest.h"

void operators_health(struct ingest_loop *l, struct http_request *r);      /* /healthz */
void operators_metrics(struct ingest_loop *l, struct http_request *r);     /* /metrics */
void operators_grpc_health(struct ingest_loop *l, struct http_request *r); /* grpc.health.v1.Health/Check */
