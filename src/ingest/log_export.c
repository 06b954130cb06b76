/* From decoded OTLP bytes to a batch of lines: scan, split, find out who sent them, admit, render, make the batch.
 * Nothing here knows which protocol carried the bytes.
 *
 * Admission comes before rendering, so that a refused request is cheap. Some refusals are known only after rendering: a
 * line is too long, the output is too large, the disk has no room for it. Then the rate limit gets its units back.
 *
 * What is wrong with the request refuses all of it. What is wrong with a record, scope or resource rejects only that
 * (otlp_faults.h), and the answer says so, unless the configuration is strict. */

#include "ingest/log_export.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocol/otlp/otlp.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text/utf8.h"

#define SCRATCH_KEPT_BYTES ((size_t)1024 * 1024) /* a larger scratch buffer is freed after the request */

struct log_export_loop {
        struct arena *arena; /* reset after each request */
        struct buf rendering, tail;
        struct otlp_faults faults;
        bool is_strict;
        uint64_t said_ns; /* when a rejection was last logged */
        unsigned unsaid;  /* rejected records since then */
        struct otlp_limits limits;
        bool derives;
        struct otlp_derive derive;
        size_t max_resources;
};

_Static_assert(CONFIG_DERIVE_MAX <= OTLP_DERIVE_RULES_MAX, "every rule has room");

/* What one ResourceLogs becomes. */
struct resource {
        struct otlp_source source;
        size_t from, to; /* its lines: offsets into the buffer of lines */
        unsigned lines;
};

/* One request. All arrays are in the arena and have room for request.n elements. */
struct preparation {
        struct log_export *export;
        struct log_export_loop *loop;
        struct refusal *refusal;
        unsigned records;
        struct otlp_resources request;
        struct resource *resources;
        const struct source **sources; /* into resources; those that send lines */
        size_t n_sources;
        struct otlp_faults *faults; /* NULL: strict */
        unsigned bad_sources;       /* ResourceLogs with records that were rejected because of it */
};

struct log_export_loop *log_export_loop_new(const struct config *config)
{
        const struct config_limits *limits = &config->limits;
        struct log_export_loop *l = calloc(1, sizeof(*l));
        if (!l)
                return NULL;
        l->arena = arena_new(limits->otlp_arena_bytes);
        l->max_resources = limits->otlp_resources;
        l->limits = (struct otlp_limits){
                .depth = limits->otlp_depth,
                .records = limits->otlp_records,
                .submessages = limits->otlp_submessages,
                .attributes = limits->otlp_attributes,
                .line_bytes = limits->otlp_line_bytes,
                .scratch_bytes = limits->otlp_arena_bytes,
                .output_bytes = limits->otlp_rendered_bytes,
        };
        l->derives = config->derive_source;
        l->is_strict = config->strict;
        for (size_t i = 0; i < config->n_derive_install_id; i++)
                otlp_derive_add(&l->derive, config->derive_install_id[i]);
        return l->arena ? l : log_export_loop_free(l);
}

struct log_export_loop *log_export_loop_free(struct log_export_loop *l)
{
        if (!l)
                return NULL;
        arena_free(l->arena);
        buf_done(&l->rendering);
        buf_done(&l->tail);
        otlp_faults_done(&l->faults);
        free(l);
        return NULL;
}

static struct space *space_of(const struct log_export *e)
{
        return store_space(e->call.in->ingest->store);
}

/* ---- who sent it ---- */

static int allocate(struct preparation *p)
{
        struct arena *arena = p->loop->arena;
        p->resources = arena_alloc(arena, p->request.n * sizeof(*p->resources));
        p->sources = arena_alloc(arena, p->request.n * sizeof(*p->sources));
        if (p->resources && p->sources)
                return 0;
        return arena_is_full(arena) ? refuse(p->refusal, ANSWER_TOO_LARGE, "the request needs too much memory")
                                    : -ENOMEM;
}

/* Will no line come of it? */
static bool is_left_out(const struct preparation *p, size_t i)
{
        const struct otlp_resource_logs *logs = &p->request.logs[i];
        return logs->records == 0 || (p->faults && otlp_faults_of(p->faults, logs->message.at).rejected);
}

/* A source that cannot be: 0 when only this ResourceLogs is rejected. */
static int reject_source(struct preparation *p, size_t i, int answer)
{
        struct refusal why = { 0 };
        if (!p->faults)
                return answer;
        refuse(&why, ANSWER_MALFORMED, "resource_logs[%zu]: %s", i, p->refusal->message);
        otlp_faults_reject(p->faults, p->request.logs[i].records, &why);
        p->request.logs[i].records = 0;
        p->bad_sources++;
        return 0;
}

static int identify(struct preparation *p)
{
        struct call *c = &p->export->call;
        const struct token *token = c->gate.principal.token;
        const struct otlp_token names = { token->project, token->id };
        const struct otlp_derive *derive = p->loop->derives ? &p->loop->derive : NULL;
        for (size_t i = 0; i < p->request.n; i++) {
                struct otlp_source *s = &p->resources[i].source;
                if (is_left_out(p, i))
                        continue;
                int r = otlp_source(&p->request.logs[i], derive, &names, s, p->refusal);
                if (r == ANSWER_MALFORMED)
                        r = reject_source(p, i, r);
                if (r != 0)
                        return r;
                if (p->request.logs[i].records == 0)
                        continue;
                p->sources[p->n_sources++] = &s->id;
                source_canonical(&s->id, c->source);
                if (!tokens_permit(token, &s->id))
                        return refuse(p->refusal, ANSWER_FORBIDDEN, "token is not permitted to write this source");
        }
        return 0;
}

/* Finds everything that is wrong with the request itself and can be known without rendering. */
static int read_request(struct preparation *p, const uint8_t *data, size_t len)
{
        struct log_export_loop *l = p->loop;
        int r = otlp_scan(data, len, &l->limits, &p->records, p->faults, p->refusal);
        if (r == 0)
                r = otlp_split(l->arena, (struct otlp_span){ data, data + len }, l->max_resources, &p->request,
                               p->refusal);
        if (r == 0 && p->request.n > 0)
                r = allocate(p);
        return r == 0 ? identify(p) : r;
}

/* ---- admission ---- */

static struct rate_limit_charge charge_of(const struct preparation *p)
{
        const struct principal *who = &p->export->call.gate.principal;
        return (struct rate_limit_charge){
                .kind = RATE_LIMIT_LOGS,
                .limits = &who->tokens->rate_limit,
                .token_id = who->token->id,
                .sources = p->sources,
                .n_sources = p->n_sources,
        };
}

static int take_rate(struct preparation *p)
{
        const struct rate_limit_charge charge = charge_of(p);
        unsigned retry_ms = 0;
        int r = rate_limit_take(p->export->call.in->ingest->rate_limit, &charge, clock_monotonic_ns(), &retry_ms);
        if (r <= 0)
                return r;
        p->refusal->retry_after_ms = retry_ms;
        return refuse(p->refusal, ANSWER_RATE_LIMITED, "log rate limit exceeded");
}

static void give_rate_back(struct preparation *p)
{
        const struct rate_limit_charge charge = charge_of(p);
        rate_limit_give_back(p->export->call.in->ingest->rate_limit, &charge);
}

/* The length of the lines is not known yet. But when there is no room at all, rendering would be in vain. */
static int admit(struct preparation *p)
{
        int r = p->records > 0 ? space_check(space_of(p->export), SPACE_LOGS, 0, p->refusal) : 0;
        return r == 0 ? take_rate(p) : r;
}

/* ---- the lines ---- */

static int render(struct preparation *p)
{
        struct buf *lines = &p->export->buffers.lines;
        struct otlp_output out = {
                .lines = lines, .scratch = &p->loop->rendering, .tail = &p->loop->tail, .faults = p->faults
        };
        for (size_t i = 0; i < p->request.n; i++) {
                struct resource *res = &p->resources[i];
                res->from = res->to = lines->len;
                if (p->request.logs[i].records == 0)
                        continue;
                int r = otlp_render(&p->request.logs[i], i, &res->source, &p->loop->limits, &out, p->refusal);
                if (r != 0)
                        return r;
                res->lines = out.n_lines;
                res->to = lines->len;
        }
        return 0;
}

static int promise_space(struct preparation *p)
{
        struct log_export *e = p->export;
        size_t bytes = e->buffers.lines.len;
        return bytes > 0 ? space_promise(space_of(e), SPACE_LOGS, bytes, &e->promised_bytes, p->refusal) : 0;
}

/* Copies text up to a U+0000, which the index cannot keep. There is room. */
static const char *keep_text(struct buf *strings, const char *text, size_t len)
{
        const char *kept = (const char *)strings->data + strings->len, *end = text + strnlen(text, len);
        while (text < end) {
                size_t bad, good = utf8_valid_part(text, (size_t)(end - text), &bad);
                buf_append(strings, text, good);
                if (bad > 0)
                        buf_append_str(strings, UTF8_REPLACEMENT);
                text += good + bad;
        }
        buf_append_char(strings, '\0');
        return kept;
}

/* For platform and version, of which every byte may become a U+FFFD. */
static size_t kept_text_max(const struct otlp_source *s)
{
        return (sizeof(UTF8_REPLACEMENT) - 1) * (s->platform_len + s->version_len) + 2;
}

/* Copies what the committer needs. The buffers do not grow any more, so pointers into them stay valid. */
static int make_batch(struct preparation *p)
{
        struct log_export *e = p->export;
        struct log_export_buffers *b = &e->buffers;
        size_t text = 0, used = 0;
        for (size_t i = 0; i < p->request.n; i++) {
                if (p->resources[i].from < p->resources[i].to)
                        text += kept_text_max(&p->resources[i].source);
        }
        if (buf_reserve(&b->appends, p->request.n * sizeof(*e->batch.appends)) < 0 ||
            buf_reserve(&b->strings, text) < 0)
                return -ENOMEM;
        e->batch.appends = (struct log_append *)(void *)b->appends.data;
        for (size_t i = 0; i < p->request.n; i++) {
                const struct resource *res = &p->resources[i];
                if (res->from == res->to)
                        continue;
                e->batch.appends[used++] = (struct log_append){
                        .source = res->source.id,
                        .platform = keep_text(&b->strings, res->source.platform, res->source.platform_len),
                        .version = keep_text(&b->strings, res->source.version, res->source.version_len),
                        .data = b->lines.data + res->from,
                        .len = res->to - res->from,
                        .lines = res->lines,
                };
        }
        e->batch.n_appends = used;
        return 0;
}

/* ---- what was left out ---- */

#define SAY_EVERY_NS UINT64_C(1000000000)

/* At most one line a second for each loop: a client that sends bad records sends many. */
static void log_rejection(struct preparation *p)
{
        struct log_export_loop *l = p->loop;
        const struct call *c = &p->export->call;
        uint64_t now = clock_monotonic_ns();
        l->unsaid += p->faults->rejected;
        if (l->said_ns != 0 && now - l->said_ns < SAY_EVERY_NS)
                return;
        log_warn("log records rejected", LOG_STR("request_id", c->request->id), LOG_STR("peer", c->request->peer),
                 LOG_STR("token", c->gate.principal.token->id), LOG_INT("records", l->unsaid),
                 LOG_STR("reason", p->faults->first.message));
        l->said_ns = now;
        l->unsaid = 0;
}

static int conclude(struct preparation *p)
{
        if (!p->faults)
                return 0;
        if (p->faults->rejected > 0) {
                metrics_count(p->export->call.in->ingest->metrics, METRICS_LOG_RECORDS_REJECTED, p->faults->rejected);
                log_rejection(p);
        }
        return otlp_faults_response(p->faults, &p->export->buffers.response);
}

/* ---- all of it ---- */

/* A client that names no source in any ResourceLogs is set up wrongly, and is told so. */
static bool has_only_bad_sources(const struct preparation *p)
{
        return p->bad_sources > 0 && p->n_sources == 0 && p->faults->rejected == p->records;
}

static int make(struct preparation *p)
{
        int r = render(p);
        if (r == 0)
                r = promise_space(p);
        if (r == 0)
                r = make_batch(p);
        return r == 0 ? conclude(p) : r;
}

static int prepare(struct preparation *p, const uint8_t *data, size_t len)
{
        int r = read_request(p, data, len);
        if (r != 0 || p->request.n == 0)
                return r;
        if (has_only_bad_sources(p))
                return (int)p->refusal->answer;
        if (p->n_sources == 0)
                return make(p);
        r = admit(p);
        if (r != 0)
                return r;
        r = make(p);
        if (r != 0)
                give_rate_back(p);
        return r;
}

static void drop_if_large(struct buf *scratch)
{
        if (scratch->cap > SCRATCH_KEPT_BYTES)
                buf_done(scratch);
}

int log_export_prepare(struct log_export *e, const uint8_t *data, size_t len, struct refusal *r)
{
        struct log_export_loop *l = e->call.in->log_export;
        struct preparation p = { .export = e, .loop = l, .refusal = r, .faults = l->is_strict ? NULL : &l->faults };
        assert_on_thread(&e->call.in->thread);
        assert(e->state == LOG_EXPORT_OPEN && e->buffers.lines.len == 0);
        assert(e->call.state == CALL_OPEN && e->call.gate.state == GATE_INSIDE);
        e->message_bytes = len;
        if (p.faults)
                otlp_faults_begin(p.faults, l->limits.scratch_bytes);
        int result = prepare(&p, data, len);
        if (result == 0)
                e->state = LOG_EXPORT_READY;
        arena_reset(l->arena);
        drop_if_large(&l->rendering);
        drop_if_large(&l->tail);
        drop_if_large(&l->faults.list);
        return result;
}

/* ---- life ---- */

void log_export_done(struct log_export *e)
{
        space_give_back(space_of(e), &e->promised_bytes);
        call_done(&e->call);
}

void log_export_reset(struct log_export *e)
{
        *e = (struct log_export){ .buffers = e->buffers };
        buf_clear(&e->buffers.lines);
        buf_clear(&e->buffers.strings);
        buf_clear(&e->buffers.appends);
        buf_clear(&e->buffers.response);
}

size_t log_export_buffers_cap(const struct log_export *e)
{
        return e->buffers.lines.cap + e->buffers.strings.cap + e->buffers.appends.cap + e->buffers.response.cap;
}

void log_export_buffers_done(struct log_export *e)
{
        buf_done(&e->buffers.lines);
        buf_done(&e->buffers.strings);
        buf_done(&e->buffers.appends);
        buf_done(&e->buffers.response);
}
