/* How every request starts, waits and ends, whatever it is about: counted while it lives, timed, logged when it is
 * refused, and answered in its own way (reply.h). */

#include "ingest/call.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "util/clock.h"
#include "util/files/failure.h"
#include "util/log.h"

/* The moves that are allowed. Nothing follows CALL_CLOSED. */
static void move_to(struct call *c, enum call_state next)
{
        static const unsigned allowed[] = {
                [CALL_OPEN] = 1u << CALL_PARKED | 1u << CALL_CLOSED,
                [CALL_PARKED] = 1u << CALL_OPEN | 1u << CALL_ORPHANED,
                [CALL_ORPHANED] = 1u << CALL_CLOSED,
                [CALL_CLOSED] = 0,
        };
        assert_on_thread(&c->in->thread);
        assert(allowed[c->state] & 1u << next);
        c->state = next;
}

static void close_and_release(struct call *c)
{
        move_to(c, CALL_CLOSED);
        c->type->release(c);
}

static void on_wake(struct loop_task *task)
{
        call_resume(container_of(task, struct call, wake));
}

void call_start(struct call *c, struct ingest_loop *in, struct http_request *r, const struct call_type *type,
                const struct reply *reply)
{
        assert_on_thread(&in->thread);
        assert(!c->request && c->state == CALL_OPEN && c->gate.state == GATE_OUTSIDE);
        assert(type->ops.close == call_on_close);
        c->request = r;
        c->in = in;
        c->type = type;
        c->reply = reply;
        c->wake.run = on_wake;
        r->ops = &type->ops;
        r->state = c;
        metrics_gauge_add(in->ingest->metrics, METRICS_REQUESTS, 1);
}

void call_done(struct call *c)
{
        assert(c->state == CALL_CLOSED);
        gate_visit_done(&c->gate);
        metrics_gauge_add(c->in->ingest->metrics, METRICS_REQUESTS, -1);
}

void call_on_close(struct http_request *r)
{
        struct call *c = r->state;
        assert(c->request == r);
        c->request = NULL;
        if (c->state == CALL_PARKED)
                move_to(c, CALL_ORPHANED);
        else
                close_and_release(c);
}

void call_on_timeout(struct http_request *r)
{
        struct refusal refusal = { 0 };
        refuse(&refusal, ANSWER_TIMEOUT, "the request body came too slowly");
        call_refuse(r->state, &refusal);
}

void call_park(struct call *c, void (*resumed)(struct call *c))
{
        move_to(c, CALL_PARKED);
        c->resumed = resumed;
}

void call_unpark(struct call *c)
{
        move_to(c, CALL_OPEN);
}

void call_resume(struct call *c)
{
        if (c->state == CALL_ORPHANED) {
                close_and_release(c);
                return;
        }
        move_to(c, CALL_OPEN);
        assert(c->request);
        c->resumed(c);
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

/* With any parameters: application/grpc;charset=utf-8. Types are in any case (RFC 9110 §8.3.1). */
static bool is_grpc_type(const char *type)
{
        static const char grpc[] = "application/grpc", proto[] = "+proto";
        if (strncasecmp(type, grpc, sizeof(grpc) - 1) != 0)
                return false;
        type += sizeof(grpc) - 1;
        if (strncasecmp(type, proto, sizeof(proto) - 1) == 0)
                type += sizeof(proto) - 1;
        type += strspn(type, " \t");
        return *type == '\0' || *type == ';';
}

int call_check_grpc(const struct http_request *request, struct refusal *r)
{
        const char *type = http_request_field(request, "content-type");
        if (strcmp(request->method, "POST") != 0) {
                r->allow = "POST";
                return refuse(r, ANSWER_METHOD, "%s is not allowed here; use POST", request->method);
        }
        if (!type || !is_grpc_type(type))
                return refuse(r, ANSWER_MEDIA_TYPE, "content-type is not application/grpc");
        if (request->version != 20)
                return refuse(r, ANSWER_MEDIA_TYPE, "gRPC needs HTTP/2");
        return 0;
}

/* Comes just before the answer: afterwards the call may be gone. */
static void count(struct call *c, int status)
{
        assert_on_thread(&c->in->thread);
        assert(c->state == CALL_OPEN || c->state == CALL_PARKED);
        assert(c->request);
        metrics_request(c->in->ingest->metrics, c->type->endpoint, status,
                        clock_monotonic_ns() - c->request->started_ns);
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
                 LOG_STR("endpoint", endpoint_name(c->type->endpoint)), LOG_INT("status", status),
                 LOG_STR("token", c->gate.state == GATE_INSIDE ? c->gate.principal.token->id : ""),
                 LOG_STR("source", c->source), LOG_STR("reason", r->message));
}

void call_refuse(struct call *c, const struct refusal *r)
{
        assert(r->answer > ANSWER_OK && r->answer < ANSWER_MAX_);
        int status = c->reply->status(r->answer);
        count(c, status);
        log_refusal(c, r, status);
        c->reply->refuse(c->request, r);
}

/* What is on the board of troubles has its line in the log already. */
static void report(const struct call *c, int error, const char *what)
{
        const struct ingest *ingest = c->in->ingest;
        if (failure_is_full(error))
                space_saw_full(store_space(ingest->store));
        if (failure_is_descriptors(error))
                troubles_set(ingest->troubles, TROUBLE_DESCRIPTORS, NULL, "%s", failure_words(error));
        else if (!failure_is_denial(error))
                log_error("request failed", LOG_STR("request_id", c->request->id), LOG_STR("what", what),
                          LOG_STR("error", strerror(-error)));
}

/* Only what is answered as retryable is sent again; the client throws the rest away. An error that is final for the
 * store is not for the request: after a restart it may be taken. */
void call_fail(struct call *c, int error, const char *what)
{
        struct refusal refusal = { 0 };
        assert(error < 0);
        report(c, error, what);
        if (failure_of(FAILURE_NAME, error) == FAILURE_REQUEST) {
                refuse(&refusal, ANSWER_INTERNAL, "%s: internal error", what);
        } else {
                refusal.retry_after_ms = 5000;
                refuse(&refusal, ANSWER_UNAVAILABLE, "%s: %s", what, failure_words(error));
        }
        call_refuse(c, &refusal);
}

void call_refuse_unborn(struct ingest_loop *in, struct http_request *request, enum metrics_endpoint endpoint)
{
        assert_on_thread(&in->thread);
        log_error("request refused", LOG_STR("request_id", request->id), LOG_STR("reason", "out of memory"));
        metrics_request(in->ingest->metrics, endpoint, 503, 0);
        reply_out_of_memory(request);
}

void call_answer(struct call *c, const struct http_response *response)
{
        count(c, response->status);
        http_respond(c->request, response);
}

void call_answer_json(struct call *c, int status, const void *body, size_t len)
{
        count(c, status);
        reply_json_body(c->request, status, body, len);
}

void call_answer_grpc(struct call *c, const void *message, size_t len)
{
        count(c, 200);
        reply_grpc_message(c->request, message, len);
}
