/* Log exports. All records have the same length, so what changes from request to request stands at places that are
 * known: the source's digits, and in each record the times, the number, the trace id and a duration. */
#include <stdbool.h>
#include <string.h>

#include "body.h"
#include "tests/unit/protocol/otlp/otlp_wire.h"
#include "util/clock.h"

#define SEQ_DIGITS 12
#define GRPC_PREFIX 5

/* Where things stand in a record, from its beginning on; the same in all, set by the first otlp_body_init(). */
static struct {
        size_t time, observed, text_seq, seq, duration, trace;
} places;

static struct buf make_record(void)
{
        struct buf record = { 0 }, text = { 0 }, number = { 0 };
        wire_fixed64(&record, 1, 0);
        places.time = record.len - 8;
        wire_fixed64(&record, 11, 0);
        places.observed = record.len - 8;
        wire_int(&record, 2, 9);
        wire_str(&record, 3, "INFO");
        wire_str(&text, 1, "request finished, cart 000000000000");
        wire_message(&record, 5, &text);
        places.text_seq = record.len - SEQ_DIGITS; /* for receivers that keep nothing but the text */
        wire_attribute_str(&record, 6, "seq", "000000000000");
        places.seq = record.len - SEQ_DIGITS;
        wire_double(&number, 4, 0);
        wire_attribute(&record, 6, "duration_ms", &number);
        places.duration = record.len - 8;
        wire_attribute_str(&record, 6, "http.request.method", "POST");
        wire_attribute_str(&record, 6, "code.namespace", "shop.cart");
        wire_attribute_str(&record, 6, "url.path", "/api/v1/cart");
        wire_bytes(&record, 9, "0123456789abcdef", 16);
        places.trace = record.len - 16;
        return record;
}

static struct buf make_resource(const struct load_options *o)
{
        struct buf resource = { 0 };
        wire_attribute_str(&resource, 1, "source.project", o->project);
        wire_attribute_str(&resource, 1, "source.platform", "linux");
        wire_attribute_str(&resource, 1, "source.version", "2.4.1");
        wire_attribute_str(&resource, 1, "service.name", "checkout");
        wire_attribute_str(&resource, 1, "source.install_id", "s000000"); /* last: its digits end the resource */
        return resource;
}

/* The records end the innermost message, and so the outer ones too: they are found from the end. */
void otlp_body_init(struct body *b, const struct load_options *o)
{
        struct buf scope = { 0 }, scope_logs = { 0 }, resource_logs = { 0 }, request = { 0 };
        struct buf resource = make_resource(o), record = make_record();

        wire_str(&scope, 1, "shop.checkout");
        wire_message(&scope_logs, 1, &scope);
        size_t before = scope_logs.len;
        for (uint64_t i = 0; i < o->records; i++)
                wire_bytes(&scope_logs, 2, record.data, record.len);
        *b = (struct body){ .record_stride = (scope_logs.len - before) / o->records };
        wire_message(&resource_logs, 1, &resource);
        size_t resource_end = resource_logs.len;
        wire_message(&resource_logs, 2, &scope_logs);
        size_t behind_resource = resource_logs.len - resource_end;
        wire_message(&request, 1, &resource_logs);

        uint32_t len = __builtin_bswap32((uint32_t)request.len);
        wire_raw(&b->head, "", 1);
        wire_raw(&b->head, &len, sizeof(len));
        wire_raw(&b->head, request.data, request.len);
        b->source_at = b->head.len - behind_resource - 6;
        b->number_at = b->head.len - (o->records - 1) * b->record_stride - record.len;
        buf_done(&request);
        buf_done(&record);
}

void otlp_body_patch(struct body *b, const struct load_options *o, uint64_t request)
{
        struct moment now = clock_now();
        uint64_t now_ns = (uint64_t)now.sec * 1000000000 + now.nsec;
        body_put_digits(b->head.data + b->source_at, 6, load_source(o, request));
        for (uint64_t i = 0; i < o->records; i++) {
                uint8_t *record = b->head.data + b->number_at + i * b->record_stride;
                uint64_t seq = request * o->records + i, trace[2] = { load_mix(seq), load_mix(~seq) };
                uint64_t at_ns = now_ns - (o->records - i) * 1000;
                double duration_ms = (double)(trace[0] % 100000) / 100;
                memcpy(record + places.time, &at_ns, sizeof(at_ns));
                memcpy(record + places.observed, &now_ns, sizeof(now_ns));
                memcpy(record + places.duration, &duration_ms, sizeof(duration_ms));
                memcpy(record + places.trace, trace, sizeof(trace));
                body_put_digits(record + places.text_seq, SEQ_DIGITS, seq);
                body_put_digits(record + places.seq, SEQ_DIGITS, seq);
        }
}
