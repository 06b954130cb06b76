/* Log records to NDJSON lines, appended to a buffer that the caller keeps from request to request: no allocation but its
 * growth. What is the same for all records of a scope (platform, version, scope, resource) is rendered into the first
 * line and copied from there into the others.
 *
 * Every line, and the output as a whole, is bounded while it is written: a line far over its limit stops within a few
 * KiB. On any failure the buffer is cut back to what it was. Values may nest as deep as otlp_scan() let them. */

#include "protocol/json_text.h"
#include "protocol/otlp.h"
#include "protocol/otlp_keys.h"
#include "protocol/otlp_messages.h"

static void put_value(struct json_text *j, const OtlpAnyValue *v);

static void put_text(struct json_text *j, const ProtobufCBinaryData *s)
{
        json_text_string(j, s->data, s->len);
}

static bool is_source_key(const ProtobufCBinaryData *key)
{
        static const char prefix[] = "source.";
        return key->len >= sizeof(prefix) - 1 && memcmp(key->data, prefix, sizeof(prefix) - 1) == 0;
}

/* The members of an object. Returns how many there were. */
static size_t put_members(struct json_text *j, OtlpKeyValue *const *list, size_t n, bool with_source_keys)
{
        _cleanup_(otlp_keys_done) struct otlp_keys keys;
        size_t members = 0;
        int r = otlp_keys_init(&keys, list, n);
        if (r < 0) {
                j->error = j->error ? j->error : r;
                return 0;
        }
        for (size_t i = 0; i < n && !j->error; i++) {
                if (!otlp_keys_shows(&keys, i) || (!with_source_keys && is_source_key(&list[i]->key)))
                        continue;
                if (members++ > 0)
                        json_text_literal(j, ",");
                put_text(j, &list[i]->key);
                json_text_literal(j, ":");
                put_value(j, list[i]->value);
        }
        return members;
}

static void put_object(struct json_text *j, OtlpKeyValue *const *list, size_t n)
{
        json_text_literal(j, "{");
        put_members(j, list, n, true);
        json_text_literal(j, "}");
}

static void put_array(struct json_text *j, const OtlpArrayValue *array)
{
        json_text_literal(j, "[");
        for (size_t i = 0; i < array->n_values && !j->error; i++) {
                if (i > 0)
                        json_text_literal(j, ",");
                put_value(j, array->values[i]);
        }
        json_text_literal(j, "]");
}

static void put_value(struct json_text *j, const OtlpAnyValue *v)
{
        switch (v->value_case) {
        case OTLP_ANY(STRING_VALUE): put_text(j, &v->string_value); return;
        case OTLP_ANY(BOOL_VALUE):
                if (v->bool_value)
                        json_text_literal(j, "true");
                else
                        json_text_literal(j, "false");
                return;
        case OTLP_ANY(INT_VALUE): json_text_i64(j, v->int_value); return;
        case OTLP_ANY(DOUBLE_VALUE): json_text_double(j, v->double_value); return;
        case OTLP_ANY(ARRAY_VALUE): put_array(j, v->array_value); return;
        case OTLP_ANY(KVLIST_VALUE): put_object(j, v->kvlist_value->values, v->kvlist_value->n_values); return;
        case OTLP_ANY(BYTES_VALUE): json_text_hex(j, v->bytes_value.data, v->bytes_value.len); return;
        default: json_text_literal(j, "null"); return;
        }
}

#define PUT_LITERAL(p, literal) ((uint8_t *)memcpy((p), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)
#define HEAD_SIZE 192 /* three keys and three numbers, or two and two */

static void put_times(struct json_text *j, const OtlpLogRecord *record)
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

static void put_counts(struct json_text *j, const OtlpLogRecord *record)
{
        uint8_t *p = json_text_room(j, HEAD_SIZE);
        if (!p)
                return;
        p = json_put_u64(PUT_LITERAL(p, "},\"dropped_attributes_count\":"), record->dropped_attributes_count);
        p = json_put_u64(PUT_LITERAL(p, ",\"flags\":"), record->flags);
        p = PUT_LITERAL(p, ",\"trace_id\":");
        j->buf->len = (size_t)(p - j->buf->data);
}

static void put_record(struct json_text *j, const OtlpLogRecord *record)
{
        put_times(j, record);
        put_text(j, &record->severity_text);
        json_text_literal(j, ",\"body\":");
        if (record->body)
                put_value(j, record->body);
        else
                json_text_literal(j, "null");
        json_text_literal(j, ",\"attributes\":{");
        put_members(j, record->attributes, record->n_attributes, true);
        put_counts(j, record);
        json_text_hex(j, record->trace_id.data, record->trace_id.len);
        json_text_literal(j, ",\"span_id\":");
        json_text_hex(j, record->span_id.data, record->span_id.len);
        json_text_literal(j, ",\"event_name\":");
        put_text(j, &record->event_name);
}

static void put_scope_text(struct json_text *j, const char *name, const ProtobufCBinaryData *s)
{
        if (s->len == 0)
                return;
        json_text_raw(j, name, strlen(name));
        put_text(j, s);
        json_text_literal(j, ",");
}

/* Members that are not empty; without any, no scope. Each leaves a comma behind, which the brace overwrites. */
static void put_scope(struct json_text *j, const OtlpScope *scope)
{
        size_t before = j->buf->len;
        json_text_literal(j, ",\"scope\":{");
        size_t empty = j->buf->len;
        put_scope_text(j, "\"name\":", &scope->name);
        put_scope_text(j, "\"version\":", &scope->version);
        size_t before_attributes = j->buf->len;
        json_text_literal(j, "\"attributes\":{");
        if (put_members(j, scope->attributes, scope->n_attributes, true) > 0)
                json_text_literal(j, "},");
        else
                j->buf->len = before_attributes;
        if (j->buf->len == empty) {
                j->buf->len = before;
        } else if (!j->error) {
                j->buf->data[j->buf->len - 1] = '}';
        }
}

static void put_resource(struct json_text *j, const OtlpResource *resource)
{
        size_t before = j->buf->len;
        json_text_literal(j, ",\"resource\":{");
        size_t members = put_members(j, resource->attributes, resource->n_attributes, false);
        json_text_literal(j, "}");
        if (members == 0)
                j->buf->len = before;
}

/* What put_scope() and put_resource() may write and take back: it must not count against a line's limit. */
#define TAKEN_BACK_BYTES 64

struct render {
        const OtlpResourceLogs *logs;
        const struct otlp_source *source;
        size_t line_bytes, output_bytes;
        size_t end_max;           /* where the present line must end */
        size_t tail_at, tail_len; /* what the lines of this scope share, in the buffer; len 0: not yet there */
        struct json_text json;
};

static void put_new_tail(struct render *r, const OtlpScopeLogs *scope_logs)
{
        struct json_text *j = &r->json;
        r->tail_at = j->buf->len;
        json_text_literal(j, ",\"platform\":");
        json_text_string(j, r->source->platform, r->source->platform_len);
        json_text_literal(j, ",\"version\":");
        json_text_string(j, r->source->version, r->source->version_len);
        if (scope_logs->scope)
                put_scope(j, scope_logs->scope);
        if (r->logs->resource)
                put_resource(j, r->logs->resource);
        json_text_literal(j, "}\n");
        r->tail_len = j->buf->len - r->tail_at;
}

static void put_line(struct render *r, const OtlpScopeLogs *scope_logs, const OtlpLogRecord *record)
{
        struct json_text *j = &r->json;
        put_record(j, record);
        if (r->tail_len == 0) {
                put_new_tail(r, scope_logs);
                return;
        }
        uint8_t *p = json_text_room(j, r->tail_len);
        if (!p)
                return;
        memcpy(p, j->buf->data + r->tail_at, r->tail_len);
        j->buf->len += r->tail_len;
}

/* The lower of the two limits, seen from where the line begins. */
static void begin_line(struct render *r)
{
        size_t at = r->json.buf->len;
        size_t left = at < r->output_bytes ? r->output_bytes - at : 0;
        r->end_max = at + (r->line_bytes < left ? r->line_bytes : left);
        r->json.end_max = r->end_max + TAKEN_BACK_BYTES;
}

static int end_line(struct render *r, size_t scope, size_t record, struct refusal *refusal)
{
        struct json_text *j = &r->json;
        if (j->error == 0 && j->buf->len > r->end_max)
                j->error = JSON_TEXT_TOO_LONG;
        if (j->error <= 0)
                return j->error;
        if (r->end_max == r->output_bytes)
                return refuse(refusal, ANSWER_TOO_LARGE, "request renders to more than %zu bytes of log lines",
                              r->output_bytes);
        return refuse(refusal, ANSWER_TOO_LARGE, "scope_logs[%zu].log_records[%zu]: line is longer than %zu bytes",
                      scope, record, r->line_bytes);
}

static int render_scope(struct render *r, size_t scope, struct refusal *refusal)
{
        const OtlpScopeLogs *scope_logs = r->logs->scope_logs[scope];
        r->tail_len = 0;
        for (size_t i = 0; i < scope_logs->n_log_records; i++) {
                begin_line(r);
                put_line(r, scope_logs, scope_logs->log_records[i]);
                int a = end_line(r, scope, i, refusal);
                if (a != 0)
                        return a;
        }
        return 0;
}

int otlp_render(const OtlpResourceLogs *logs, const struct otlp_source *source, const struct otlp_limits *limits,
                struct buf *out, struct refusal *r)
{
        struct render render = {
                .logs = logs,
                .source = source,
                .line_bytes = limits->line_bytes,
                .output_bytes = limits->output_bytes ? limits->output_bytes : OTLP_OUTPUT_BYTES_DEFAULT,
                .json = { .buf = out },
        };
        size_t before = out->len;
        for (size_t i = 0; i < logs->n_scope_logs; i++) {
                int a = render_scope(&render, i, r);
                if (a != 0) {
                        out->len = before;
                        return a;
                }
        }
        return 0;
}
