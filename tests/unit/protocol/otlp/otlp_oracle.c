/* Writes a line without limits, and then compares its length and that of the whole output with the limits. */

#include "otlp_oracle.h"

#include <openssl/evp.h>
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

/* False unless the first value of the key is a string. */
static bool find(const OracleResource *resource, const char *key, ProtobufCBinaryData *ret)
{
        const OracleAnyValue *v = first_value(resource, key);
        if (!v || v->value_case != ANY(STRING_VALUE))
                return false;
        *ret = v->string_value;
        return true;
}

static bool component(ProtobufCBinaryData s, char ret[SOURCE_COMPONENT_MAX + 1])
{
        if (!source_component_valid(s.len ? (const char *)s.data : "", s.len))
                return false;
        snprintf(ret, SOURCE_COMPONENT_MAX + 1, "%.*s", (int)s.len, (const char *)s.data);
        return true;
}

/* The escaped text may be three times as long as the name. */
static void escape(const char *name, size_t len, char ret[SOURCE_COMPONENT_MAX + 1])
{
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+:";
        char *all = calloc(3, len + 1), *end = all;
        size_t ends[SOURCE_COMPONENT_MAX] = { 0 }; /* where each unit begins */
        unsigned units = 0;
        if (!all)
                abort();
        for (size_t i = 0; i < len; i++) {
                if (units < SOURCE_COMPONENT_MAX)
                        ends[units++] = (size_t)(end - all);
                if (name[i] && strchr(plain, name[i]) && (i > 0 || name[i] != '.'))
                        *end++ = name[i];
                else
                        end += sprintf(end, "~%02X", (uint8_t)name[i]);
        }
        if (end - all <= SOURCE_COMPONENT_MAX) {
                memcpy(ret, all, (size_t)(end - all) + 1);
        } else {
                uint8_t digest[32];
                size_t kept = 0;
                EVP_Digest(name, len, digest, NULL, EVP_sha256(), NULL);
                for (unsigned i = 0; i < units; i++)
                        kept = ends[i] <= 110 ? ends[i] : kept;
                sprintf(ret, "%.*s~~", (int)kept, all);
                for (int i = 0; i < 8; i++)
                        sprintf(ret + kept + 2 + 2 * i, "%02x", digest[i]);
        }
        free(all);
}

const char *const otlp_oracle_rules[] = { "device.id", "service.name@host.name", "host.name", "service.name", NULL };

/* Appends the value of an attribute that is not empty. */
static bool add_value(const OracleResource *resource, const char *key, size_t key_len, bool pair, struct buf *name)
{
        char text[64];
        ProtobufCBinaryData value = { 0 };
        snprintf(text, sizeof(text), "%.*s", (int)key_len, key);
        if (!find(resource, text, &value) || value.len == 0)
                return false;
        if (pair && strcmp(text, "service.name") == 0 && value.len >= 15 &&
            memcmp(value.data, "unknown_service", 15) == 0)
                return false;
        if (buf_append(name, value.data, value.len) < 0)
                abort();
        return true;
}

static void derive_name(const OracleResource *resource, const char *token_id, char ret[SOURCE_COMPONENT_MAX + 1])
{
        for (const char *const *rule = otlp_oracle_rules; *rule; rule++) {
                struct buf name = { 0 };
                const char *at = strchr(*rule, '@');
                bool all = add_value(resource, *rule, strcspn(*rule, "@"), at != NULL, &name);
                if (at && all)
                        all = buf_append_char(&name, '@') == 0 &&
                              add_value(resource, at + 1, strlen(at + 1), true, &name);
                if (all)
                        escape((const char *)name.data, name.len, ret);
                buf_done(&name);
                if (all)
                        return;
        }
        escape(token_id, strlen(token_id), ret);
}

const char *otlp_oracle_source(const OracleResourceLogs *logs, bool derive, const struct otlp_token *token,
                               struct otlp_source *ret)
{
        static const char *const own[] = { "source.project", "source.platform", "source.version", "source.install_id" };
        static const char *const stock[] = { NULL, "os.type", "service.version", NULL };
        ProtobufCBinaryData texts[4] = { 0 };
        bool found[4];
        if (!logs->resource && !derive)
                return "resource_logs.resource is required";
        for (size_t i = 0; i < 4; i++) {
                found[i] = find(logs->resource, own[i], &texts[i]);
                if (!found[i] && !derive)
                        return own[i];
                if (!found[i] && stock[i])
                        find(logs->resource, stock[i], &texts[i]);
        }
        if (!found[0] && !token->project)
                return own[0];
        if (!found[0])
                texts[0] = (ProtobufCBinaryData){ strlen(token->project), (uint8_t *)(uintptr_t)token->project };
        if (!component(texts[0], ret->id.project))
                return own[0];
        if (!found[3])
                derive_name(logs->resource, token->id, ret->id.install_id);
        else if (!component(texts[3], ret->id.install_id))
                return own[3];
        ret->platform = (const char *)texts[1].data;
        ret->platform_len = texts[1].len;
        ret->version = (const char *)texts[2].data;
        ret->version_len = texts[2].len;
        return NULL;
}
