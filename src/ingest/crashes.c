/* Crash uploads: authenticate, check the head, take the body apart as it streams, admit the report once its metadata is
 * known, store it, and answer 201 when blob, row and mirror are durable.
 *
 * Any failure refuses the upload and deletes the unlinked files that it was written to. When a client leaves after the
 * last byte, its report may be stored all the same; sent again, it is recognised as the same report. */

#include "ingest/crashes.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ingest/call.h"
#include "ingest/crash_upload.h"
#include "protocol/crash/multipart.h"
#include "protocol/crash/multipart_head.h"
#include "protocol/json/json_write.h"
#include "storage/space/denied.h"
#include "util/clock.h"

enum crash_state {
        CRASH_AT_GATE,       /* the token is not known yet; bytes of the body are kept */
        CRASH_AT_GATE_ENDED, /* likewise, and the whole body is there */
        CRASH_METADATA,      /* the body is taken apart; the call has an upload slot */
        CRASH_PARTS,         /* the metadata was admitted; the call also has a slot of its source */
        CRASH_STORING,       /* the index writer has the report */
};

struct crash_call {
        struct call call;
        enum crash_state state;
        struct buf early;         /* body that came before the token was known; at most a window */
        uint64_t announced_bytes; /* the length of all parts; 0: not known */
        uint64_t promised_bytes;  /* disk space for the parts */
        struct crash_upload *upload;
        struct crash_report *report;
};

static struct crash_call *crash_call_of(struct call *c)
{
        return container_of(c, struct crash_call, call);
}

static struct space *space_of(const struct crash_call *u)
{
        return store_space(u->call.in->ingest->store);
}

/* The moves that are allowed. release() may come in any state. */
static void move_to(struct crash_call *u, enum crash_state next)
{
        static const unsigned allowed[] = {
                [CRASH_AT_GATE] = 1u << CRASH_AT_GATE_ENDED | 1u << CRASH_METADATA,
                [CRASH_AT_GATE_ENDED] = 1u << CRASH_METADATA,
                [CRASH_METADATA] = 1u << CRASH_PARTS,
                [CRASH_PARTS] = 1u << CRASH_STORING,
                [CRASH_STORING] = 0,
        };
        assert(allowed[u->state] & 1u << next);
        u->state = next;
}

static bool at_gate(const struct crash_call *u)
{
        return u->state == CRASH_AT_GATE || u->state == CRASH_AT_GATE_ENDED;
}

static void give_slots(struct crash_call *u)
{
        struct ingest *ingest = u->call.in->ingest;
        if (u->state >= CRASH_METADATA) {
                slots_give(ingest->uploads);
                metrics_gauge_add(ingest->metrics, METRICS_UPLOADS, -1);
        }
        if (u->state >= CRASH_PARTS)
                slots_give_key(ingest->uploads, u->call.source, strlen(u->call.source));
}

static void release(struct call *c)
{
        struct crash_call *u = crash_call_of(c);
        give_slots(u);
        space_give_back(space_of(u), &u->promised_bytes);
        crash_upload_free(u->upload);
        crash_report_free(u->report);
        buf_done(&u->early);
        call_done(c);
        free(u);
}

/* ---- after the store ---- */

static void on_stored(struct crash_report *report)
{
        call_wake(report->userdata);
}

static uint64_t report_bytes(const struct crash_report *r)
{
        uint64_t n = blob_writer_len(r->dump.blob);
        for (size_t i = 0; i < r->n_attachments; i++)
                n += blob_writer_len(r->attachments[i].blob);
        return n;
}

static void answer(struct call *c)
{
        struct crash_call *u = crash_call_of(c);
        const struct crash_report *report = u->report;
        _cleanup_(buf_done) struct buf body = { 0 };

        if (report->result < 0) {
                call_fail(c, report->result, "crash store");
                return;
        }
        metrics_bytes(c->in->ingest->metrics, METRICS_CRASHES, report_bytes(report));
        struct json_write w = json_write_to(&body);
        json_write_object(&w, NULL);
        json_write_string(&w, "id", blob_writer_sha256(report->dump.blob));
        json_write_bool(&w, "dedup", report->dedup);
        json_write_end(&w);
        int r = json_write_finish(&w);
        if (r < 0) /* the report is stored; sent again, it is recognised */
                call_fail(c, r, "answer");
        else
                call_answer_json(c, 201, body.data, body.len);
}

static void store(struct crash_call *u)
{
        struct refusal refusal = { .retry_after_ms = 1000 };
        move_to(u, CRASH_STORING);
        u->report->done = on_stored;
        u->report->userdata = &u->call;
        u->report->received_at = clock_now();
        call_park(&u->call, answer);
        int r = index_writer_submit(store_index(u->call.in->ingest->store), u->report);
        if (r == 0)
                return;
        call_unpark(&u->call);
        if (r < 0) {
                call_fail(&u->call, r, "crash store");
        } else {
                refuse(&refusal, ANSWER_UNAVAILABLE,
                       r == WORK_QUEUE_FULL ? "too many reports are waiting for the disk" : "shutting down");
                call_refuse(&u->call, &refusal);
        }
}

/* ---- the body ---- */

/* The metadata is known: may this token write this source now? */
static int admit(void *userdata, const struct crash_metadata *m, struct refusal *r)
{
        struct crash_call *u = userdata;
        struct ingest *ingest = u->call.in->ingest;
        const struct principal *p = &u->call.gate.principal;
        const struct source *source = &m->source;
        unsigned retry_ms = 0;

        assert(u->state == CRASH_METADATA && u->call.gate.state == GATE_INSIDE);
        size_t source_len = source_canonical(source, u->call.source);
        if (!tokens_permit(p->token, source))
                return refuse(r, ANSWER_FORBIDDEN, "token is not permitted to write this source");
        int e = space_promise(space_of(u), SPACE_UPLOADS, u->announced_bytes, &u->promised_bytes, r);
        if (e != 0)
                return e;
        const struct rate_limit_charge charge = {
                .kind = RATE_LIMIT_CRASHES,
                .limits = &p->tokens->rate_limit,
                .token_id = p->token->id,
                .sources = &source,
                .n_sources = 1,
        };
        e = rate_limit_take(ingest->rate_limit, &charge, clock_monotonic_ns(), &retry_ms);
        if (e < 0)
                return e;
        if (e > 0) {
                r->retry_after_ms = retry_ms;
                return refuse(r, ANSWER_RATE_LIMITED, "crash rate limit exceeded");
        }
        if (!slots_take_key(ingest->uploads, u->call.source, source_len)) {
                r->retry_after_ms = 1000;
                return refuse(r, ANSWER_UNAVAILABLE, "too many uploads of this source at once");
        }
        move_to(u, CRASH_PARTS);
        return 0;
}

static void fail(struct crash_call *u, int error)
{
        const struct ingest *ingest = u->call.in->ingest;
        denied_report(ingest->troubles, store_datadir_fd(ingest->store), DENIED_CRASHES, "tmp", error);
        call_fail(&u->call, error, "upload");
}

/* False when r is not 0: the call ended. */
static bool go_on_after(struct crash_call *u, int r, const struct refusal *refusal)
{
        if (r > 0)
                call_refuse(&u->call, refusal);
        else if (r < 0)
                fail(u, r);
        return r == 0;
}

static bool take_body(struct crash_call *u, const uint8_t *data, size_t len)
{
        struct refusal refusal = { 0 };
        return go_on_after(u, crash_upload_write(u->upload, data, len, &refusal), &refusal);
}

static void finish(struct crash_call *u)
{
        struct refusal refusal = { 0 };
        if (!go_on_after(u, crash_upload_finish(u->upload, &u->report, &refusal), &refusal))
                return;
        space_give_back(space_of(u), &u->promised_bytes);
        store(u);
}

static void on_data(struct http_request *r, const uint8_t *data, size_t len)
{
        struct crash_call *u = crash_call_of(r->state);
        if (at_gate(u)) {
                if (buf_append(&u->early, data, len) < 0)
                        call_fail(&u->call, -ENOMEM, "upload");
                return;
        }
        if (take_body(u, data, len))
                http_request_consume(r, len);
}

static void on_end(struct http_request *r)
{
        struct crash_call *u = crash_call_of(r->state);
        if (at_gate(u))
                move_to(u, CRASH_AT_GATE_ENDED);
        else
                finish(u);
}

/* ---- the head ---- */

static int check_head(struct crash_call *u, char boundary[MULTIPART_BOUNDARY_MAX + 1], enum encoding *ret_encoding,
                      struct refusal *refusal)
{
        const struct http_request *r = u->call.request;
        const struct config *config = call_config(&u->call);
        const char *type = http_request_field(r, "content-type"), *coding = http_request_field(r, "content-encoding");

        if (strcmp(r->method, "POST") != 0) {
                refusal->allow = "POST";
                return refuse(refusal, ANSWER_METHOD, "%s is not allowed here; use POST", r->method);
        }
        if (!type)
                return refuse(refusal, ANSWER_MEDIA_TYPE, "missing content-type header");
        int e = multipart_head_boundary(type, boundary, refusal);
        if (e == 0)
                e = call_check_version(&u->call, false, refusal);
        if (e != 0)
                return e;
        *ret_encoding = coding ? encoding_from_name(coding, strlen(coding)) : ENCODING_IDENTITY;
        if (*ret_encoding == ENCODING_UNKNOWN || *ret_encoding == ENCODING_DEFLATE)
                return refuse(refusal, ANSWER_MEDIA_TYPE, "content-encoding is not one of identity, gzip, zstd");
        if (r->content_length != HTTP_LENGTH_UNKNOWN && r->content_length > config->crashes_max_request_bytes)
                return refuse(refusal, ANSWER_TOO_LARGE, "request exceeds maximum size of %llu bytes",
                              (unsigned long long)config->crashes_max_request_bytes);
        return 0;
}

static int open_upload(struct crash_call *u, const char *boundary, enum encoding encoding, struct refusal *refusal)
{
        struct ingest *ingest = u->call.in->ingest;
        const struct crash_upload_config config = {
                .config = ingest->config,
                .blobs = store_blobs(ingest->store),
                .space = space_of(u),
                .promised_bytes = &u->promised_bytes,
                .admit = admit,
                .userdata = u,
        };
        uint64_t length = u->call.request->content_length;
        if (encoding == ENCODING_IDENTITY && length != HTTP_LENGTH_UNKNOWN) /* else it says nothing about the parts */
                u->announced_bytes = length;
        int r = space_check(space_of(u), SPACE_UPLOADS, u->announced_bytes, refusal);
        if (r != 0)
                return r;
        if (!slots_take(ingest->uploads)) {
                refusal->retry_after_ms = 1000;
                return refuse(refusal, ANSWER_UNAVAILABLE, "too many uploads at once");
        }
        move_to(u, CRASH_METADATA);
        metrics_gauge_add(ingest->metrics, METRICS_UPLOADS, 1);
        return crash_upload_new(&config, boundary, encoding, &u->upload);
}

static void begin_body(struct call *c)
{
        struct crash_call *u = crash_call_of(c);
        char boundary[MULTIPART_BOUNDARY_MAX + 1];
        enum encoding encoding = ENCODING_IDENTITY;
        struct refusal refusal = { 0 };
        bool ended = u->state == CRASH_AT_GATE_ENDED;

        int r = check_head(u, boundary, &encoding, &refusal);
        if (r == 0)
                r = open_upload(u, boundary, encoding, &refusal);
        if (!go_on_after(u, r, &refusal))
                return;
        http_request_accept_body(c->request, call_config(c)->limits.http2_upload_window);
        if (!take_body(u, u->early.data, u->early.len))
                return;
        buf_done(&u->early);
        http_request_consume(c->request, c->request->unconsumed);
        if (ended)
                finish(u);
}

void crashes_begin(struct ingest_loop *in, struct http_request *r)
{
        static const struct call_type type = {
                METRICS_CRASHES,
                { .data = on_data, .end = on_end, .timeout = call_on_timeout, .close = call_on_close },
                release,
        };
        struct crash_call *u = calloc(1, sizeof(*u));
        if (!u) {
                call_refuse_unborn(in, r, METRICS_CRASHES);
                return;
        }
        call_start(&u->call, in, r, &type, &reply_json);
        gate_admit(&u->call, begin_body);
}
