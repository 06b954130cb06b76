#pragma once
/* Log exports over gRPC. Loop's thread. */

#include "http/request.h"
#include "ingest/ingest.h"

/* What a network thread keeps from request to request. */
struct logs_loop;
struct logs_loop *logs_loop_new(void);                 /* NULL on ENOMEM */
struct logs_loop *logs_loop_free(struct logs_loop *l); /* NULL-safe */

void logs_begin(struct ingest_loop *l, struct http_request *r); /* takes the request over */
