/* /healthz, /metrics and the gRPC health check, which need no token. */

#include "ingest/operators.h"

#include <string.h>

#include "ingest/call.h"

static void release(struct call *c)
{
        call_done(c);
        free(c);
}

static struct call *start(struct ingest_loop *l, struct http_request *r, const struct call_type *type,
                          const struct reply *reply)
{
        struct call *c = calloc(1, sizeof(*c));
        if (c)
                call_start(c, l, r, type, reply);
        else
                call_refuse_unborn(l, r, type->endpoint);
        return c;
}

/* GET or HEAD (RFC 9110 §9.3.2); else the call is refused. */
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

/* 0 while the daemon takes data of at least one kind, else an answer that says why not. */
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
        static const struct call_type type = { METRICS_HEALTHZ, { .close = call_on_close }, release };
        struct call *c = start(l, r, &type, &reply_json);
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
        static const struct call_type type = { METRICS_METRICS, { .close = call_on_close }, release };
        static const struct http_field text_type = { "content-type",
                                                     "application/openmetrics-text; version=1.0.0; charset=utf-8" };
        _cleanup_(buf_done) struct buf text = { 0 };
        struct call *c = start(l, r, &type, &reply_json);
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
                                                .fields = &text_type,
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

void operators_grpc_health(struct ingest_loop *l, struct http_request *r)
{
        static const struct call_type grpc = {
                METRICS_OTHER,
                { .data = drop, .end = answer_health, .timeout = call_on_timeout, .close = call_on_close },
                release,
        };
        static const struct call_type not_grpc = { METRICS_OTHER, { .close = call_on_close }, release };
        struct refusal refusal = { 0 };
        bool is_grpc = call_check_grpc(r, &refusal) == 0;
        struct call *c = is_grpc ? start(l, r, &grpc, &reply_grpc) : start(l, r, &not_grpc, &reply_json);
        if (!c)
                return;
        if (is_grpc)
                http_request_accept_body(r, 0);
        else
                call_refuse(c, &refusal);
}
