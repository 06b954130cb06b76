/* From log records to NDJSON lines, straight from the wire bytes into a buffer that the caller keeps from request to
 * request: only its growth allocates. What all records of a scope have in common (platform, version, scope, resource)
 * is rendered once, into a buffer of its own, and copied into each line.
 *
 * The fields of a record may come in any order, so they are noted first and written afterwards. The members of an
 * object are noted on a stack, because only the last one of each key is written.
 *
 * Every line, and the output as a whole, is bounded while it is written: a line that is too long stops within a few
 * KiB. On any failure the buffer is cut back to its old length, and after a line that is rejected, to where that began.
 * What is cut off counts against the limit of the output, so that nobody has more rendered than that. Values may nest
 * as deep as otlp_scan() allows. */

#include <errno.h>
#include <stdio.h>

#include "protocol/json/json_text.h"
#include "protocol/otlp/otlp.h"
#include "protocol/otlp/otlp_keys.h"
#include "protocol/otlp/otlp_view.h"

enum { SCRATCH_FULL = JSON_TEXT_TOO_LONG + 1 }; /* of json_text.error */

struct render {
        struct otlp_span resource;
        const struct otlp_source *source;
        size_t line_bytes, output_bytes, scratch_bytes;
        size_t end_max;                   /* where the present line must end */
        bool output_ends;                 /* because the output does, not because a line does */
        struct buf *lines, *pairs, *tail; /* pairs: a stack of struct otlp_pair: members of objects being rendered */
        struct otlp_faults *faults;       /* NULL: all or nothing */
        struct refusal *refusal;
        size_t index;                       /* of the ResourceLogs */
        unsigned scope_index, record_index; /* for messages */
        bool mends_resource, mends_scope,
                mends; /* is text there to be mended: in the resource, the tail, what is put */
        unsigned n_lines;
        struct json_text json; /* into lines or tail */
};

/* The scope's tail: not rendered yet, rendered, or too long for any line. */
enum tail { TAIL_NONE, TAIL_READY, TAIL_REJECTED };

static void put_value(struct render *r, struct otlp_span value);

static void put_text(struct render *r, struct otlp_span s)
{
        if (r->mends)
                json_text_mended(&r->json, s.at, otlp_len(s));
        else
                json_text_string(&r->json, s.at, otlp_len(s));
}

static bool is_source_key(struct otlp_span key)
{
        static const char prefix[] = "source.";
        return otlp_len(key) >= sizeof(prefix) - 1 && memcmp(key.at, prefix, sizeof(prefix) - 1) == 0;
}

/* ---- objects ---- */

static void push_pair(struct render *r, struct otlp_span message)
{
        struct buf *b = r->pairs;
        int e = b->len + sizeof(struct otlp_pair) > r->scratch_bytes ? SCRATCH_FULL
                                                                     : buf_reserve(b, sizeof(struct otlp_pair));
        if (e != 0) {
                r->json.error = r->json.error ? r->json.error : e;
                return;
        }
        *(struct otlp_pair *)(void *)(b->data + b->len) = otlp_pair(message);
        b->len += sizeof(struct otlp_pair);
}

/* The pointer is valid until more is pushed. */
static struct otlp_pair *pairs_from(const struct render *r, size_t at)
{
        return (struct otlp_pair *)(void *)(r->pairs->data + at);
}

/* Writes the members that were pushed from `at` on and pops them. Returns how many were written. */
static size_t put_members(struct render *r, size_t at, bool with_source_keys)
{
        _cleanup_(otlp_keys_done) struct otlp_keys keys = { 0 };
        struct json_text *j = &r->json;
        size_t n = (r->pairs->len - at) / sizeof(struct otlp_pair), members = 0;
        int e = n > 0 ? otlp_keys_init(&keys, pairs_from(r, at), n) : 0;
        if (e < 0)
                j->error = j->error ? j->error : e;
        for (size_t i = 0; i < n && !j->error; i++) {
                struct otlp_pair pair = pairs_from(r, at)[i];
                if (!otlp_keys_shows(&keys, i) || (!with_source_keys && is_source_key(pair.key)))
                        continue;
                if (members++ > 0)
                        json_text_literal(j, ",");
                put_text(r, pair.key);
                json_text_literal(j, ":");
                put_value(r, pair.value);
        }
        r->pairs->len = at;
        return members;
}

/* Pushes the KeyValues in the field of that number of a message. Returns where they begin on the stack. */
static size_t push_pairs(struct render *r, struct otlp_span message, unsigned number)
{
        size_t at = r->pairs->len;
        struct otlp_field field = { 0 };
        while (otlp_next(&message, &field)) {
                if (field.number == number)
                        push_pair(r, field.bytes);
        }
        return at;
}

/* ---- values ---- */

static void put_array(struct render *r, struct otlp_span array)
{
        struct json_text *j = &r->json;
        struct otlp_field field = { 0 };
        bool first = true;
        json_text_literal(j, "[");
        while (!j->error && otlp_next(&array, &field)) {
                if (field.number != 1)
                        continue;
                if (!first)
                        json_text_literal(j, ",");
                first = false;
                put_value(r, field.bytes);
        }
        json_text_literal(j, "]");
}

static void put_bool(struct json_text *j, bool v)
{
        if (v)
                json_text_literal(j, "true");
        else
                json_text_literal(j, "false");
}

static double double_of(uint64_t bits)
{
        double v;
        memcpy(&v, &bits, sizeof(v));
        return v;
}

static void put_value(struct render *r, struct otlp_span value)
{
        struct json_text *j = &r->json;
        struct otlp_field v = otlp_any(value);
        switch (v.number) {
        case OTLP_ANY_STRING: put_text(r, v.bytes); return;
        case OTLP_ANY_BOOL: put_bool(j, v.value != 0); return;
        case OTLP_ANY_INT: json_text_i64(j, (int64_t)v.value); return;
        case OTLP_ANY_DOUBLE: json_text_double(j, double_of(v.value)); return;
        case OTLP_ANY_ARRAY: put_array(r, v.bytes); return;
        case OTLP_ANY_KVLIST:
                json_text_literal(j, "{");
                put_members(r, push_pairs(r, v.bytes, 1), true);
                json_text_literal(j, "}");
                return;
        case OTLP_ANY_BYTES: json_text_hex(j, v.bytes.at, otlp_len(v.bytes)); return;
        default: json_text_literal(j, "null"); return;
        }
}

/* ---- records ---- */

struct record {
        uint64_t time_unix_nano, observed_time_unix_nano;
        int32_t severity_number;
        uint32_t dropped_attributes_count, flags;
        struct otlp_span severity_text, body, trace_id, span_id, event_name;
};

/* Pushes the attributes, from *ret_pairs on. */
static void read_record(struct render *r, struct otlp_span message, struct record *ret, size_t *ret_pairs)
{
        struct otlp_field f = { 0 };
        *ret = (struct record){ 0 };
        *ret_pairs = r->pairs->len;
        while (otlp_next(&message, &f)) {
                switch (f.number) {
                case 1: ret->time_unix_nano = f.value; break;
                case 2: ret->severity_number = (int32_t)(uint32_t)f.value; break;
                case 3: ret->severity_text = f.bytes; break;
                case 5: ret->body = f.bytes; break;
                case 6: push_pair(r, f.bytes); break;
                case 7: ret->dropped_attributes_count = (uint32_t)f.value; break;
                case 8: ret->flags = (uint32_t)f.value; break;
                case 9: ret->trace_id = f.bytes; break;
                case 10: ret->span_id = f.bytes; break;
                case 11: ret->observed_time_unix_nano = f.value; break;
                case 12: ret->event_name = f.bytes; break;
                default: break;
                }
        }
}

#define PUT_LITERAL(p, literal) ((uint8_t *)memcpy((p), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)
#define HEAD_SIZE 192 /* three keys and three numbers, or two and two */

static void put_times(struct json_text *j, const struct record *record)
{
        uint8_t *p = json_text_room(j, HEAD_SIZE);
        if (!p)
                return;
        p = json_put_u64(PUT_LITERAL(p, "{\"time_unix_nano\":"), record->time_unix_nano);
        p = json_put_u64(PUT_LITERAL(p, ",\"observed_time_unix_nano\":"), record->observed_time_unix_nano);
        p = json_put_i64(PUT_LITERAL(p, ",\"severity_number\":"), record->severity_number);
        p = PUT_LITERAL(p, ",\"severity_text\":");
        j->buf->len = (size_t)(p - j->buf->data);
}

static void put_counts(struct json_text *j, const struct record *record)
{
        uint8_t *p = json_text_room(j, HEAD_SIZE);
        if (!p)
                return;
        p = json_put_u64(PUT_LITERAL(p, "},\"dropped_attributes_count\":"), record->dropped_attributes_count);
        p = json_put_u64(PUT_LITERAL(p, ",\"flags\":"), record->flags);
        p = PUT_LITERAL(p, ",\"trace_id\":");
        j->buf->len = (size_t)(p - j->buf->data);
}

static void put_record(struct render *r, struct otlp_span message)
{
        struct json_text *j = &r->json;
        struct record record;
        size_t pairs;
        read_record(r, message, &record, &pairs);
        put_times(j, &record);
        put_text(r, record.severity_text);
        json_text_literal(j, ",\"body\":");
        if (record.body.at)
                put_value(r, record.body);
        else
                json_text_literal(j, "null");
        json_text_literal(j, ",\"attributes\":{");
        put_members(r, pairs, true);
        put_counts(j, &record);
        json_text_hex(j, record.trace_id.at, otlp_len(record.trace_id));
        json_text_literal(j, ",\"span_id\":");
        json_text_hex(j, record.span_id.at, otlp_len(record.span_id));
        json_text_literal(j, ",\"event_name\":");
        put_text(r, record.event_name);
}

/* ---- what the lines of a scope share ---- */

static void put_scope_text(struct render *r, const char *name, struct otlp_span s)
{
        if (otlp_len(s) == 0)
                return;
        json_text_raw(&r->json, name, strlen(name));
        put_text(r, s);
        json_text_literal(&r->json, ",");
}

/* Writes the members that are not empty; without any, no scope. Each ends in a comma; the brace overwrites the last. */
static void put_scope(struct render *r, struct otlp_span scope)
{
        struct json_text *j = &r->json;
        struct otlp_span name = { 0 }, version = { 0 }, rest = scope;
        struct otlp_field f = { 0 };
        while (otlp_next(&rest, &f)) {
                if (f.number == 1)
                        name = f.bytes;
                else if (f.number == 2)
                        version = f.bytes;
        }
        size_t before = j->buf->len;
        json_text_literal(j, ",\"scope\":{");
        size_t empty = j->buf->len;
        put_scope_text(r, "\"name\":", name);
        put_scope_text(r, "\"version\":", version);
        size_t before_attributes = j->buf->len;
        json_text_literal(j, "\"attributes\":{");
        if (put_members(r, push_pairs(r, scope, 3), true) > 0)
                json_text_literal(j, "},");
        else
                j->buf->len = before_attributes;
        if (j->buf->len == empty)
                j->buf->len = before;
        else if (!j->error)
                j->buf->data[j->buf->len - 1] = '}';
}

static void put_resource(struct render *r)
{
        struct json_text *j = &r->json;
        size_t before = j->buf->len;
        json_text_literal(j, ",\"resource\":{");
        size_t members = put_members(r, push_pairs(r, r->resource, 1), false);
        json_text_literal(j, "}");
        if (members == 0)
                j->buf->len = before;
}

/* put_scope() and put_resource() may write that much and take it back. It must not count against a line's limit. */
#define TAKEN_BACK_BYTES 64

static struct otlp_span span_of(const char *text, size_t len)
{
        const uint8_t *at = (const uint8_t *)text;
        return (struct otlp_span){ at, at + len };
}

static void put_tail(struct render *r, struct otlp_span scope)
{
        struct json_text *j = &r->json;
        json_text_literal(j, ",\"platform\":");
        put_text(r, span_of(r->source->platform, r->source->platform_len));
        json_text_literal(j, ",\"version\":");
        put_text(r, span_of(r->source->version, r->source->version_len));
        if (scope.at)
                put_scope(r, scope);
        if (r->resource.at)
                put_resource(r);
}

/* ---- limits and faults ---- */

/* The next bytes go into b, at most as many as a line may have and the output has left. */
static void begin(struct render *r, struct buf *b)
{
        size_t used = r->lines->len + (r->faults ? r->faults->cut_bytes : 0);
        size_t left = used < r->output_bytes ? r->output_bytes - used : 0;
        r->output_ends = left <= r->line_bytes;
        r->end_max = b->len + (r->output_ends ? left : r->line_bytes);
        r->json = (struct json_text){ .buf = b, .end_max = r->end_max + TAKEN_BACK_BYTES };
}

static int refuse_line(struct render *r, bool is_tail)
{
        char where[96];
        int n = snprintf(where, sizeof(where), "resource_logs[%zu].scope_logs[%u]", r->index, r->scope_index);
        if (!is_tail)
                snprintf(where + n, sizeof(where) - (size_t)n, ".log_records[%u]", r->record_index);
        if (r->json.error == SCRATCH_FULL)
                return refuse(r->refusal, ANSWER_TOO_LARGE, "%s: more than %zu bytes for the members of its objects",
                              where, r->scratch_bytes);
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
        struct json_text *j = &r->json;
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
        buf_clear(r->pairs);
        return LINE_REJECTED;
}

/* ---- lines ---- */

static int make_tail(struct render *r, struct otlp_span scope, enum tail *ret)
{
        buf_clear(r->tail);
        begin(r, r->tail);
        r->mends = r->mends_resource || r->mends_scope;
        put_tail(r, scope);
        int a = end(r, r->tail, 0, true);
        *ret = a == 0 ? TAIL_READY : TAIL_REJECTED;
        return a == LINE_REJECTED ? 0 : a;
}

static int put_line(struct render *r, struct otlp_span record, bool mends_record)
{
        size_t from = r->lines->len;
        bool mended = mends_record || r->mends_resource || r->mends_scope;
        begin(r, r->lines);
        r->mends = mends_record;
        put_record(r, record);
        json_text_raw(&r->json, (const char *)r->tail->data, r->tail->len);
        if (mended)
                json_text_literal(&r->json, ",\"replaced_utf8\":true");
        json_text_literal(&r->json, "}\n");
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
                buf_clear(r->pairs);
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
                .scratch_bytes = limits->scratch_bytes ? limits->scratch_bytes : OTLP_SCRATCH_BYTES_DEFAULT,
                .lines = out->lines,
                .pairs = out->scratch,
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
