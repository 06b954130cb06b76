#pragma once
/* Reads OTLP bytes in place: a message is a span of bytes, and its fields are read one by one. Only for bytes that
 * passed otlp_scan(), because nothing is checked again: tags, lengths and wire types are right, and a singular message
 * comes at most once. Pure. Source: protobuf encoding specification; field numbers: opentelemetry-proto 1.x. */

#include <stdint.h>
#include <string.h>

#include "protocol/otlp/otlp.h"

struct otlp_field {
        unsigned number;
        uint64_t value;         /* of a scalar */
        struct otlp_span bytes; /* of a string, bytes or a message */
};

enum { OTLP_WIRE_VARINT, OTLP_WIRE_64BIT, OTLP_WIRE_LENGTH, OTLP_WIRE_32BIT = 5 };

static inline uint64_t otlp_take_varint(const uint8_t **p)
{
        uint64_t value = *(*p)++;
        if (value < 0x80)
                return value;
        value &= 0x7F;
        for (unsigned shift = 7;; shift += 7) {
                uint64_t byte = *(*p)++;
                value |= (byte & 0x7F) << shift;
                if (byte < 0x80)
                        return value;
        }
}

static inline uint64_t otlp_take_fixed(const uint8_t **p, unsigned bytes)
{
        uint64_t value = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        memcpy(&value, *p, bytes);
#else
        for (unsigned i = 0; i < bytes; i++)
                value |= (uint64_t)(*p)[i] << (8 * i);
#endif
        *p += bytes;
        return value;
}

/* The next field of a message of which *rest remains; *rest moves past it. False at the end. */
static inline bool otlp_next(struct otlp_span *rest, struct otlp_field *ret)
{
        const uint8_t *p = rest->at;
        if (p == rest->end)
                return false;
        uint64_t tag = otlp_take_varint(&p);
        ret->number = (unsigned)(tag >> 3);
        switch (tag & 7) {
        case OTLP_WIRE_VARINT: ret->value = otlp_take_varint(&p); break;
        case OTLP_WIRE_64BIT: ret->value = otlp_take_fixed(&p, 8); break;
        case OTLP_WIRE_32BIT: ret->value = otlp_take_fixed(&p, 4); break;
        default: {
                uint64_t len = otlp_take_varint(&p);
                ret->bytes = (struct otlp_span){ p, p + len };
                p += len;
        }
        }
        rest->at = p;
        return true;
}

static inline size_t otlp_len(struct otlp_span s)
{
        return (size_t)(s.end - s.at);
}

/* A KeyValue. */
struct otlp_pair {
        struct otlp_span key;
        struct otlp_span value; /* an AnyValue; at is NULL when there is none */
};

static inline struct otlp_pair otlp_pair(struct otlp_span message)
{
        struct otlp_pair pair = { { message.at, message.at }, { NULL, NULL } };
        struct otlp_field field = { 0 };
        while (otlp_next(&message, &field)) {
                if (field.number == 1)
                        pair.key = field.bytes;
                else if (field.number == 2)
                        pair.value = field.bytes;
        }
        return pair;
}

/* An AnyValue: the last of its fields counts, as for every oneof. number is 0 when there is none. */
static inline struct otlp_field otlp_any(struct otlp_span message)
{
        struct otlp_field field = { 0 }, last = { 0 };
        while (otlp_next(&message, &field)) {
                if (field.number >= 1 && field.number <= 7)
                        last = field;
        }
        return last;
}

enum {
        OTLP_ANY_STRING = 1,
        OTLP_ANY_BOOL,
        OTLP_ANY_INT,
        OTLP_ANY_DOUBLE,
        OTLP_ANY_ARRAY,
        OTLP_ANY_KVLIST,
        OTLP_ANY_BYTES
};
