/* For those who run the daemon: /healthz, /metrics and the gRPC health check. No token. */

#include <errno.h>
#include <string.h>

#include "ingest/call.h"

static void release(struct call *c)
{
        call_done(c);
        free(c);
}

static const struct http_request_ops at_once = { .close = call_on_close };

static struct call *start(struct ingest_loop *l, struct http_request *r, const struct http_request_ops *ops,
                          enum metrics_endpoint endpoint, bool grpc)
{
        struct call *c = calloc(1, sizeof(*c));
        if (!c) {
                call_refuse_unborn(l, r, endpoint);
                return NULL;
        }
        call_start(c, l, r, ops, endpoint, grpc, release);
        return c;
}

/* GET, and HEAD as its shadow (RFC 9110 §9.3.2). */
static bool is_get(struct call *c)
{
        struct refusal refusal = { .allow = "GET, HEAD" };
        const char *method = c->request->method;
        if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
                return true;
        refuse(&refusal, ANSWER_METHOD, "%s is not allowed here; use GET", method);
        call_refuse(c, &refusal);
        return false;
}

/* 0 while the daemon does its work, or part of it; else why not. */
static int check_health(const struct ingest *ingest, struct refusal *r)
{
        const char *failure = store_failure(ingest->store);
        if (!failure)
                return space_check_health(store_space(ingest->store), r);
        r->retry_after_ms = 30000;
        return refuse(r, ANSWER_UNAVAILABLE, "%s", failure);
}

void operators_health(struct ingest_loop *l, struct http_request *r)
{
        struct call *c = start(l, r, &at_once, METRICS_HEALTHZ, false);
        if (!c || !is_get(c))
                return;
        struct refusal refusal = { 0 };
        if (check_health(l->ingest, &refusal) != 0) {
                call_refuse(c, &refusal);
                return;
        }
        call_answer(c, &(struct http_response){ .status = 204 });
}

void operators_metrics(struct ingest_loop *l, struct http_request *r)
{
        static const struct http_field type = { "content-type",
                                                "application/openmetrics-text; version=1.0.0; charset=utf-8" };
        _cleanup_(buf_done) struct buf text = { 0 };
        struct call *c = start(l, r, &at_once, METRICS_METRICS, false);
        if (!c || !is_get(c))
                return;
        struct refusal refusal = { 0 };
        metrics_gauge_set(l->ingest->metrics, METRICS_READY, check_health(l->ingest, &refusal) == 0);
        metrics_gauge_set(l->ingest->metrics, METRICS_TEMPORARY_FILES,
                          blob_store_open_writers(store_blobs(l->ingest->store)));
        int e = metrics_render(l->ingest->metrics, &text);
        if (e < 0) {
                call_fail(c, e, "metrics");
                return;
        }
        call_answer(c, &(struct http_response){ .status = 200,
                                                .fields = &type,
                                                .n_fields = 1,
                                                .body = text.data,
                                                .body_len = text.len,
                                                .may_compress = true });
}

/* ---- grpc.health.v1.Health/Check: HealthCheckResponse{status: SERVING = 1 | NOT_SERVING = 2} ---- */

static void drop(struct http_request *r, const uint8_t *data _unused_, size_t len)
{
        http_request_consume(r, len);
}

static void answer_health(struct http_request *r)
{
        struct call *c = r->state;
        struct refusal refusal = { 0 };
        const uint8_t message[] = { 0x08, check_health(c->in->ingest, &refusal) != 0 ? 2 : 1 };
        call_answer_grpc(c, message, sizeof(message));
}

static const struct http_request_ops health_ops = {
        .data = drop,
        .end = answer_health,
        .timeout = call_on_timeout,
        .close = call_on_close,
};

void operators_grpc_health(struct ingest_loop *l, struct http_request *r)
{
        struct refusal refusal = { 0 };
        bool grpc = call_check_grpc(r, &refusal) == 0;
        struct call *c = start(l, r, grpc ? &health_ops : &at_once, METRICS_OTHER, grpc);
        if (!c)
                return;
        if (grpc)
                http_request_accept_body(r, 0);
        else
                call_refuse(c, &refusal);
}
