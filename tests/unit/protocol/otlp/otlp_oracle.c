/* Writes a line without limits, and then compares its length and that of the whole output with the limits. */

#include "otlp_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.pb-c.h"
#include "protocol/json/json_text.h"

typedef Opentelemetry__Proto__Common__V1__AnyValue OracleAnyValue;
typedef Opentelemetry__Proto__Common__V1__KeyValue OracleKeyValue;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope OracleScope;
typedef Opentelemetry__Proto__Common__V1__Resource OracleResource;
typedef Opentelemetry__Proto__Logs__V1__LogRecord OracleLogRecord;

#define ANY(name) OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_##name

struct oracle {
        struct json_text json;
        size_t open, open_max; /* members of objects being written */
};

static void put(struct oracle *o, const char *text)
{
        json_text_raw(&o->json, text, strlen(text));
}

static void put_text(struct oracle *o, ProtobufCBinaryData s)
{
        json_text_string(&o->json, s.data, s.len);
}

static void put_hex(struct oracle *o, ProtobufCBinaryData s)
{
        static const char digits[] = "0123456789abcdef";
        put(o, "\"");
        for (size_t i = 0; i < s.len; i++)
                json_text_raw(&o->json, (const char[]){ digits[s.data[i] >> 4], digits[s.data[i] & 15] }, 2);
        put(o, "\"");
}

static void put_number(struct oracle *o, const char *name, unsigned long long v)
{
        char text[64];
        snprintf(text, sizeof(text), "\"%s\":%llu,", name, v);
        put(o, text);
}

/* ---- objects and values ---- */

static bool same(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool text_is(ProtobufCBinaryData s, const char *text)
{
        return s.len == strlen(text) && (s.len == 0 || memcmp(s.data, text, s.len) == 0);
}

static bool shows(OracleKeyValue *const *list, size_t n, size_t i)
{
        if (!list[i]->value)
                return false;
        for (size_t k = i + 1; k < n; k++) {
                if (list[k]->value && same(list[i]->key, list[k]->key))
                        return false;
        }
        return true;
}

static void open_members(struct oracle *o, size_t n)
{
        o->open += n;
        if (o->open > o->open_max)
                o->open_max = o->open;
}

static void put_value(struct oracle *o, const OracleAnyValue *v);

/* Takes them off the count again. */
static size_t put_members(struct oracle *o, OracleKeyValue *const *list, size_t n, bool all)
{
        size_t shown = 0;
        for (size_t i = 0; i < n; i++) {
                ProtobufCBinaryData key = list[i]->key;
                if (!shows(list, n, i) || (!all && key.len >= 7 && memcmp(key.data, "source.", 7) == 0))
                        continue;
                put(o, shown++ > 0 ? "," : "");
                put_text(o, key);
                put(o, ":");
                put_value(o, list[i]->value);
        }
        o->open -= n;
        return shown;
}

static void put_kvlist(struct oracle *o, OracleKeyValue *const *list, size_t n)
{
        put(o, "{");
        open_members(o, n);
        put_members(o, list, n, true);
        put(o, "}");
}

static void put_array(struct oracle *o, OracleAnyValue *const *values, size_t n)
{
        put(o, "[");
        for (size_t i = 0; i < n; i++) {
                put(o, i > 0 ? "," : "");
                put_value(o, values[i]);
        }
        put(o, "]");
}

static void put_value(struct oracle *o, const OracleAnyValue *v)
{
        switch (v->value_case) {
        case ANY(STRING_VALUE): put_text(o, v->string_value); break;
        case ANY(BOOL_VALUE): put(o, v->bool_value ? "true" : "false"); break;
        case ANY(INT_VALUE): json_text_i64(&o->json, v->int_value); break;
        case ANY(DOUBLE_VALUE): json_text_double(&o->json, v->double_value); break;
        case ANY(ARRAY_VALUE): put_array(o, v->array_value->values, v->array_value->n_values); break;
        case ANY(KVLIST_VALUE): put_kvlist(o, v->kvlist_value->values, v->kvlist_value->n_values); break;
        case ANY(BYTES_VALUE): put_hex(o, v->bytes_value); break;
        default: put(o, "null");
        }
}

/* ---- lines ---- */

static void put_record(struct oracle *o, const OracleLogRecord *record)
{
        char text[64];
        open_members(o, record->n_attributes);
        put(o, "{");
        put_number(o, "time_unix_nano", record->time_unix_nano);
        put_number(o, "observed_time_unix_nano", record->observed_time_unix_nano);
        snprintf(text, sizeof(text), "\"severity_number\":%d,\"severity_text\":", record->severity_number);
        put(o, text);
        put_text(o, record->severity_text);
        put(o, ",\"body\":");
        if (record->body)
                put_value(o, record->body);
        else
                put(o, "null");
        put(o, ",\"attributes\":{");
        put_members(o, record->attributes, record->n_attributes, true);
        put(o, "},");
        put_number(o, "dropped_attributes_count", record->dropped_attributes_count);
        put_number(o, "flags", record->flags);
        put(o, "\"trace_id\":");
        put_hex(o, record->trace_id);
        put(o, ",\"span_id\":");
        put_hex(o, record->span_id);
        put(o, ",\"event_name\":");
        put_text(o, record->event_name);
}

/* Into a text of its own, to see whether it is empty. */
static struct buf members_of(struct oracle *o, OracleKeyValue *const *list, size_t n, bool all)
{
        struct buf out = { 0 };
        struct oracle members = { .json = { .buf = &out, .end_max = SIZE_MAX / 2 } };
        open_members(&members, n);
        put_members(&members, list, n, all);
        if (members.open_max > o->open_max)
                o->open_max = members.open_max;
        if (members.json.error)
                abort();
        return out;
}

static void put_scope(struct oracle *o, const OracleScope *scope)
{
        _cleanup_(buf_done) struct buf members = members_of(o, scope->attributes, scope->n_attributes, true);
        const char *comma = "";
        if (scope->name.len == 0 && scope->version.len == 0 && members.len == 0)
                return;
        put(o, ",\"scope\":{");
        if (scope->name.len > 0) {
                put(o, "\"name\":");
                put_text(o, scope->name);
                comma = ",";
        }
        if (scope->version.len > 0) {
                put(o, comma);
                put(o, "\"version\":");
                put_text(o, scope->version);
                comma = ",";
        }
        if (members.len > 0) {
                put(o, comma);
                put(o, "\"attributes\":{");
                json_text_raw(&o->json, (const char *)members.data, members.len);
                put(o, "}");
        }
        put(o, "}");
}

static void put_resource(struct oracle *o, const OracleResource *resource)
{
        _cleanup_(buf_done) struct buf members = members_of(o, resource->attributes, resource->n_attributes, false);
        if (members.len == 0)
                return;
        put(o, ",\"resource\":{");
        json_text_raw(&o->json, (const char *)members.data, members.len);
        put(o, "}");
}

static void put_line(struct oracle *o, const OracleResourceLogs *logs, const OracleScope *scope,
                     const OracleLogRecord *record, const struct otlp_source *source)
{
        put_record(o, record);
        put(o, ",\"platform\":");
        json_text_string(&o->json, source->platform, source->platform_len);
        put(o, ",\"version\":");
        json_text_string(&o->json, source->version, source->version_len);
        if (scope)
                put_scope(o, scope);
        if (logs->resource)
                put_resource(o, logs->resource);
        put(o, "}\n");
}

struct otlp_oracle_verdict otlp_oracle_render(const OracleResourceLogs *logs, const struct otlp_source *source,
                                              const struct otlp_limits *limits, struct buf *out)
{
        struct otlp_oracle_verdict v = { 0 };
        struct oracle o = { .json = { .buf = out, .end_max = SIZE_MAX / 2 } };
        size_t output_bytes = limits->output_bytes ? limits->output_bytes : OTLP_OUTPUT_BYTES_DEFAULT;
        size_t scratch_bytes = limits->scratch_bytes ? limits->scratch_bytes : OTLP_SCRATCH_BYTES_DEFAULT;
        for (size_t s = 0; s < logs->n_scope_logs; s++) {
                for (size_t i = 0; i < logs->scope_logs[s]->n_log_records; i++) {
                        size_t before = out->len;
                        put_line(&o, logs, logs->scope_logs[s]->scope, logs->scope_logs[s]->log_records[i], source);
                        if (o.json.error || o.open != 0)
                                abort();
                        v.lines++;
                        v.long_line = out->len - before > limits->line_bytes;
                        v.long_output = out->len > output_bytes;
                        v.many_members = o.open_max * 32 > scratch_bytes;
                        if (v.long_line || v.long_output || v.many_members)
                                return v;
                }
        }
        return v;
}

/* ---- sources ---- */

static const OracleAnyValue *first_value(const OracleResource *resource, const char *key)
{
        for (size_t i = 0; resource && i < resource->n_attributes; i++) {
                if (text_is(resource->attributes[i]->key, key))
                        return resource->attributes[i]->value;
        }
        return NULL;
}

/* The first of the keys, which end with NULL, whose first value is a string; without derive only the first key. */
static const char *find(const OracleResource *resource, const char *const *keys, bool derive, ProtobufCBinaryData *ret)
{
        for (; *keys; keys++) {
                const OracleAnyValue *v = first_value(resource, *keys);
                if (v && v->value_case == ANY(STRING_VALUE)) {
                        *ret = v->string_value;
                        return *keys;
                }
                if (!derive)
                        break;
        }
        return NULL;
}

static bool component(ProtobufCBinaryData s, char ret[SOURCE_COMPONENT_MAX + 1])
{
        if (!source_component_valid(s.len ? (const char *)s.data : "", s.len))
                return false;
        snprintf(ret, SOURCE_COMPONENT_MAX + 1, "%.*s", (int)s.len, (const char *)s.data);
        return true;
}

const char *otlp_oracle_source(const OracleResourceLogs *logs, bool derive, const char *token_project,
                               struct otlp_source *ret)
{
        static const char *const names[4][6] = {
                { "source.project" },
                { "source.platform", "os.type" },
                { "source.version", "service.version" },
                { "source.install_id", "service.instance.id", "host.id", "host.name", "service.name" },
        };
        ProtobufCBinaryData texts[4] = { 0 };
        const char *found[4];
        if (!logs->resource && !derive)
                return "resource_logs.resource is required";
        for (size_t i = 0; i < 4; i++)
                found[i] = find(logs->resource, names[i], derive, &texts[i]);
        if (!found[0] && derive && token_project) {
                found[0] = names[0][0];
                texts[0] = (ProtobufCBinaryData){ strlen(token_project), (uint8_t *)(uintptr_t)token_project };
        }
        for (size_t i = 0; i < 4; i++) {
                if (!found[i] && (!derive || i == 0 || i == 3))
                        return names[i][0];
        }
        if (!component(texts[0], ret->id.project))
                return found[0];
        if (!component(texts[3], ret->id.install_id))
                return found[3];
        ret->platform = (const char *)texts[1].data;
        ret->platform_len = texts[1].len;
        ret->version = (const char *)texts[2].data;
        ret->version_len = texts[2].len;
        return NULL;
}
