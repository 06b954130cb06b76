/* Crash uploads. Reads like the contract: authenticate, look at the head, take the body apart as it streams, admit once
 * the metadata is known, store, answer 201 when blob, row and mirror are durable.
 *
 * Any failure refuses the upload, and the unlinked files it was being written to vanish with it. A client that leaves
 * after the last byte may find its report stored: sent again, it is the same report. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ingest/call.h"
#include "ingest/crash_upload.h"
#include "protocol/crash/multipart.h"
#include "util/clock.h"

struct crash_call {
        struct call call;
        bool admitted, ended, has_slot, has_source_slot;
        struct source source;
        struct buf early;        /* body that came before the token was known; at most a window */
        bool announced;          /* its length */
        uint64_t promised_bytes; /* of the disk, for the parts */
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

static void give_slots(struct crash_call *u)
{
        struct ingest *ingest = u->call.in->ingest;
        if (u->has_slot) {
                upload_slots_give(ingest->uploads);
                metrics_gauge_add(ingest->metrics, METRICS_UPLOADS, -1);
        }
        if (u->has_source_slot)
                upload_slots_give_source(ingest->uploads, &u->source);
        u->has_slot = u->has_source_slot = false;
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
        char body[160];

        if (report->result < 0) {
                call_fail(c, report->result, "crash store");
                return;
        }
        metrics_bytes(c->in->ingest->metrics, METRICS_CRASHES, report_bytes(report));
        int n = snprintf(body, sizeof(body), "{\"id\":\"%s\",\"dedup\":%s}", blob_writer_sha256(report->dump.blob),
                         report->dedup ? "true" : "false");
        call_answer_json(c, 201, body, (size_t)n);
}

static void store(struct crash_call *u)
{
        struct refusal refusal = { .retry_after_ms = 1000 };
        u->report->done = on_stored;
        u->report->userdata = &u->call;
        u->report->received_at = clock_now();
        call_park(&u->call, answer);
        int r = index_writer_submit(store_index(u->call.in->ingest->store), u->report);
        if (r == 0)
                return;
        u->call.parked = false;
        if (r < 0) {
                call_fail(&u->call, r, "crash store");
        } else {
                refuse(&refusal, ANSWER_UNAVAILABLE,
                       r == WORK_QUEUE_FULL ? "too many reports are waiting for the disk" : "shutting down");
                call_refuse(&u->call, &refusal);
        }
}

/* ---- the body ---- */

/* What is coming, where that is known: the length of a compressed body is not what it becomes. */
static uint64_t announced_bytes(const struct crash_call *u)
{
        return u->announced ? u->call.request->content_length : 0;
}

/* The metadata is known: may this token write this source, now? */
static int admit(void *userdata, const struct crash_metadata *m, struct refusal *r)
{
        struct crash_call *u = userdata;
        struct ingest *ingest = u->call.in->ingest;
        const struct principal *p = &u->call.principal;
        const struct source *source = &m->source;
        unsigned retry_ms = 0;

        source_canonical(source, u->call.source);
        if (!token_permits(p->token, source))
                return refuse(r, ANSWER_FORBIDDEN, "token is not permitted to write this source");
        int e = space_promise(space_of(u), SPACE_UPLOADS, announced_bytes(u), &u->promised_bytes, r);
        if (e != 0)
                return e;
        e = rate_limit_take(ingest->rate_limit, RATE_LIMIT_CRASHES, &p->tokens->rate_limit, p->token->id, &source, 1,
                            clock_monotonic_ns(), &retry_ms);
        if (e < 0)
                return e;
        if (e > 0) {
                r->retry_after_ms = retry_ms;
                return refuse(r, ANSWER_RATE_LIMITED, "crash rate limit exceeded");
        }
        if (!upload_slots_take_source(ingest->uploads, source)) {
                r->retry_after_ms = 1000;
                return refuse(r, ANSWER_UNAVAILABLE, "too many uploads of this source at once");
        }
        u->source = *source;
        u->has_source_slot = true;
        return 0;
}

/* False when the call is over. */
static bool obey(struct crash_call *u, int r, const struct refusal *refusal)
{
        if (r > 0)
                call_refuse(&u->call, refusal);
        else if (r < 0)
                call_fail(&u->call, r, "upload");
        return r == 0;
}

static bool take_body(struct crash_call *u, const uint8_t *data, size_t len)
{
        struct refusal refusal = { 0 };
        return obey(u, crash_upload_write(u->upload, data, len, &refusal), &refusal);
}

static void finish(struct crash_call *u)
{
        struct refusal refusal = { 0 };
        if (!obey(u, crash_upload_finish(u->upload, &u->report, &refusal), &refusal))
                return;
        space_give_back(space_of(u), &u->promised_bytes);
        store(u);
}

static void on_data(struct http_request *r, const uint8_t *data, size_t len)
{
        struct crash_call *u = crash_call_of(r->state);
        if (!u->admitted) {
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
        u->ended = true;
        if (u->admitted)
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
        int e = multipart_boundary(type, boundary, refusal);
        if (e == 0)
                e = call_check_version(&u->call, false, refusal);
        if (e != 0)
                return e;
        *ret_encoding = coding ? encoding_from_name(coding, strlen(coding)) : ENCODING_IDENTITY;
        if (*ret_encoding == ENCODING_UNKNOWN)
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
        u->announced = encoding == ENCODING_IDENTITY && u->call.request->content_length != HTTP_LENGTH_UNKNOWN;
        int r = space_check(space_of(u), SPACE_UPLOADS, announced_bytes(u), refusal);
        if (r != 0)
                return r;
        if (!upload_slots_take(ingest->uploads)) {
                refusal->retry_after_ms = 1000;
                return refuse(refusal, ANSWER_UNAVAILABLE, "too many uploads at once");
        }
        u->has_slot = true;
        metrics_gauge_add(ingest->metrics, METRICS_UPLOADS, 1);
        return crash_upload_new(&config, boundary, encoding, &u->upload);
}

static void admitted(struct call *c)
{
        struct crash_call *u = crash_call_of(c);
        char boundary[MULTIPART_BOUNDARY_MAX + 1];
        enum encoding encoding = ENCODING_IDENTITY;
        struct refusal refusal = { 0 };

        int r = check_head(u, boundary, &encoding, &refusal);
        if (r == 0)
                r = open_upload(u, boundary, encoding, &refusal);
        if (!obey(u, r, &refusal))
                return;
        u->admitted = true;
        http_request_accept_body(c->request, call_config(c)->limits.http2_upload_window);
        if (!take_body(u, u->early.data, u->early.len))
                return;
        buf_done(&u->early);
        http_request_consume(c->request, c->request->unconsumed);
        if (u->ended)
                finish(u);
}

void crashes_begin(struct ingest_loop *in, struct http_request *r)
{
        static const struct http_request_ops ops = {
                .data = on_data,
                .end = on_end,
                .timeout = call_on_timeout,
                .close = call_on_close,
        };
        struct crash_call *u = calloc(1, sizeof(*u));
        if (!u) {
                call_refuse_unborn(in, r, METRICS_CRASHES);
                return;
        }
        call_start(&u->call, in, r, &ops, METRICS_CRASHES, false, release);
        gate_enter(&u->call, admitted);
}
