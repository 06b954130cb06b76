/* Log exports over gRPC. Reads like the contract: authenticate, gather one message, inflate, scan, split, find out who
 * sent it, admit, render, commit, answer. Nothing is written before everything is checked, and the answer is OK only
 * once the lines are durable.
 *
 * Failure at any step refuses the whole request; nothing of it is kept. A client that leaves while its lines are being
 * committed changes nothing: they stay. */

#include <errno.h>
#include <string.h>

#include "ingest/call.h"
#include "protocol/grpc.h"
#include "protocol/inflate.h"
#include "protocol/otlp/otlp.h"
#include "util/clock.h"

#define SPARE_CALLS_MAX 256                      /* a loop keeps so many for the next requests */
#define SPARE_CALL_BYTES ((size_t)16384)         /* with buffers no larger than that */
#define SUBMIT_AT 16                             /* batches that do not wait for the pass to end */
#define SCRATCH_KEPT_BYTES ((size_t)1024 * 1024) /* what a loop's scratch buffer keeps between requests */

struct log_call {
        struct call call;
        struct log_call *next_spare;
        uint64_t deadline_ns; /* of the client; 0: none */
        enum encoding encoding;
        bool admitted, ended;
        bool widened; /* looked at, whether the window is wide enough */
        struct buf body;
        uint64_t counted_bytes; /* of body, in ingest->body_bytes */

        struct log_batch batch;
        struct buf lines;        /* what batch.appends point into */
        struct buf strings;      /* platform and version of each append, NUL-terminated */
        struct buf appends;      /* the array behind batch.appends */
        uint64_t promised_bytes; /* of the disk, for the lines */
        unsigned records;
        size_t message_bytes;
};

static struct log_call *log_call_of(struct call *c)
{
        return container_of(c, struct log_call, call);
}

static struct space *space_of(const struct log_call *l)
{
        return store_space(l->call.in->ingest->store);
}

static void log_call_free(struct log_call *l)
{
        buf_done(&l->body);
        buf_done(&l->lines);
        buf_done(&l->strings);
        buf_done(&l->appends);
        free(l);
}

/* Small requests take no memory from the heap: they find what those before them had. */
static void keep_for_later(struct ingest_loop *in, struct log_call *l)
{
        if (in->n_spare_log_calls == SPARE_CALLS_MAX ||
            l->body.cap + l->lines.cap + l->strings.cap + l->appends.cap > SPARE_CALL_BYTES) {
                log_call_free(l);
                return;
        }
        l->next_spare = in->spare_log_calls;
        in->spare_log_calls = l;
        in->n_spare_log_calls++;
}

/* A large one is not held while the disk is waited for. */
static void drop_body(struct log_call *l)
{
        atomic_fetch_sub(&l->call.in->ingest->body_bytes, l->counted_bytes);
        metrics_gauge_add(l->call.in->ingest->metrics, METRICS_BODY_BYTES, -(int64_t)l->counted_bytes);
        l->counted_bytes = 0;
        buf_clear(&l->body);
        if (l->body.cap > SPARE_CALL_BYTES)
                buf_done(&l->body);
}

static void release(struct call *c)
{
        struct log_call *l = log_call_of(c);
        drop_body(l);
        space_give_back(space_of(l), &l->promised_bytes);
        call_done(c);
        keep_for_later(c->in, l);
}

/* One with buffers from a request before, or a new one. NULL on ENOMEM. */
static struct log_call *log_call_new(struct ingest_loop *in)
{
        struct log_call *l = in->spare_log_calls;
        if (!l)
                return calloc(1, sizeof(*l));
        in->spare_log_calls = l->next_spare;
        in->n_spare_log_calls--;
        *l = (struct log_call){ .body = l->body, .lines = l->lines, .strings = l->strings, .appends = l->appends };
        buf_clear(&l->body);
        buf_clear(&l->lines);
        buf_clear(&l->strings);
        buf_clear(&l->appends);
        return l;
}

void logs_drop_spare(struct ingest_loop *in)
{
        while (in->spare_log_calls) {
                struct log_call *l = in->spare_log_calls;
                in->spare_log_calls = l->next_spare;
                log_call_free(l);
        }
        in->n_spare_log_calls = 0;
}

/* ---- after the commit ---- */

static void spend(struct log_call *l, uint64_t *spent)
{
        *spent += l->promised_bytes;
        l->promised_bytes = 0;
}

/* On the committer's thread: all of one loop's that a sync has made durable, or failed. */
static void on_committed(struct log_batch *list)
{
        struct ingest_loop *in = list->owner;
        struct space *space = store_space(in->ingest->store);
        struct loop_task *first = &container_of(list, struct log_call, batch)->call.wake, *last = NULL;
        uint64_t spent = 0;
        for (struct log_batch *b = list; b; b = b->next) {
                struct log_call *l = container_of(b, struct log_call, batch);
                if (b->result == 0)
                        spend(l, &spent);
                else if (b->result == -ENOSPC || b->result == -EDQUOT)
                        space_saw_full(space);
                l->call.wake.next = last;
                last = &l->call.wake;
        }
        space_spend(space, spent, &spent);
        loop_post_list(in->loop, last, first);
}

static void answer(struct call *c)
{
        struct log_call *l = log_call_of(c);
        if (l->batch.result < 0) {
                call_fail(c, l->batch.result, "log store");
                return;
        }
        metrics_bytes(c->in->ingest->metrics, METRICS_LOGS, l->message_bytes);
        call_answer_grpc(c, NULL, 0);
}

/* The committer did not take it: the client hears why. */
static void refused(struct call *c)
{
        struct log_call *l = log_call_of(c);
        struct refusal refusal = { .retry_after_ms = 1000 };
        if (l->batch.result < 0) {
                call_fail(c, l->batch.result, "log store");
                return;
        }
        refuse(&refusal, ANSWER_UNAVAILABLE,
               l->batch.result == WORK_QUEUE_FULL ? "too many log batches are waiting for the disk" : "shutting down");
        call_refuse(c, &refusal);
}

static void refuse_batch(struct log_batch *b, int why)
{
        struct log_call *l = container_of(b, struct log_call, batch);
        b->result = why;
        call_park(&l->call, refused);
        call_resume(&l->call);
}

/* What came in one pass of the loop goes to the committer together: one lock for all, and no sync for the first alone. */
static void submit(struct loop_task *task)
{
        struct ingest_loop *in = container_of(task, struct ingest_loop, submit_logs);
        struct log_batch *list = TAKE_PTR(in->log_batches), *rest;
        in->last_log_batch = &in->log_batches;
        in->n_log_batches = 0;
        while (list) { /* behind one that does not fit there may be some that do */
                int r = log_committer_submit_list(store_logs(in->ingest->store), list, &rest);
                list = rest ? rest->next : NULL;
                if (rest)
                        refuse_batch(rest, r);
        }
}

static void commit(struct log_call *l)
{
        struct ingest_loop *in = l->call.in;
        l->batch.done = on_committed;
        l->batch.owner = in;
        call_park(&l->call, answer);
        if (in->n_log_batches++ == 0)
                loop_defer(in->loop, &in->submit_logs);
        *in->last_log_batch = &l->batch;
        in->last_log_batch = &l->batch.next;
        if (in->n_log_batches == SUBMIT_AT) {
                loop_undefer(in->loop, &in->submit_logs);
                submit(&in->submit_logs);
        }
}

void logs_init(struct ingest_loop *in)
{
        in->last_log_batch = &in->log_batches;
        in->submit_logs.run = submit;
}

/* ---- the message ---- */

/* What one ResourceLogs becomes. Lives in the arena. */
struct resource {
        struct otlp_source source;
        size_t from, to; /* its lines, offsets into l->lines */
        unsigned lines;
};

/* Everything about all resources that can be wrong is found here, before anything is admitted. */
static int identify(struct log_call *l, const struct otlp_resource_logs *logs, struct resource *resources, size_t n,
                    struct refusal *r)
{
        const struct token *token = l->call.principal.token;
        for (size_t i = 0; i < n; i++) {
                struct otlp_source *s = &resources[i].source;
                int e = otlp_source(&logs[i], call_config(&l->call)->derive_source, token->project, s, r);
                if (e != 0)
                        return e;
                source_canonical(&s->id, l->call.source);
                if (!token_permits(token, &s->id))
                        return refuse(r, ANSWER_FORBIDDEN, "token is not permitted to write this source");
        }
        return 0;
}

static int admit(struct log_call *l, const struct resource *resources, size_t n, struct refusal *r)
{
        const struct principal *p = &l->call.principal;
        const struct source **sources = arena_alloc(l->call.in->arena, n * sizeof(*sources));
        if (!sources)
                return refuse(r, ANSWER_TOO_LARGE, "the request needs too much memory");
        for (size_t i = 0; i < n; i++)
                sources[i] = &resources[i].source.id;
        unsigned retry_ms = 0;
        int e = rate_limit_take(l->call.in->ingest->rate_limit, RATE_LIMIT_LOGS, &p->tokens->rate_limit, p->token->id,
                                sources, n, clock_monotonic_ns(), &retry_ms);
        if (e <= 0)
                return e;
        r->retry_after_ms = retry_ms;
        return refuse(r, ANSWER_RATE_LIMITED,
                      e == RATE_LIMIT_NEVER ? "one source has more resource_logs in this request than logs_burst allows"
                                            : "log rate limit exceeded");
}

static int render(struct log_call *l, const struct otlp_resource_logs *logs, const struct otlp_limits *limits,
                  struct resource *resources, size_t n, struct refusal *r)
{
        for (size_t i = 0; i < n; i++) {
                resources[i].from = l->lines.len;
                int e = otlp_render(&logs[i], &resources[i].source, limits, &l->call.in->rendering, &l->lines,
                                    &resources[i].lines, r);
                if (e != 0)
                        return e;
                resources[i].to = l->lines.len;
        }
        return 0;
}

/* Up to a U+0000, which the index cannot keep. The room is there. */
static const char *keep_text(struct log_call *l, const char *text, size_t len)
{
        const char *kept = (const char *)l->strings.data + l->strings.len;
        buf_append(&l->strings, text, strnlen(text, len));
        buf_append_char(&l->strings, '\0');
        return kept;
}

/* Copies what the committer needs; the buffers grow no more afterwards, so pointers hold. */
static int make_batch(struct log_call *l, const struct resource *resources, size_t n)
{
        size_t text = 0, used = 0;
        for (size_t i = 0; i < n; i++)
                text += resources[i].source.platform_len + resources[i].source.version_len + 2;
        if (buf_reserve(&l->appends, n * sizeof(*l->batch.appends)) < 0 || buf_reserve(&l->strings, text) < 0)
                return -ENOMEM;
        l->batch.appends = (struct log_append *)(void *)l->appends.data;
        for (size_t i = 0; i < n; i++) {
                const struct resource *res = &resources[i];
                if (res->from == res->to)
                        continue;
                l->batch.appends[used++] = (struct log_append){
                        .source = res->source.id,
                        .platform = keep_text(l, res->source.platform, res->source.platform_len),
                        .version = keep_text(l, res->source.version, res->source.version_len),
                        .data = l->lines.data + res->from,
                        .len = res->to - res->from,
                        .lines = res->lines,
                };
        }
        l->batch.n_appends = used;
        return 0;
}

/* Wire bytes of one message to a batch of lines. 0, -errno, or an answer in *r. */
static int prepare(struct log_call *l, const uint8_t *data, size_t len, struct refusal *r)
{
        const struct config *config = call_config(&l->call);
        const struct otlp_limits limits = {
                .depth = config->limits.otlp_depth,
                .records = config->limits.otlp_records,
                .submessages = config->limits.otlp_submessages,
                .attributes = config->limits.otlp_attributes,
                .line_bytes = config->limits.otlp_line_bytes,
                .scratch_bytes = config->limits.otlp_arena_bytes,
                .output_bytes = config->limits.otlp_rendered_bytes,
        };
        struct arena *arena = l->call.in->arena;
        struct otlp_resource_logs *logs;
        size_t n;
        int e = otlp_scan(data, len, &limits, &l->records, r);
        if (e == 0)
                e = otlp_split(arena, data, len, config->limits.otlp_resources, &logs, &n, r);
        if (e != 0 || n == 0)
                return e;
        struct resource *resources = arena_alloc(arena, n * sizeof(*resources));
        if (!resources)
                return refuse(r, ANSWER_TOO_LARGE, "the request needs too much memory");
        e = identify(l, logs, resources, n, r);
        if (e == 0)
                e = render(l, logs, &limits, resources, n, r);
        if (e == 0 && l->lines.len > 0)
                e = space_promise(space_of(l), SPACE_LOGS, l->lines.len, &l->promised_bytes, r);
        if (e == 0)
                e = admit(l, resources, n, r);
        return e == 0 ? make_batch(l, resources, n) : e;
}

static int keep_inflated(void *userdata, const uint8_t *data, size_t len)
{
        return buf_append(userdata, data, len);
}

static int decompress(struct log_call *l, const uint8_t *data, size_t len, struct refusal *r)
{
        _cleanup_(inflate_freep) struct inflate *f = NULL;
        uint64_t max = call_config(&l->call)->logs_max_message_bytes;
        struct buf *out = &l->call.in->inflated;
        buf_clear(out);
        int e = inflate_new(l->encoding, max, &f);
        if (e == 0)
                e = inflate_write(f, data, len, keep_inflated, out);
        if (e == 0)
                e = inflate_end(f);
        if (e == INFLATE_CORRUPT)
                return refuse(r, ANSWER_MALFORMED, "the message is not valid %s", encoding_name(l->encoding));
        if (e == INFLATE_TOO_LARGE)
                return refuse(r, ANSWER_TOO_LARGE, "the message is over %llu bytes after decompression",
                              (unsigned long long)max);
        return e == INFLATE_STOPPED ? -ENOMEM : e;
}

/* The whole body is here and whole: one frame. */
static void process(struct log_call *l)
{
        struct ingest_loop *in = l->call.in;
        struct refusal refusal = { 0 };
        const uint8_t *message = l->body.data + GRPC_PREFIX_SIZE;
        size_t len = l->body.len - GRPC_PREFIX_SIZE;
        int r = 0;

        if (l->deadline_ns && clock_monotonic_ns() >= l->deadline_ns)
                r = refuse(&refusal, ANSWER_TIMEOUT, "the client's grpc-timeout has passed");
        if (r == 0 && l->body.data[0] == 1) {
                r = decompress(l, message, len, &refusal);
                message = in->inflated.data;
                len = in->inflated.len;
        }
        l->message_bytes = len;
        if (r == 0)
                r = prepare(l, message, len, &refusal);
        arena_reset(in->arena);
        if (in->inflated.cap > SCRATCH_KEPT_BYTES)
                buf_done(&in->inflated);
        if (in->rendering.cap > SCRATCH_KEPT_BYTES)
                buf_done(&in->rendering);
        drop_body(l);
        if (r > 0)
                call_refuse(&l->call, &refusal);
        else if (r < 0)
                call_fail(&l->call, r, "logs");
        else if (l->batch.n_appends == 0)
                call_answer_grpc(&l->call, NULL, 0);
        else
                commit(l);
}

/* ---- the frame ---- */

/* Is what has come so far the beginning of one frame that we take? 0 or an answer in *r. */
static int check_frame(struct log_call *l, struct refusal *r)
{
        uint64_t max = call_config(&l->call)->logs_max_message_bytes;
        bool compressed;
        uint32_t len;

        if (l->body.len < GRPC_PREFIX_SIZE)
                return l->ended ? refuse(r, ANSWER_MALFORMED, "the body ends before a gRPC message") : 0;
        if (grpc_read_prefix(l->body.data, &compressed, &len) != 0)
                return refuse(r, ANSWER_MALFORMED, "bad compressed flag in the gRPC frame");
        if (compressed && l->encoding == ENCODING_IDENTITY)
                return refuse(r, ANSWER_MALFORMED, "compressed message without grpc-encoding");
        if (len > max)
                return refuse(r, ANSWER_TOO_LARGE, "a message of %u bytes is over the limit of %llu", len,
                              (unsigned long long)max);
        size_t have = l->body.len - GRPC_PREFIX_SIZE;
        if (have > len)
                return refuse(r, ANSWER_MALFORMED, "bytes behind the message of a unary call");
        if (l->ended && have < len)
                return refuse(r, ANSWER_MALFORMED, "the body ends within the gRPC message: %zu of %u bytes", have, len);
        return 0;
}

/* A message that one window does not hold may come faster. Most fit, and cost no frame for it. */
static void widen_window(struct log_call *l)
{
        bool compressed;
        uint32_t len;
        if (l->widened || l->body.len < GRPC_PREFIX_SIZE)
                return;
        l->widened = true;
        grpc_read_prefix(l->body.data, &compressed, &len);
        if (len > call_config(&l->call)->limits.http2_stream_window / 2)
                http_request_accept_body(l->call.request, call_config(&l->call)->limits.http2_upload_window);
}

static void go_on(struct log_call *l)
{
        struct refusal refusal = { 0 };
        if (check_frame(l, &refusal) != 0)
                call_refuse(&l->call, &refusal);
        else if (l->ended)
                process(l);
        else
                widen_window(l);
}

/* Counts bytes against what all requests may hold in memory. */
static bool may_hold(struct log_call *l, size_t len)
{
        struct ingest *ingest = l->call.in->ingest;
        uint64_t before = atomic_fetch_add(&ingest->body_bytes, len);
        l->counted_bytes += len;
        metrics_gauge_add(ingest->metrics, METRICS_BODY_BYTES, (int64_t)len);
        return before + len <= call_config(&l->call)->limits.inflight_body_bytes;
}

static void on_data(struct http_request *r, const uint8_t *data, size_t len)
{
        struct log_call *l = log_call_of(r->state);
        struct refusal refusal = { .retry_after_ms = 1000 };
        if (!may_hold(l, len)) {
                refuse(&refusal, ANSWER_UNAVAILABLE, "too many request bytes in memory");
                call_refuse(&l->call, &refusal);
        } else if (buf_append(&l->body, data, len) < 0) {
                call_fail(&l->call, -ENOMEM, "logs");
        } else if (l->admitted) {
                http_request_consume(r, len);
                go_on(l);
        }
}

static void on_end(struct http_request *r)
{
        struct log_call *l = log_call_of(r->state);
        l->ended = true;
        if (l->admitted)
                go_on(l);
}

/* ---- the head ---- */

static int check_head(struct log_call *l, struct refusal *refusal)
{
        const struct http_request *r = l->call.request;
        const char *encoding = http_request_field(r, "grpc-encoding"), *timeout = http_request_field(r, "grpc-timeout");
        uint64_t ns;

        int e = call_check_version(&l->call, call_config(&l->call)->strict_protocol_version, refusal);
        if (e != 0)
                return e;
        l->encoding = encoding ? encoding_from_name(encoding, strlen(encoding)) : ENCODING_IDENTITY;
        if (l->encoding == ENCODING_UNKNOWN)
                return refuse(refusal, ANSWER_MEDIA_TYPE, "grpc-encoding is not one of identity, gzip, zstd");
        if (timeout) {
                if (grpc_parse_timeout(timeout, strlen(timeout), &ns) != 0)
                        return refuse(refusal, ANSWER_MALFORMED, "bad grpc-timeout");
                l->deadline_ns = r->started_ns + ns < ns ? 0 : r->started_ns + ns;
        }
        return 0;
}

static void admitted(struct call *c)
{
        struct log_call *l = log_call_of(c);
        struct refusal refusal = { 0 };
        if (check_head(l, &refusal) != 0) {
                call_refuse(c, &refusal);
                return;
        }
        l->admitted = true;
        if (c->request->expects_continue)
                http_request_accept_body(c->request, 0);
        http_request_consume(c->request, c->request->unconsumed);
        go_on(l);
}

static void admitted_wrongly(struct call *c)
{
        struct refusal refusal = { 0 };
        call_check_grpc(c->request, &refusal);
        call_refuse(c, &refusal);
}

void logs_begin(struct ingest_loop *in, struct http_request *r)
{
        static const struct http_request_ops ops = {
                .data = on_data,
                .end = on_end,
                .timeout = call_on_timeout,
                .close = call_on_close,
        };
        struct refusal refusal = { 0 };
        struct log_call *l = log_call_new(in);
        if (!l) {
                call_refuse_unborn(in, r, METRICS_LOGS);
                return;
        }
        bool grpc = call_check_grpc(r, &refusal) == 0;
        call_start(&l->call, in, r, &ops, METRICS_LOGS, grpc, release);
        gate_enter(&l->call, grpc ? admitted : admitted_wrongly);
}
