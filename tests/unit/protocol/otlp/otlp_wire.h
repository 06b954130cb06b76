#pragma once
/* Writes protobuf wire bytes by hand, right or wrong, for tests. Out of memory ends the test. */

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

static inline void wire_raw(struct buf *b, const void *data, size_t len)
{
        if (buf_append(b, data, len) < 0)
                abort();
}

static inline void wire_varint(struct buf *b, uint64_t v)
{
        do {
                uint8_t byte = (uint8_t)(v & 0x7F) | (v > 0x7F ? 0x80 : 0);
                wire_raw(b, &byte, 1);
                v >>= 7;
        } while (v);
}

static inline void wire_int(struct buf *b, unsigned field, uint64_t v)
{
        wire_varint(b, field << 3);
        wire_varint(b, v);
}

static inline void wire_fixed64(struct buf *b, unsigned field, uint64_t v)
{
        wire_varint(b, field << 3 | 1);
        wire_raw(b, &v, sizeof(v));
}

static inline void wire_fixed32(struct buf *b, unsigned field, uint32_t v)
{
        wire_varint(b, field << 3 | 5);
        wire_raw(b, &v, sizeof(v));
}

static inline void wire_double(struct buf *b, unsigned field, double v)
{
        uint64_t bits;
        memcpy(&bits, &v, sizeof(bits));
        wire_fixed64(b, field, bits);
}

static inline void wire_bytes(struct buf *b, unsigned field, const void *data, size_t len)
{
        wire_varint(b, field << 3 | 2);
        wire_varint(b, len);
        wire_raw(b, data, len);
}

static inline void wire_str(struct buf *b, unsigned field, const char *s)
{
        wire_bytes(b, field, s, strlen(s));
}

/* Takes the bytes of sub. */
static inline void wire_message(struct buf *b, unsigned field, struct buf *sub)
{
        wire_bytes(b, field, sub->data, sub->len);
        buf_done(sub);
}

/* A KeyValue whose AnyValue is what value holds; takes value. */
static inline void wire_attribute(struct buf *b, unsigned field, const char *key, struct buf *value)
{
        struct buf kv = { 0 };
        wire_str(&kv, 1, key);
        wire_message(&kv, 2, value);
        wire_message(b, field, &kv);
}

static inline void wire_attribute_str(struct buf *b, unsigned field, const char *key, const char *text)
{
        struct buf value = { 0 };
        wire_str(&value, 1, text);
        wire_attribute(b, field, key, &value);
}

static inline void wire_attribute_int(struct buf *b, unsigned field, const char *key, int64_t v)
{
        struct buf value = { 0 };
        wire_int(&value, 3, (uint64_t)v);
        wire_attribute(b, field, key, &value);
}

/* A request with one ResourceLogs, one ScopeLogs and one LogRecord; each may be empty. Takes all three. */
static inline struct buf wire_request(struct buf *resource, struct buf *scope, struct buf *record)
{
        struct buf request = { 0 }, resource_logs = { 0 }, scope_logs = { 0 };
        if (resource)
                wire_message(&resource_logs, 1, resource);
        if (scope)
                wire_message(&scope_logs, 1, scope);
        if (record)
                wire_message(&scope_logs, 2, record);
        wire_message(&resource_logs, 2, &scope_logs);
        wire_message(&request, 1, &resource_logs);
        return request;
}

/* An AnyValue of levels nested lists around a string: depth levels + 1. */
static inline struct buf wire_nested(unsigned levels, bool kvlists)
{
        struct buf value = { 0 };
        wire_str(&value, 1, "deep");
        for (unsigned i = 0; i < levels; i++) {
                struct buf list = { 0 }, outer = { 0 };
                if (kvlists)
                        wire_attribute(&list, 1, "k", &value);
                else
                        wire_message(&list, 1, &value);
                wire_message(&outer, kvlists ? 6 : 5, &list);
                value = outer;
        }
        return value;
}

/* A record with every field, values of most kinds, and one field that is not known. */
static inline struct buf wire_rich_record(void)
{
        struct buf record = { 0 }, body = wire_nested(3, true), value = { 0 };
        wire_fixed64(&record, 1, 1);
        wire_int(&record, 2, 9);
        wire_str(&record, 3, "INFO");
        wire_message(&record, 5, &body);
        wire_attribute_str(&record, 6, "k", "v\xc3\xa9");
        wire_double(&value, 4, 0.5);
        wire_attribute(&record, 6, "d", &value);
        wire_bytes(&value, 7, "\xff\x00", 2);
        wire_attribute(&record, 6, "b", &value);
        wire_int(&value, 2, 1);
        wire_attribute(&record, 6, "t", &value);
        wire_fixed32(&record, 8, 1);
        wire_bytes(&record, 9, "0123456789abcdef", 16);
        wire_bytes(&record, 10, "01234567", 8);
        wire_fixed64(&record, 11, 2);
        wire_str(&record, 12, "event");
        wire_str(&record, 99, "a field of the future");
        return record;
}

static inline struct buf wire_rich_request(void)
{
        struct buf resource = { 0 }, scope = { 0 }, record = wire_rich_record();
        wire_attribute_str(&resource, 1, "source.project", "acme");
        wire_int(&resource, 2, 7);
        wire_str(&scope, 1, "scope");
        wire_str(&scope, 2, "1.0");
        wire_attribute_int(&scope, 3, "n", -1);
        return wire_request(&resource, &scope, &record);
}
