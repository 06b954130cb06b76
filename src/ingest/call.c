/* How every request starts, waits and ends, whatever it is about: counted while it lives, timed, logged when it is
 * refused, answered in JSON or in gRPC trailers from the one table of outcomes (protocol/answer.h). */

#include "ingest/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/grpc.h"
#include "protocol/json/json_text.h"
#include "util/clock.h"
#include "util/log.h"

void call_start(struct call *c, struct ingest_loop *in, struct http_request *r, const struct http_request_ops *ops,
                enum metrics_endpoint endpoint, bool grpc, void (*release)(struct call *c))
{
        c->request = r;
        c->in = in;
        c->endpoint = endpoint;
        c->grpc = grpc;
        c->release = release;
        r->ops = ops;
        r->state = c;
        metrics_gauge_add(in->ingest->metrics, METRICS_REQUESTS, 1);
}

void call_done(struct call *c)
{
        principal_done(&c->principal);
        principal_done(&c->verification.principal); /* verified after the client had gone */
        metrics_gauge_add(c->in->ingest->metrics, METRICS_REQUESTS, -1);
}

void call_on_close(struct http_request *r)
{
        struct call *c = r->state;
        c->request = NULL;
        if (!c->parked)
                c->release(c);
}

void call_on_timeout(struct http_request *r)
{
        struct refusal refusal = { 0 };
        refuse(&refusal, ANSWER_TIMEOUT, "the request body came too slowly");
        call_refuse(r->state, &refusal);
}

void call_resume(struct call *c)
{
        c->parked = false;
        if (c->request)
                c->resumed(c);
        else
                c->release(c);
}

static void on_wake(struct loop_task *task)
{
        call_resume(container_of(task, struct call, wake));
}

void call_park(struct call *c, void (*resumed)(struct call *c))
{
        c->parked = true;
        c->resumed = resumed;
        c->wake.run = on_wake;
}

void call_wake(struct call *c)
{
        loop_post(c->in->loop, &c->wake);
}

int call_check_version(const struct call *c, bool required, struct refusal *r)
{
        const char *version = http_request_field(c->request, "x-protocol-version");
        if (!version)
                return required ? refuse(r, ANSWER_VERSION, "missing x-protocol-version") : 0;
        size_t digits = strspn(version, "0123456789");
        if (digits == 0 || digits > 10 || version[digits])
                return refuse(r, ANSWER_VERSION, "x-protocol-version is not a number");
        unsigned long long n = strtoull(version, NULL, 10);
        return n == 1 ? 0 : refuse(r, ANSWER_VERSION, "protocol version %llu does not match 1", n);
}

int call_check_grpc(const struct http_request *request, struct refusal *r)
{
        const char *type = http_request_field(request, "content-type");
        if (strcmp(request->method, "POST") != 0) {
                r->allow = "POST";
                return refuse(r, ANSWER_METHOD, "%s is not allowed here; use POST", request->method);
        }
        if (!type || (strcmp(type, "application/grpc") != 0 && strcmp(type, "application/grpc+proto") != 0))
                return refuse(r, ANSWER_MEDIA_TYPE, "content-type is not application/grpc");
        if (request->version != 20)
                return refuse(r, ANSWER_MEDIA_TYPE, "gRPC needs HTTP/2");
        return 0;
}

static void count(struct call *c, int status)
{
        metrics_request(c->in->ingest->metrics, c->endpoint, status, clock_monotonic_ns() - c->request->started_ns);
}

static const char *endpoint_name(enum metrics_endpoint e)
{
        static const char *const names[METRICS_ENDPOINT_MAX_] = {
                [METRICS_LOGS] = "logs",       [METRICS_CRASHES] = "crashes", [METRICS_METRICS] = "metrics",
                [METRICS_HEALTHZ] = "healthz", [METRICS_OTHER] = "other",
        };
        return names[e];
}

static void log_refusal(const struct call *c, const struct refusal *r, int status)
{
        log_info("request refused", LOG_STR("request_id", c->request->id), LOG_STR("peer", c->request->peer),
                 LOG_STR("endpoint", endpoint_name(c->endpoint)), LOG_INT("status", status),
                 LOG_STR("token", c->principal.token ? c->principal.token->id : ""), LOG_STR("source", c->source),
                 LOG_STR("reason", r->message));
}

static void respond_json_error(struct call *c, const struct refusal *r)
{
        int status = answer_http_status(r->answer);
        _cleanup_(buf_done) struct buf body = { 0 };
        struct json_text text = { .buf = &body, .end_max = SIZE_MAX };
        json_text_literal(&text, "{\"error\":{\"code\":");
        json_text_i64(&text, status);
        json_text_literal(&text, ",\"message\":");
        json_text_string(&text, r->message, strlen(r->message));
        json_text_literal(&text, "}}");

        struct http_field fields[3] = { { "content-type", "application/json" } };
        size_t n = 1;
        char retry[16];
        if (answer_is_retryable(r->answer) && r->retry_after_ms > 0) {
                snprintf(retry, sizeof(retry), "%u", (r->retry_after_ms + 999) / 1000);
                fields[n++] = (struct http_field){ "retry-after", retry };
        }
        if (r->answer == ANSWER_UNAUTHENTICATED)
                fields[n++] = (struct http_field){ "www-authenticate", "Bearer" };
        if (r->answer == ANSWER_METHOD && r->allow)
                fields[n++] = (struct http_field){ "allow", r->allow };
        http_respond(c->request, &(struct http_response){ .status = status,
                                                          .fields = fields,
                                                          .n_fields = n,
                                                          .body = body.data,
                                                          .body_len = text.error ? 0 : body.len,
                                                          .may_compress = true });
}

/* Trailers-only: everything is in the one HEADERS frame (gRPC "PROTOCOL-HTTP2", Responses). */
static void respond_grpc_error(struct call *c, const struct refusal *r)
{
        _cleanup_(buf_done) struct buf message = { 0 }, details = { 0 };
        char code[12];
        struct http_field fields[5] = { { "content-type", "application/grpc" } };
        size_t n = 1;

        snprintf(code, sizeof(code), "%d", answer_grpc_code(r->answer));
        fields[n++] = (struct http_field){ "grpc-status", code };
        if (grpc_encode_message(r->message, &message) == 0 && buf_append_char(&message, '\0') == 0)
                fields[n++] = (struct http_field){ "grpc-message", (char *)message.data };
        if (answer_is_retryable(r->answer) && r->retry_after_ms > 0 && grpc_encode_details(r, &details) == 0 &&
            buf_append_char(&details, '\0') == 0)
                fields[n++] = (struct http_field){ "grpc-status-details-bin", (char *)details.data };
        if (r->answer == ANSWER_MEDIA_TYPE)
                fields[n++] = (struct http_field){ "grpc-accept-encoding", "identity,gzip,zstd" };
        http_respond(c->request,
                     &(struct http_response){ .status = 200, .fields = fields, .n_fields = n, .no_length = true });
}

void call_refuse(struct call *c, const struct refusal *r)
{
        int status = c->grpc ? answer_metric_status(r->answer) : answer_http_status(r->answer);
        count(c, status);
        log_refusal(c, r, status);
        if (c->grpc)
                respond_grpc_error(c, r);
        else
                respond_json_error(c, r);
}

/* What may be over when the client comes again, in words for it; NULL: a bug of ours. A client throws away what is
 * refused for any other reason. */
static const char *passing_trouble(int error)
{
        switch (-error) {
        case ENOMEM: return "out of memory";
        case ENOSPC:
        case EDQUOT: return "no space left on the server's disk";
        case EMFILE:
        case ENFILE: return "too many files are open";
        case EBUSY: return "the store is busy";
        case EIO: return "the server's disk failed";
        case EROFS: return "the store does not take writes";
        default: return NULL;
        }
}

void call_fail(struct call *c, int error, const char *what)
{
        struct refusal refusal = { 0 };
        const char *trouble = passing_trouble(error);
        log_error("request failed", LOG_STR("request_id", c->request->id), LOG_STR("what", what),
                  LOG_STR("error", strerror(-error)));
        if (error == -ENOSPC || error == -EDQUOT)
                space_saw_full(store_space(c->in->ingest->store));
        if (trouble) {
                refusal.retry_after_ms = 5000;
                refuse(&refusal, ANSWER_UNAVAILABLE, "%s: %s", what, trouble);
        } else {
                refuse(&refusal, ANSWER_INTERNAL, "%s: internal error", what);
        }
        call_refuse(c, &refusal);
}

void call_refuse_unborn(struct ingest_loop *in, struct http_request *request, enum metrics_endpoint endpoint)
{
        static const char body[] = "{\"error\":{\"code\":503,\"message\":\"out of memory\"}}";
        static const struct http_field fields[] = { { "content-type", "application/json" }, { "retry-after", "5" } };
        log_error("request refused", LOG_STR("request_id", request->id), LOG_STR("reason", "out of memory"));
        metrics_request(in->ingest->metrics, endpoint, 503, 0);
        http_respond(request, &(struct http_response){ .status = 503,
                                                       .fields = fields,
                                                       .n_fields = ARRAY_LEN(fields),
                                                       .body = body,
                                                       .body_len = sizeof(body) - 1 });
}

void call_answer(struct call *c, const struct http_response *response)
{
        count(c, response->status);
        http_respond(c->request, response);
}

void call_answer_json(struct call *c, int status, const void *body, size_t len)
{
        const struct http_field type = { "content-type", "application/json" };
        call_answer(c, &(struct http_response){
                               .status = status, .fields = &type, .n_fields = 1, .body = body, .body_len = len });
}

void call_answer_grpc(struct call *c, const void *message, size_t len)
{
        static const struct http_field fields[] = { { "content-type", "application/grpc" },
                                                    { "grpc-accept-encoding", "identity,gzip,zstd" } };
        static const struct http_field trailer = { "grpc-status", "0" };
        uint8_t frame[GRPC_PREFIX_SIZE + 64];
        if (len > sizeof(frame) - GRPC_PREFIX_SIZE)
                return call_fail(c, -EMSGSIZE, "answer");
        grpc_write_prefix(frame, (uint32_t)len);
        if (len > 0)
                memcpy(frame + GRPC_PREFIX_SIZE, message, len);
        count(c, 200);
        http_respond(c->request, &(struct http_response){ .status = 200,
                                                          .fields = fields,
                                                          .n_fields = ARRAY_LEN(fields),
                                                          .body = frame,
                                                          .body_len = GRPC_PREFIX_SIZE + len,
                                                          .trailers = &trailer,
                                                          .n_trailers = 1,
                                                          .no_length = true });
}
