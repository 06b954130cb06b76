/* From log records to NDJSON lines, straight from the wire bytes into a buffer that the caller keeps from request to
 * request: only its growth allocates. What all records of a scope have in common (platform, version, scope, resource)
 * is rendered once, into a buffer of its own, and copied into each line.
 *
 * Every line, and the output as a whole, is bounded while it is written: a line that is too long stops within a few
 * KiB. On any failure the buffer is cut back to its old length, and after a line that is rejected, to where that began.
 * What is cut off counts against the limit of the output, so that nobody has more rendered than that. Values may nest
 * as deep as otlp_scan() allows. */

#include <errno.h>
#include <stdio.h>

#include "protocol/otlp/otlp.h"
#include "protocol/otlp/otlp_line.h"

struct render {
        struct otlp_span resource;
        const struct otlp_source *source;
        size_t line_bytes, output_bytes;
        size_t end_max;   /* where the present line must end */
        bool output_ends; /* because the output does, not because a line does */
        struct buf *lines, *tail;
        struct otlp_faults *faults; /* NULL: all or nothing */
        struct refusal *refusal;
        size_t index;                       /* of the ResourceLogs */
        unsigned scope_index, record_index; /* for messages */
        bool mends_resource, mends_scope;   /* is there text to be mended? */
        unsigned n_lines;
        struct otlp_line line; /* into lines or tail */
};

/* The scope's tail: not rendered yet, rendered, or too long for any line. */
enum tail { TAIL_NONE, TAIL_READY, TAIL_REJECTED };

/* ---- limits and faults ---- */

/* The next bytes go into b, at most as many as a line may have and the output has left. */
static void begin(struct render *r, struct buf *b)
{
        size_t used = r->lines->len + (r->faults ? r->faults->cut_bytes : 0);
        size_t left = used < r->output_bytes ? r->output_bytes - used : 0;
        r->output_ends = left <= r->line_bytes;
        r->end_max = b->len + (r->output_ends ? left : r->line_bytes);
        r->line.json = (struct json_text){ .buf = b, .end_max = r->end_max + OTLP_LINE_TAKEN_BACK_BYTES };
}

static int refuse_line(struct render *r, bool is_tail)
{
        char where[96];
        int n = snprintf(where, sizeof(where), "resource_logs[%zu].scope_logs[%u]", r->index, r->scope_index);
        if (!is_tail)
                snprintf(where + n, sizeof(where) - (size_t)n, ".log_records[%u]", r->record_index);
        if (r->line.json.error == OTLP_LINE_SCRATCH_FULL)
                return refuse(r->refusal, ANSWER_TOO_LARGE, "%s: more than %zu bytes for the members of its objects",
                              where, r->line.scratch_bytes);
        if (r->output_ends)
                return refuse(r->refusal, ANSWER_TOO_LARGE, "request renders to more than %zu bytes of log lines",
                              r->output_bytes);
        return refuse(r->refusal, ANSWER_TOO_LARGE, "%s: %s longer than %zu bytes", where,
                      is_tail ? "what its lines have in common is" : "line is", r->line_bytes);
}

/* Ends what begin() began at `from`. 0; LINE_REJECTED when it was too much, and is cut off; or what refuses the
 * request. */
enum { LINE_REJECTED = ANSWER_MAX_ };
static int end(struct render *r, struct buf *b, size_t from, bool is_tail)
{
        struct json_text *j = &r->line.json;
        if (j->error == 0 && b->len > r->end_max)
                j->error = JSON_TEXT_TOO_LONG;
        if (j->error <= 0)
                return j->error;
        bool refuses = !r->faults || (j->error == JSON_TEXT_TOO_LONG && r->output_ends);
        int a = refuses || r->faults->first.answer == ANSWER_OK ? refuse_line(r, is_tail) : 0;
        if (refuses)
                return a;
        if (a != 0)
                r->faults->first = *r->refusal;
        r->faults->cut_bytes += b->len - from + (is_tail ? 0 : r->tail->len);
        b->len = from;
        buf_clear(r->line.pairs);
        return LINE_REJECTED;
}

/* ---- lines ---- */

static int make_tail(struct render *r, struct otlp_span scope, enum tail *ret)
{
        buf_clear(r->tail);
        begin(r, r->tail);
        r->line.mends = r->mends_resource || r->mends_scope;
        otlp_line_tail(&r->line, r->source, r->resource, scope);
        int a = end(r, r->tail, 0, true);
        *ret = a == 0 ? TAIL_READY : TAIL_REJECTED;
        return a == LINE_REJECTED ? 0 : a;
}

static int put_line(struct render *r, struct otlp_span record, bool mends_record)
{
        size_t from = r->lines->len;
        bool mended = mends_record || r->mends_resource || r->mends_scope;
        begin(r, r->lines);
        r->line.mends = mends_record;
        otlp_line_record(&r->line, record);
        json_text_raw(&r->line.json, (const char *)r->tail->data, r->tail->len);
        if (mended)
                json_text_literal(&r->line.json, ",\"replaced_utf8\":true");
        json_text_literal(&r->line.json, "}\n");
        int a = end(r, r->lines, from, false);
        if (a == 0) {
                r->n_lines++;
                if (mended)
                        r->faults->mended++;
        }
        return a;
}

static struct otlp_span find_scope(struct otlp_span scope_logs)
{
        struct otlp_field field = { 0 };
        while (otlp_next(&scope_logs, &field)) {
                if (field.number == 1)
                        return field.bytes;
        }
        return (struct otlp_span){ 0 };
}

static struct otlp_fault fault_of(const struct render *r, struct otlp_span message)
{
        return r->faults ? otlp_faults_of(r->faults, message.at) : (struct otlp_fault){ 0 };
}

/* 0, LINE_REJECTED, or what refuses the request. */
static int render_record(struct render *r, struct otlp_span scope, struct otlp_span record, enum tail *tail)
{
        struct otlp_fault fault = fault_of(r, record);
        int a = 0;
        if (fault.rejected)
                return LINE_REJECTED;
        if (*tail == TAIL_NONE)
                a = make_tail(r, scope, tail);
        if (a != 0)
                return a;
        return *tail == TAIL_READY ? put_line(r, record, fault.mended) : LINE_REJECTED;
}

static int render_scope(struct render *r, struct otlp_span scope_logs)
{
        const struct otlp_span scope = find_scope(scope_logs);
        struct otlp_fault fault = fault_of(r, scope_logs);
        struct otlp_field field = { 0 };
        enum tail tail = fault.rejected ? TAIL_REJECTED : TAIL_NONE;
        r->mends_scope = fault.mended;
        r->record_index = 0;
        while (otlp_next(&scope_logs, &field)) {
                if (field.number != 2)
                        continue;
                int a = render_record(r, scope, field.bytes, &tail);
                if (a == LINE_REJECTED)
                        r->faults->rejected++;
                else if (a != 0)
                        return a;
                r->record_index++;
        }
        return 0;
}

static int render_all(struct render *r, struct otlp_span resource_logs)
{
        struct otlp_field field = { 0 };
        while (otlp_next(&resource_logs, &field)) {
                if (field.number != 2)
                        continue;
                buf_clear(r->line.pairs);
                int a = render_scope(r, field.bytes);
                if (a != 0)
                        return a;
                r->scope_index++;
        }
        return 0;
}

int otlp_render(const struct otlp_resource_logs *logs, size_t index, const struct otlp_source *source,
                const struct otlp_limits *limits, struct otlp_output *out, struct refusal *r)
{
        struct render render = {
                .resource = logs->resource,
                .source = source,
                .line_bytes = limits->line_bytes,
                .output_bytes = limits->output_bytes ? limits->output_bytes : OTLP_OUTPUT_BYTES_DEFAULT,
                .lines = out->lines,
                .line.pairs = out->scratch,
                .line.scratch_bytes = limits->scratch_bytes ? limits->scratch_bytes : OTLP_SCRATCH_BYTES_DEFAULT,
                .tail = out->tail,
                .faults = out->faults,
                .refusal = r,
                .index = index,
        };
        struct otlp_fault fault = fault_of(&render, logs->message);
        size_t before = out->lines->len;
        out->n_lines = 0;
        if (fault.rejected) {
                out->faults->rejected += logs->records;
                return 0;
        }
        render.mends_resource = fault.mended;
        int a = render_all(&render, logs->message);
        if (a != 0) {
                out->lines->len = before;
                return a;
        }
        out->n_lines = render.n_lines;
        return 0;
}
