/* /healthz, /metrics and the gRPC health check, which need no token. */

#include "ingest/operators.h"

#include <string.h>

#include "ingest/call.h"
#include "storage/store/health.h"

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

/* "?detail" asks for everything that is wrong, also what stops nothing. */
static bool wants_detail(const struct http_request *r)
{
        for (const char *p = r->query; p; p = strchr(p, '&')) {
                p += *p == '&';
                if (strncmp(p, "detail", 6) == 0 && strchr("&=", p[6]))
                        return true;
        }
        return false;
}

static void answer_detail(struct call *c, const struct health *health)
{
        _cleanup_(buf_done) struct buf body = { 0 };
        struct json_write w = json_write_to(&body);
        json_write_object(&w, NULL);
        health_write(health, &w);
        json_write_end(&w);
        int r = json_write_finish(&w);
        if (r < 0)
                call_fail(c, r, "healthz");
        else
                call_answer_json(c, health->refusal.answer == ANSWER_OK ? 200 : 503, body.data, body.len);
}

void operators_health(struct ingest_loop *l, struct http_request *r)
{
        static const struct call_type type = { METRICS_HEALTHZ, { .close = call_on_close }, release };
        struct health health;
        struct call *c = start(l, r, &type, &reply_json);
        if (!c || !is_get(c))
                return;
        health_look(l->ingest->store, &health);
        if (wants_detail(r))
                answer_detail(c, &health);
        else if (health.refusal.answer != ANSWER_OK)
                call_refuse(c, &health.refusal);
        else
                call_answer(c, &(struct http_response){ .status = 204 });
}

static void set_gauges(struct ingest *ingest)
{
        struct health health;
        bool there[TROUBLE_KIND_MAX_] = { false };
        health_look(ingest->store, &health);
        for (size_t i = 0; i < health.n_troubles; i++)
                there[health.troubles[i].kind] = true;
        for (unsigned k = 0; k < TROUBLE_KIND_MAX_; k++)
                metrics_gauge_set(ingest->metrics, METRICS_TROUBLES + k, there[k]);
        metrics_gauge_set(ingest->metrics, METRICS_READY, health.refusal.answer == ANSWER_OK);
        metrics_gauge_set(ingest->metrics, METRICS_TEMPORARY_FILES,
                          blob_store_open_writers(store_blobs(ingest->store)));
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
        set_gauges(l->ingest);
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
        struct health health;
        health_look(c->in->ingest->store, &health);
        const uint8_t message[] = { 0x08, health.refusal.answer != ANSWER_OK ? 2 : 1 };
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
