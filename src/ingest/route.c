/* Which use case a path belongs to. */

#include <errno.h>
#include <string.h>

#include "ingest/call.h"

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

void route_begin(void *ingest_loop, struct http_request *r)
{
        for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
                if (strcmp(r->path, routes[i].path) == 0) {
                        routes[i].begin(ingest_loop, r);
                        return;
                }
        }
        unknown_begin(ingest_loop, r);
}

int ingest_loop_init(struct ingest_loop *l, struct ingest *ingest, struct loop *loop)
{
        *l = (struct ingest_loop){ .ingest = ingest, .loop = loop };
        logs_init(l);
        l->arena = arena_new(ingest->config->limits.otlp_arena_bytes);
        return l->arena ? 0 : -ENOMEM;
}

void ingest_loop_done(struct ingest_loop *l)
{
        l->arena = arena_free(l->arena);
        buf_done(&l->inflated);
        buf_done(&l->rendering);
        logs_drop_spare(l);
        gate_forget(l);
}

/* ---- a path that nobody serves: still only told to those with a token ---- */

static void release(struct call *c)
{
        call_done(c);
        free(c);
}

static void admitted(struct call *c)
{
        struct refusal refusal = { 0 };
        refuse(&refusal, ANSWER_NOT_FOUND, c->grpc ? "no such gRPC method" : "no such path");
        call_refuse(c, &refusal);
}

void unknown_begin(struct ingest_loop *l, struct http_request *r)
{
        static const struct http_request_ops ops = { .close = call_on_close };
        const char *type = http_request_field(r, "content-type");
        struct call *c = calloc(1, sizeof(*c));
        if (!c) {
                call_refuse_unborn(l, r, METRICS_OTHER);
                return;
        }
        call_start(c, l, r, &ops, METRICS_OTHER, r->version == 20 && type && strncmp(type, "application/grpc", 16) == 0,
                   release);
        gate_enter(c, admitted);
}
