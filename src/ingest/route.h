#pragma once
/* From a request's path to the use case that serves it. */

#include "http/request.h"

/* The handler of http/connection.h. ingest_loop is the thread's struct ingest_loop. */
void route_begin(void *ingest_loop, struct http_request *r);
