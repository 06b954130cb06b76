/* Finds the use case for a path. Only a client with a good token learns that nothing serves a path. */

#include "ingest/route.h"

#include <string.h>

#include "ingest/call.h"
#include "ingest/crashes.h"
#include "ingest/logs.h"
#include "ingest/operators.h"

static void release(struct call *c)
{
        call_done(c);
        free(c);
}

static void refuse_path(struct call *c)
{
        struct refusal refusal = { 0 };
        refuse(&refusal, ANSWER_NOT_FOUND, "%s", c->reply->unknown_path);
        call_refuse(c, &refusal);
}

static bool wants_grpc(const struct http_request *r)
{
        const char *type = http_request_field(r, "content-type");
        return r->version == 20 && type && strncasecmp(type, "application/grpc", 16) == 0;
}

static void begin_unknown(struct ingest_loop *l, struct http_request *r)
{
        static const struct call_type type = { METRICS_OTHER, { .close = call_on_close }, release };
        struct call *c = calloc(1, sizeof(*c));
        if (!c) {
                call_refuse_unborn(l, r, METRICS_OTHER);
                return;
        }
        call_start(c, l, r, &type, wants_grpc(r) ? &reply_grpc : &reply_json);
        gate_admit(c, refuse_path);
}

void route_begin(void *ingest_loop, struct http_request *r)
{
        static const struct {
                const char *path;
                void (*begin)(struct ingest_loop *l, struct http_request *r);
        } routes[] = {
                { "/opentelemetry.proto.collector.logs.v1.LogsService/Export", logs_begin },
                { "/v1/crashes", crashes_begin },
                { "/healthz", operators_health },
                { "/metrics", operators_metrics },
                { "/grpc.health.v1.Health/Check", operators_grpc_health },
        };
        for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
                if (strcmp(r->path, routes[i].path) == 0) {
                        routes[i].begin(ingest_loop, r);
                        return;
                }
        }
        begin_unknown(ingest_loop, r);
}
