/* Crash reports: metadata and the first bytes of the dump stand in the body's own head, all further bytes of the dump
 * in a filler that every body shares, so that large dumps cost no memory. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "body.h"
#include "tests/unit/protocol/otlp/otlp_wire.h"
#include "util/clock.h"

#define SOURCE_DIGITS 12
#define NUMBER_DIGITS 12

static void put(struct buf *b, const char *text)
{
        wire_raw(b, text, strlen(text));
}

void crash_body_init(struct body *b, const struct load_options *o, const uint8_t *filler)
{
        char at[CLOCK_RFC3339_SIZE], unique[CRASH_BODY_BYTES_MIN + 1];
        struct buf *head = &b->head;

        *b = (struct body){ .filler = filler, .filler_len = o->bytes - CRASH_BODY_BYTES_MIN };
        clock_format_rfc3339(clock_now(), at);
        snprintf(unique, sizeof(unique), "MDMP%016" PRIx64 "%0*d", clock_monotonic_ns(), NUMBER_DIGITS, 0);
        put(head, "--" CRASH_BODY_BOUNDARY "\r\nContent-Disposition: form-data; name=\"metadata\"\r\n"
                  "Content-Type: application/json\r\n\r\n{\"schema_version\":1,\"source\":{\"project\":\"");
        put(head, o->project);
        put(head, "\",\"platform\":\"linux\",\"version\":\"2.4.1\","
                  "\"install_id\":\"00000000-0000-4000-8000-000000000000");
        b->source_at = head->len - SOURCE_DIGITS;
        put(head, "\"},\"timestamp\":\"");
        put(head, at);
        put(head, "\",\"kind\":\"Minidump\",\"build\":{\"git_sha\":\"0d1f2e3\",\"profile\":\"release\","
                  "\"target_triple\":\"x86_64-unknown-linux-gnu\"},\"panic_text\":null,"
                  "\"context\":{\"program\":\"detritus-load\"},\"attachments\":[]}\r\n--" CRASH_BODY_BOUNDARY
                  "\r\nContent-Disposition: form-data; name=\"dump\"\r\n"
                  "Content-Type: application/octet-stream\r\n\r\n");
        put(head, unique);
        b->number_at = head->len - NUMBER_DIGITS;
        put(&b->tail, "\r\n--" CRASH_BODY_BOUNDARY "--\r\n");
}

void crash_body_patch(struct body *b, const struct load_options *o, uint64_t request)
{
        body_put_digits(b->head.data + b->source_at, SOURCE_DIGITS, load_source(o, request));
        body_put_digits(b->head.data + b->number_at, NUMBER_DIGITS, request);
}
