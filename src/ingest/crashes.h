#pragma once
/* Crash uploads: POST /v1/crashes. Loop's thread. */

#include "http/request.h"
#include "ingest/ingest.h"

void crashes_begin(struct ingest_loop *l, struct http_request *r); /* takes the request over */
