#pragma once
/* Requests of those who run the daemon. None shows a token. Each function takes the request over. Loop's thread. */

#include "http/request.h"
#include "ingest/ingest.h"

void operators_health(struct ingest_loop *l, struct http_request *r);      /* /healthz */
void operators_metrics(struct ingest_loop *l, struct http_request *r);     /* /metrics */
void operators_grpc_health(struct ingest_loop *l, struct http_request *r); /* grpc.health.v1.Health/Check */
