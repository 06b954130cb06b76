/* Log exports over gRPC: authenticate, gather one message, inflate it, prepare the batch (log_export.h), hand it over
 * (log_handover.h), answer. The answer is OK only once the lines are durable.
 *
 * A failure at any step refuses the whole request, and nothing of it is kept. Records that are wrong by themselves
 * are no failure: the answer counts them. */

#include "ingest/logs.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ingest/log_handover.h"
#include "protocol/grpc.h"
#include "protocol/inflate.h"
#include "util/clock.h"

#define SPARE_CALLS_MAX 256                      /* most spare calls that a loop keeps for the next requests */
#define SPARE_CALL_BYTES ((size_t)16384)         /* and only with buffers up to that size */
#define SCRATCH_KEPT_BYTES ((size_t)1024 * 1024) /* a larger scratch buffer is freed after the request */

enum log_call_state {
        LOG_CALL_AT_GATE,       /* the token is not known yet; bytes of the body are kept */
        LOG_CALL_AT_GATE_ENDED, /* likewise, and the whole body is there */
        LOG_CALL_PREFIX,        /* the body comes; the length of the message is not known yet */
        LOG_CALL_MESSAGE,       /* the body comes, and the length is known */
        LOG_CALL_WHOLE,         /* the whole body is there */
};

struct log_call {
        struct log_export export;
        enum log_call_state state;
        struct log_call *next_spare;
        uint64_t deadline_ns; /* from grpc-timeout; 0: none */
        enum encoding encoding;
        struct buf body;
        uint64_t counted_bytes; /* what ingest->body_bytes counts for this body */
};

struct logs_loop {
        struct log_call *spare; /* calls that have ended, kept for their memory */
        unsigned n_spare;
        struct buf inflated;
};

static struct log_call *log_call_of(struct call *c)
{
        return container_of(c, struct log_call, export.call);
}

/* The moves that are allowed. release() may come in any state. */
static void move_to(struct log_call *l, enum log_call_state next)
{
        static const unsigned allowed[] = {
                [LOG_CALL_AT_GATE] = 1u << LOG_CALL_AT_GATE_ENDED | 1u << LOG_CALL_PREFIX,
                [LOG_CALL_AT_GATE_ENDED] = 1u << LOG_CALL_WHOLE,
                [LOG_CALL_PREFIX] = 1u << LOG_CALL_MESSAGE | 1u << LOG_CALL_WHOLE,
                [LOG_CALL_MESSAGE] = 1u << LOG_CALL_WHOLE,
                [LOG_CALL_WHOLE] = 0,
        };
        assert(allowed[l->state] & 1u << next);
        l->state = next;
}

static bool at_gate(const struct log_call *l)
{
        return l->state == LOG_CALL_AT_GATE || l->state == LOG_CALL_AT_GATE_ENDED;
}

/* ---- life ---- */

static void log_call_free(struct log_call *l)
{
        buf_done(&l->body);
        log_export_buffers_done(&l->export);
        free(l);
}

/* So that small requests need no memory from the heap: they use that of earlier ones. */
static void keep_for_later(struct logs_loop *loop, struct log_call *l)
{
        if (loop->n_spare == SPARE_CALLS_MAX || l->body.cap + log_export_buffers_cap(&l->export) > SPARE_CALL_BYTES) {
                log_call_free(l);
                return;
        }
        l->next_spare = loop->spare;
        loop->spare = l;
        loop->n_spare++;
}

/* A large body is freed before the wait for the disk. */
static void drop_body(struct log_call *l)
{
        struct ingest *ingest = l->export.call.in->ingest;
        atomic_fetch_sub(&ingest->body_bytes, l->counted_bytes);
        metrics_gauge_add(ingest->metrics, METRICS_BODY_BYTES, -(int64_t)l->counted_bytes);
        l->counted_bytes = 0;
        buf_clear(&l->body);
        if (l->body.cap > SPARE_CALL_BYTES)
                buf_done(&l->body);
}

static void release(struct call *c)
{
        struct log_call *l = log_call_of(c);
        drop_body(l);
        log_export_done(&l->export);
        keep_for_later(c->in->logs, l);
}

/* One with the buffers of an earlier request, or a new one. NULL on ENOMEM. */
static struct log_call *log_call_new(struct logs_loop *loop)
{
        struct log_call *l = loop->spare;
        if (!l)
                return calloc(1, sizeof(*l));
        loop->spare = l->next_spare;
        loop->n_spare--;
        assert(l->body.len == 0 && l->counted_bytes == 0);
        log_export_reset(&l->export);
        l->state = LOG_CALL_AT_GATE;
        l->deadline_ns = 0;
        return l;
}

struct logs_loop *logs_loop_new(void)
{
        return calloc(1, sizeof(struct logs_loop));
}

struct logs_loop *logs_loop_free(struct logs_loop *loop)
{
        if (!loop)
                return NULL;
        while (loop->spare) {
                struct log_call *l = loop->spare;
                loop->spare = l->next_spare;
                log_call_free(l);
        }
        buf_done(&loop->inflated);
        free(loop);
        return NULL;
}

/* ---- the message ---- */

static void answer(struct call *c)
{
        const struct buf *response = &log_call_of(c)->export.buffers.response;
        call_answer_grpc(c, response->data, response->len);
}

static int decompress(struct log_call *l, const uint8_t *data, size_t len, struct refusal *r)
{
        uint64_t max = call_config(&l->export.call)->logs_max_message_bytes;
        int e = inflate_whole(l->encoding, max, data, len, &l->export.call.in->logs->inflated);
        if (e == INFLATE_CORRUPT)
                return refuse(r, ANSWER_MALFORMED, "the message is not valid %s", encoding_name(l->encoding));
        if (e == INFLATE_TOO_LARGE)
                return refuse(r, ANSWER_TOO_LARGE, "the message is over %llu bytes after decompression",
                              (unsigned long long)max);
        return e;
}

static int prepare(struct log_call *l, struct refusal *r)
{
        const struct buf *inflated = &l->export.call.in->logs->inflated;
        const uint8_t *message = l->body.data + GRPC_PREFIX_SIZE;
        size_t len = l->body.len - GRPC_PREFIX_SIZE;
        if (l->deadline_ns && clock_monotonic_ns() >= l->deadline_ns)
                return refuse(r, ANSWER_TIMEOUT, "the client's grpc-timeout has passed");
        if (l->body.data[0] == 0)
                return log_export_prepare(&l->export, message, len, r);
        int e = decompress(l, message, len, r);
        return e == 0 ? log_export_prepare(&l->export, inflated->data, inflated->len, r) : e;
}

/* The whole body is there, and it is one frame. */
static void process(struct log_call *l)
{
        struct call *c = &l->export.call;
        struct buf *inflated = &c->in->logs->inflated;
        struct refusal refusal = { 0 };
        assert(l->state == LOG_CALL_WHOLE);
        int r = prepare(l, &refusal);
        if (inflated->cap > SCRATCH_KEPT_BYTES)
                buf_done(inflated);
        drop_body(l);
        if (r > 0)
                call_refuse(c, &refusal);
        else if (r < 0)
                call_fail(c, r, "logs");
        else if (l->export.batch.n_appends == 0)
                answer(c);
        else
                log_handover_submit(&l->export, answer);
}

/* ---- the frame ---- */

/* Are the bytes so far the beginning of one acceptable frame? 0, or an answer in *r. */
static int check_frame(struct log_call *l, struct refusal *r)
{
        uint64_t max = call_config(&l->export.call)->logs_max_message_bytes;
        bool compressed, ended = l->state == LOG_CALL_WHOLE;
        uint32_t len;

        if (l->body.len < GRPC_PREFIX_SIZE)
                return ended ? refuse(r, ANSWER_MALFORMED, "the body ends before a gRPC message") : 0;
        if (grpc_read_prefix(l->body.data, &compressed, &len) != 0)
                return refuse(r, ANSWER_MALFORMED, "bad compressed flag in the gRPC frame");
        if (compressed && l->encoding == ENCODING_IDENTITY)
                return refuse(r, ANSWER_MALFORMED, "compressed message without grpc-encoding");
        if (len > max)
                return refuse(r, ANSWER_TOO_LARGE, "a message of %u bytes is over the limit of %llu", len,
                              (unsigned long long)max);
        size_t have = l->body.len - GRPC_PREFIX_SIZE;
        if (have > len)
                return refuse(r, ANSWER_MALFORMED, "bytes after the message of a unary call");
        if (ended && have < len)
                return refuse(r, ANSWER_MALFORMED, "the body ends within the gRPC message: %zu of %u bytes", have, len);
        return 0;
}

/* A message larger than a window comes faster with a larger one. Most messages fit, and need no WINDOW_UPDATE. */
static void widen_window(struct log_call *l)
{
        struct call *c = &l->export.call;
        bool compressed;
        uint32_t len;
        if (l->state == LOG_CALL_MESSAGE || l->body.len < GRPC_PREFIX_SIZE)
                return;
        move_to(l, LOG_CALL_MESSAGE);
        grpc_read_prefix(l->body.data, &compressed, &len);
        if (len > call_config(c)->limits.http2_stream_window / 2)
                http_request_accept_body(c->request, call_config(c)->limits.http2_upload_window);
}

static void go_on(struct log_call *l)
{
        struct refusal refusal = { 0 };
        if (check_frame(l, &refusal) != 0)
                call_refuse(&l->export.call, &refusal);
        else if (l->state == LOG_CALL_WHOLE)
                process(l);
        else
                widen_window(l);
}

/* Counts the bytes. False when all requests together hold too many in memory. */
static bool may_hold(struct log_call *l, size_t len)
{
        struct ingest *ingest = l->export.call.in->ingest;
        uint64_t before = atomic_fetch_add(&ingest->body_bytes, len);
        l->counted_bytes += len;
        metrics_gauge_add(ingest->metrics, METRICS_BODY_BYTES, (int64_t)len);
        return before + len <= call_config(&l->export.call)->limits.inflight_body_bytes;
}

static void on_data(struct http_request *r, const uint8_t *data, size_t len)
{
        struct log_call *l = log_call_of(r->state);
        struct refusal refusal = { .retry_after_ms = 1000 };
        if (!may_hold(l, len)) {
                refuse(&refusal, ANSWER_UNAVAILABLE, "too many request bytes in memory");
                call_refuse(&l->export.call, &refusal);
        } else if (buf_append(&l->body, data, len) < 0) {
                call_fail(&l->export.call, -ENOMEM, "logs");
        } else if (!at_gate(l)) {
                http_request_consume(r, len);
                go_on(l);
        }
}

static void on_end(struct http_request *r)
{
        struct log_call *l = log_call_of(r->state);
        if (at_gate(l)) {
                move_to(l, LOG_CALL_AT_GATE_ENDED);
        } else {
                move_to(l, LOG_CALL_WHOLE);
                go_on(l);
        }
}

/* ---- the head ---- */

static int check_head(struct log_call *l, struct refusal *refusal)
{
        const struct http_request *r = l->export.call.request;
        const char *encoding = http_request_field(r, "grpc-encoding"), *timeout = http_request_field(r, "grpc-timeout");
        uint64_t ns;

        int e = call_check_version(&l->export.call, call_config(&l->export.call)->strict_protocol_version, refusal);
        if (e != 0)
                return e;
        l->encoding = encoding ? encoding_from_name(encoding, strlen(encoding)) : ENCODING_IDENTITY;
        if (l->encoding == ENCODING_UNKNOWN)
                return refuse(refusal, ANSWER_MEDIA_TYPE, "grpc-encoding is not one of identity, gzip, zstd, deflate");
        if (timeout) {
                if (grpc_parse_timeout(timeout, strlen(timeout), &ns) != 0)
                        return refuse(refusal, ANSWER_MALFORMED, "bad grpc-timeout");
                l->deadline_ns = r->started_ns + ns < ns ? 0 : r->started_ns + ns;
        }
        return 0;
}

static void begin_body(struct call *c)
{
        struct log_call *l = log_call_of(c);
        struct refusal refusal = { 0 };
        if (check_head(l, &refusal) != 0) {
                call_refuse(c, &refusal);
                return;
        }
        move_to(l, l->state == LOG_CALL_AT_GATE_ENDED ? LOG_CALL_WHOLE : LOG_CALL_PREFIX);
        if (c->request->expects_continue)
                http_request_accept_body(c->request, 0);
        http_request_consume(c->request, c->request->unconsumed);
        go_on(l);
}

static void refuse_head(struct call *c)
{
        struct refusal refusal = { 0 };
        call_check_grpc(c->request, &refusal);
        call_refuse(c, &refusal);
}

void logs_begin(struct ingest_loop *in, struct http_request *r)
{
        static const struct call_type type = {
                METRICS_LOGS,
                { .data = on_data, .end = on_end, .timeout = call_on_timeout, .close = call_on_close },
                release,
        };
        struct refusal refusal = { 0 };
        struct log_call *l = log_call_new(in->logs);
        if (!l) {
                call_refuse_unborn(in, r, METRICS_LOGS);
                return;
        }
        bool is_grpc = call_check_grpc(r, &refusal) == 0;
        call_start(&l->export.call, in, r, &type, is_grpc ? &reply_grpc : &reply_json);
        gate_admit(&l->export.call, is_grpc ? begin_body : refuse_head);
}
