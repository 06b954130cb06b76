/* What a log line is made of, straight from the wire bytes.
 *
 * The fields of a record may come in any order, so they are noted first and written afterwards. The members of an
 * object are noted on a stack, because only the last one of each key is written. */

#include "protocol/otlp/otlp_line.h"

#include <errno.h>

#include "protocol/otlp/otlp_keys.h"

static void put_value(struct otlp_line *l, struct otlp_span value);

static void put_text(struct otlp_line *l, struct otlp_span s)
{
        if (l->mends)
                json_text_mended(&l->json, s.at, otlp_len(s));
        else
                json_text_string(&l->json, s.at, otlp_len(s));
}

static bool is_source_key(struct otlp_span key)
{
        static const char prefix[] = "source.";
        return otlp_len(key) >= sizeof(prefix) - 1 && memcmp(key.at, prefix, sizeof(prefix) - 1) == 0;
}

/* ---- objects ---- */

static void push_pair(struct otlp_line *l, struct otlp_span message)
{
        struct buf *b = l->pairs;
        int e = b->len + sizeof(struct otlp_pair) > l->scratch_bytes ? OTLP_LINE_SCRATCH_FULL
                                                                     : buf_reserve(b, sizeof(struct otlp_pair));
        if (e != 0) {
                l->json.error = l->json.error ? l->json.error : e;
                return;
        }
        *(struct otlp_pair *)(void *)(b->data + b->len) = otlp_pair(message);
        b->len += sizeof(struct otlp_pair);
}

/* The pointer is valid until more is pushed. */
static struct otlp_pair *pairs_from(const struct otlp_line *l, size_t at)
{
        return (struct otlp_pair *)(void *)(l->pairs->data + at);
}

/* Writes the members that were pushed from `at` on and pops them. Returns how many were written. */
static size_t put_members(struct otlp_line *l, size_t at, bool with_source_keys)
{
        _cleanup_(otlp_keys_done) struct otlp_keys keys = { 0 };
        struct json_text *j = &l->json;
        size_t n = (l->pairs->len - at) / sizeof(struct otlp_pair), members = 0;
        int e = n > 0 ? otlp_keys_init(&keys, pairs_from(l, at), n) : 0;
        if (e < 0)
                j->error = j->error ? j->error : e;
        for (size_t i = 0; i < n && !j->error; i++) {
                struct otlp_pair pair = pairs_from(l, at)[i];
                if (!otlp_keys_shows(&keys, i) || (!with_source_keys && is_source_key(pair.key)))
                        continue;
                if (members++ > 0)
                        json_text_literal(j, ",");
                put_text(l, pair.key);
                json_text_literal(j, ":");
                put_value(l, pair.value);
        }
        l->pairs->len = at;
        return members;
}

/* Pushes the KeyValues in the field of that number of a message. Returns where they begin on the stack. */
static size_t push_pairs(struct otlp_line *l, struct otlp_span message, unsigned number)
{
        size_t at = l->pairs->len;
        struct otlp_field field = { 0 };
        while (otlp_next(&message, &field)) {
                if (field.number == number)
                        push_pair(l, field.bytes);
        }
        return at;
}

/* ---- values ---- */

static void put_array(struct otlp_line *l, struct otlp_span array)
{
        struct json_text *j = &l->json;
        struct otlp_field field = { 0 };
        bool first = true;
        json_text_literal(j, "[");
        while (!j->error && otlp_next(&array, &field)) {
                if (field.number != 1)
                        continue;
                if (!first)
                        json_text_literal(j, ",");
                first = false;
                put_value(l, field.bytes);
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

static void put_value(struct otlp_line *l, struct otlp_span value)
{
        struct json_text *j = &l->json;
        struct otlp_field v = otlp_any(value);
        switch (v.number) {
        case OTLP_ANY_STRING: put_text(l, v.bytes); return;
        case OTLP_ANY_BOOL: put_bool(j, v.value != 0); return;
        case OTLP_ANY_INT: json_text_i64(j, (int64_t)v.value); return;
        case OTLP_ANY_DOUBLE: json_text_double(j, double_of(v.value)); return;
        case OTLP_ANY_ARRAY: put_array(l, v.bytes); return;
        case OTLP_ANY_KVLIST:
                json_text_literal(j, "{");
                put_members(l, push_pairs(l, v.bytes, 1), true);
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
static void read_record(struct otlp_line *l, struct otlp_span message, struct record *ret, size_t *ret_pairs)
{
        struct otlp_field f = { 0 };
        *ret = (struct record){ 0 };
        *ret_pairs = l->pairs->len;
        while (otlp_next(&message, &f)) {
                switch (f.number) {
                case 1: ret->time_unix_nano = f.value; break;
                case 2: ret->severity_number = (int32_t)(uint32_t)f.value; break;
                case 3: ret->severity_text = f.bytes; break;
                case 5: ret->body = f.bytes; break;
                case 6: push_pair(l, f.bytes); break;
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

void otlp_line_record(struct otlp_line *l, struct otlp_span message)
{
        struct json_text *j = &l->json;
        struct record record;
        size_t pairs;
        read_record(l, message, &record, &pairs);
        put_times(j, &record);
        put_text(l, record.severity_text);
        json_text_literal(j, ",\"body\":");
        if (record.body.at)
                put_value(l, record.body);
        else
                json_text_literal(j, "null");
        json_text_literal(j, ",\"attributes\":{");
        put_members(l, pairs, true);
        put_counts(j, &record);
        json_text_hex(j, record.trace_id.at, otlp_len(record.trace_id));
        json_text_literal(j, ",\"span_id\":");
        json_text_hex(j, record.span_id.at, otlp_len(record.span_id));
        json_text_literal(j, ",\"event_name\":");
        put_text(l, record.event_name);
}

/* ---- what the lines of a scope share ---- */

static void put_scope_text(struct otlp_line *l, const char *name, struct otlp_span s)
{
        if (otlp_len(s) == 0)
                return;
        json_text_raw(&l->json, name, strlen(name));
        put_text(l, s);
        json_text_literal(&l->json, ",");
}

/* Writes the members that are not empty; without any, no scope. Each ends in a comma; the brace overwrites the last. */
static void put_scope(struct otlp_line *l, struct otlp_span scope)
{
        struct json_text *j = &l->json;
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
        put_scope_text(l, "\"name\":", name);
        put_scope_text(l, "\"version\":", version);
        size_t before_attributes = j->buf->len;
        json_text_literal(j, "\"attributes\":{");
        if (put_members(l, push_pairs(l, scope, 3), true) > 0)
                json_text_literal(j, "},");
        else
                j->buf->len = before_attributes;
        if (j->buf->len == empty)
                j->buf->len = before;
        else if (!j->error)
                j->buf->data[j->buf->len - 1] = '}';
}

static void put_resource(struct otlp_line *l, struct otlp_span resource)
{
        struct json_text *j = &l->json;
        size_t before = j->buf->len;
        json_text_literal(j, ",\"resource\":{");
        size_t members = put_members(l, push_pairs(l, resource, 1), false);
        json_text_literal(j, "}");
        if (members == 0)
                j->buf->len = before;
}

static struct otlp_span span_of(const char *text, size_t len)
{
        const uint8_t *at = (const uint8_t *)text;
        return (struct otlp_span){ at, at + len };
}

void otlp_line_tail(struct otlp_line *l, const struct otlp_source *source, struct otlp_span resource,
                    struct otlp_span scope)
{
        struct json_text *j = &l->json;
        json_text_literal(j, ",\"platform\":");
        put_text(l, span_of(source->platform, source->platform_len));
        json_text_literal(j, ",\"version\":");
        put_text(l, span_of(source->version, source->version_len));
        if (scope.at)
                put_scope(l, scope);
        if (resource.at)
                put_resource(l, resource);
}
