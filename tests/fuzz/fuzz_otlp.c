/* Any bytes through scan, split, source and render. Checked: protobuf-c accepts what the scan passes; the oracle
 * (otlp_oracle.h) makes the same sources and lines, or finds the request too large as well; the scan counts as many
 * records as there are lines; each line is one JSON object (json-c, strict) with our keys; a refusal has a message and
 * leaves the output as it was. */

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otlp_compare.h"
#include "protocol/otlp/otlp.h"
#include "util/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct otlp_limits limits = {
        .depth = 20,
        .records = 100,
        .submessages = 2000,
        .attributes = 100,
        .line_bytes = 16 * 1024,
        .scratch_bytes = 100 * 32,
        .output_bytes = 256 * 1024,
};

#define check(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
                        abort();                                                                                       \
                }                                                                                                      \
        } while (0)

static void check_refusal(int answer, const struct refusal *r)
{
        check(answer == ANSWER_MALFORMED || answer == ANSWER_TOO_LARGE);
        check(r->answer == (enum answer)answer && r->message[0] && utf8_valid(r->message, strlen(r->message)));
}

static void check_line(const char *line, size_t len)
{
        check(len > 0 && len + 1 <= limits.line_bytes && utf8_valid(line, len));
        for (size_t i = 0; i < len; i++)
                check((uint8_t)line[i] >= 0x20);
        struct json_tokener *tokener = json_tokener_new_ex(64);
        check(tokener);
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        struct json_object *o = json_tokener_parse_ex(tokener, line, (int)len);
        check(json_tokener_get_error(tokener) == json_tokener_success && json_tokener_get_parse_end(tokener) == len);
        check(json_object_is_type(o, json_type_object));
        check(json_object_is_type(json_object_object_get(o, "attributes"), json_type_object));
        check(json_object_is_type(json_object_object_get(o, "event_name"), json_type_string));
        check(json_object_is_type(json_object_object_get(o, "version"), json_type_string));
        json_object_put(o);
        json_tokener_free(tokener);
}

static size_t check_lines(const struct buf *out, size_t from)
{
        size_t lines = 0;
        for (size_t at = from; at < out->len; lines++) {
                const uint8_t *end = memchr(out->data + at, '\n', out->len - at);
                check(end);
                check_line((const char *)out->data + at, (size_t)(end - out->data) - at);
                at = (size_t)(end - out->data) + 1;
        }
        return lines;
}

static size_t render_one(const struct otlp_resource_logs *logs, bool derive, struct otlp_output *out, bool *ret_refused)
{
        struct otlp_source source = { .id = { "p", "i" }, .platform = "", .version = "" };
        struct refusal r = { 0 };
        size_t before = out->lines->len;
        static const struct otlp_token token = { "fuzz", "id" };
        static const struct otlp_derive rules = {
                .n_names = 1, .n_rules = 1, .names = { { "host.name", 9 } }, .rules = { { false, 0, 0 } }
        };
        int a = otlp_source(logs, derive ? &rules : NULL, &token, &source, &r);
        if (a == 0) {
                check(source_component_valid(source.id.project, strlen(source.id.project)));
                check(source_component_valid(source.id.install_id, strlen(source.id.install_id)));
                check(utf8_valid(source.platform, source.platform_len));
                check(utf8_valid(source.version, source.version_len));
        } else {
                check_refusal(a, &r);
        }
        a = otlp_render(logs, 0, &source, &limits, out, &r);
        if (a == 0) {
                check(check_lines(out->lines, before) == out->n_lines);
                return out->n_lines;
        }
        check_refusal(a, &r);
        check(out->lines->len == before);
        *ret_refused = true;
        return 0;
}

static void render_all(const struct otlp_resources *resources, unsigned records)
{
        struct buf lines_out = { 0 }, scratch = { 0 }, tail = { 0 };
        struct otlp_output out = { .lines = &lines_out, .scratch = &scratch, .tail = &tail };
        size_t lines = 0;
        bool refused = false;
        for (size_t i = 0; i < resources->n; i++)
                lines += render_one(&resources->logs[i], i % 2 == 0, &out, &refused);
        check(refused || lines == records);
        check(lines_out.len <= limits.output_bytes && scratch.len <= limits.scratch_bytes);
        buf_done(&lines_out);
        buf_done(&scratch);
        buf_done(&tail);
}

/* What a request that is wrong in places becomes: every record is a line or is rejected, and nothing is lost of one
 * that is all right. strict: the lines of that way; NULL when it refuses. */
static void render_leniently(const uint8_t *data, size_t size, const struct buf *strict)
{
        struct buf lines_out = { 0 }, scratch = { 0 }, tail = { 0 }, response = { 0 };
        struct otlp_faults faults = { 0 };
        struct otlp_output out = { .lines = &lines_out, .scratch = &scratch, .tail = &tail, .faults = &faults };
        const struct otlp_source source = { .id = { "p", "i" }, .platform = "", .version = "" };
        struct arena *arena = arena_new((size_t)8 << 20);
        struct otlp_resources resources = { 0 };
        struct refusal r = { 0 };
        unsigned records = 0;
        size_t lines = 0;
        check(arena);
        otlp_faults_begin(&faults, limits.scratch_bytes * 100);
        int a = otlp_scan(data, size, &limits, &records, &faults, &r);
        if (a == 0)
                a = otlp_split(arena, (struct otlp_span){ data, data + size }, size, &resources, &r);
        for (size_t i = 0; a == 0 && i < resources.n; i++) {
                a = otlp_render(&resources.logs[i], i, &source, &limits, &out, &r);
                lines += a == 0 ? out.n_lines : 0;
        }
        if (a != 0) {
                check_refusal(a, &r);
        } else {
                check(check_lines(&lines_out, 0) == lines && lines + faults.rejected == records);
                check(otlp_faults_response(&faults, &response) == 0 && response.len <= OTLP_RESPONSE_MAX);
                check((response.len == 0) == (faults.rejected == 0 && faults.mended == 0));
        }
        if (strict)
                check(a == 0 && faults.rejected == 0 && faults.mended == 0 && lines_out.len == strict->len &&
                      (lines_out.len == 0 || memcmp(lines_out.data, strict->data, lines_out.len) == 0));
        buf_done(&lines_out);
        buf_done(&scratch);
        buf_done(&tail);
        buf_done(&response);
        otlp_faults_done(&faults);
        arena_free(arena);
}

static void compare_ways(const uint8_t *data, size_t size, const struct otlp_resources *resources)
{
        struct buf lines_out = { 0 }, scratch = { 0 }, tail = { 0 };
        struct otlp_output out = { .lines = &lines_out, .scratch = &scratch, .tail = &tail };
        const struct otlp_source source = { .id = { "p", "i" }, .platform = "", .version = "" };
        struct refusal r = { 0 };
        int a = 0;
        for (size_t i = 0; a == 0 && i < resources->n; i++)
                a = otlp_render(&resources->logs[i], i, &source, &limits, &out, &r);
        if (a == 0)
                render_leniently(data, size, &lines_out);
        buf_done(&lines_out);
        buf_done(&scratch);
        buf_done(&tail);
}

static void ask_the_oracle(const uint8_t *data, size_t size)
{
        struct otlp_compare_counts counts = { 0 };
        struct otlp_span bytes = { data, data + size };
        const char *wrong = otlp_compare(bytes, bytes, &limits, &counts);
        if (wrong) {
                fprintf(stderr, "oracle: %s\n", wrong);
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena *arena = arena_new((size_t)8 << 10);
        struct otlp_resources resources = { 0 };
        struct refusal r = { 0 };
        unsigned records = 0;
        check(arena);

        int a = otlp_scan(data, size, &limits, &records, NULL, &r);
        if (a == 0) {
                ask_the_oracle(data, size);
                a = otlp_split(arena, (struct otlp_span){ data, data + size }, 300, &resources, &r);
                check(a == 0 || a == ANSWER_TOO_LARGE);
        }
        if (a == 0)
                render_all(&resources, records);
        else
                check_refusal(a, &r);
        render_leniently(data, size, NULL);
        if (a == 0)
                compare_ways(data, size, &resources);
        arena_free(arena);
        return 0;
}
