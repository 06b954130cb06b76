/* otlp_render(): the lines byte by byte, and their limits. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "otlp_wire.h"
#include "protocol/otlp/otlp.h"

static const struct otlp_limits defaults = {
        .depth = 32, .records = 65536, .submessages = 262144, .attributes = 128, .line_bytes = 1 << 20
};

static const struct otlp_source source = {
        .id = { "acme", "one" }, .platform = "linux", .version = "1.4.2", .platform_len = 5, .version_len = 5
};

/* Scans, splits and renders the first ResourceLogs, after "before\n". Takes b. */
static int render(struct buf *b, const struct otlp_limits *limits, struct buf *out, struct refusal *r)
{
        struct arena *arena = arena_new(1 << 20);
        _cleanup_(buf_done) struct buf scratch = { 0 }, tail = { 0 };
        struct otlp_output output = { .lines = out, .scratch = &scratch, .tail = &tail };
        struct otlp_resources resources;
        unsigned records;
        *r = (struct refusal){ 0 };
        assert_int_equal(otlp_scan(b->data, b->len, limits, &records, NULL, r), 0);
        assert_int_equal(otlp_split(arena, (struct otlp_span){ b->data, b->data + b->len }, 1, &resources, r), 0);
        assert_int_equal(resources.n, 1);
        assert_int_equal(buf_append_str(out, "before\n"), 0);
        int a = otlp_render(&resources.logs[0], 0, &source, limits, &output, r);
        if (a == 0)
                assert_int_equal(output.n_lines, records);
        assert_in_range(scratch.len, 0, limits->scratch_bytes ? limits->scratch_bytes : OTLP_SCRATCH_BYTES_DEFAULT);
        arena_free(arena);
        buf_done(b);
        return a;
}

static void assert_lines(struct buf *b, const char *lines)
{
        struct buf out = { 0 };
        struct refusal r = { 0 };
        assert_int_equal(render(b, &defaults, &out, &r), 0);
        _cleanup_(freep) char *text = buf_take_str(&out);
        assert_memory_equal(text, "before\n", 7);
        assert_string_equal(text + 7, lines);
}

#define HEAD                                                                                                           \
        "{\"time_unix_nano\":0,\"observed_time_unix_nano\":0,\"severity_number\":0,\"severity_text\":\"\",\"body\":"
#define MIDDLE ",\"attributes\":{"
#define TAIL                                                                                                           \
        "},\"dropped_attributes_count\":0,\"flags\":0,\"trace_id\":\"\",\"span_id\":\"\",\"event_name\":\"\","         \
        "\"platform\":\"linux\",\"version\":\"1.4.2\"}\n"

static void assert_body(struct buf *value, const char *json)
{
        struct buf record = { 0 }, expected = { 0 };
        wire_message(&record, 5, value);
        struct buf b = wire_request(NULL, NULL, &record);
        assert_int_equal(buf_printf(&expected, HEAD "%s" MIDDLE TAIL, json), 0);
        _cleanup_(freep) char *line = buf_take_str(&expected);
        assert_lines(&b, line);
}

static void assert_attributes(struct buf *record, const char *json)
{
        struct buf b = wire_request(NULL, NULL, record), expected = { 0 };
        assert_int_equal(buf_printf(&expected, HEAD "null" MIDDLE "%s" TAIL, json), 0);
        _cleanup_(freep) char *line = buf_take_str(&expected);
        assert_lines(&b, line);
}

static void renders_an_empty_record(void **state)
{
        (void)state;
        struct buf record = { 0 }, b = wire_request(NULL, NULL, &record);
        assert_lines(&b, HEAD "null" MIDDLE TAIL);
        b = wire_request(NULL, NULL, NULL);
        assert_lines(&b, "");
}

static void renders_every_field(void **state)
{
        (void)state;
        struct buf resource = { 0 }, scope = { 0 }, record = { 0 }, body = { 0 };
        wire_attribute_str(&resource, 1, "source.project", "acme");
        wire_attribute_str(&resource, 1, "source.anything", "ours");
        wire_attribute_str(&resource, 1, "host.name", "node");
        wire_attribute_int(&resource, 1, "pid", 7);
        wire_str(&scope, 1, "lib");
        wire_str(&scope, 2, "2.0");
        wire_attribute_int(&scope, 3, "n", -1);
        wire_fixed64(&record, 1, UINT64_MAX);
        wire_int(&record, 2, (uint64_t)-5);
        wire_str(&record, 3, "INFO");
        wire_str(&body, 1, "hello");
        wire_message(&record, 5, &body);
        wire_attribute_str(&record, 6, "k", "v");
        wire_int(&record, 7, UINT32_MAX);
        wire_fixed32(&record, 8, UINT32_MAX);
        wire_bytes(&record, 9, "\x00\x01\xab\xff", 4);
        wire_bytes(&record, 10, "\xde\xad", 2);
        wire_fixed64(&record, 11, 1747612800000000000);
        wire_str(&record, 12, "event");
        struct buf b = wire_request(&resource, &scope, &record);
        assert_lines(
                &b, "{\"time_unix_nano\":18446744073709551615,\"observed_time_unix_nano\":1747612800000000000,"
                    "\"severity_number\":-5,\"severity_text\":\"INFO\",\"body\":\"hello\",\"attributes\":{\"k\":\"v\"},"
                    "\"dropped_attributes_count\":4294967295,\"flags\":4294967295,\"trace_id\":\"0001abff\","
                    "\"span_id\":\"dead\",\"event_name\":\"event\",\"platform\":\"linux\",\"version\":\"1.4.2\","
                    "\"scope\":{\"name\":\"lib\",\"version\":\"2.0\",\"attributes\":{\"n\":-1}},"
                    "\"resource\":{\"host.name\":\"node\",\"pid\":7}}\n");
}

static void shares_the_tail_within_a_scope_only(void **state)
{
        (void)state;
        struct buf b = { 0 }, resource_logs = { 0 };
        for (int s = 0; s < 3; s++) {
                struct buf scope_logs = { 0 }, scope = { 0 };
                if (s != 1)
                        wire_str(&scope, 2, s == 0 ? "first" : "third");
                wire_message(&scope_logs, 1, &scope);
                for (int i = 0; i < 2; i++) {
                        struct buf record = { 0 };
                        wire_message(&scope_logs, 2, &record);
                }
                wire_message(&resource_logs, 2, &scope_logs);
        }
        wire_message(&b, 1, &resource_logs);
        struct buf out = { 0 };
        struct refusal r = { 0 };
        assert_int_equal(render(&b, &defaults, &out, &r), 0);
        _cleanup_(freep) char *text = buf_take_str(&out);
        const char *endings[] = { ",\"scope\":{\"version\":\"first\"}}", "\"version\":\"1.4.2\"}",
                                  ",\"scope\":{\"version\":\"third\"}}" };
        char *line = strtok(text, "\n"); /* "before" */
        for (int i = 0; i < 6; i++) {
                line = strtok(NULL, "\n");
                assert_non_null(line);
                assert_string_equal(line + strlen(line) - strlen(endings[i / 2]), endings[i / 2]);
        }
        assert_null(strtok(NULL, "\n"));
}

static void omits_what_is_empty(void **state)
{
        (void)state;
        struct buf resource = { 0 }, scope = { 0 }, record = { 0 }, kv = { 0 };
        wire_attribute_str(&resource, 1, "source.project", "acme");
        wire_str(&kv, 1, "no value");
        wire_message(&scope, 3, &kv);
        struct buf b = wire_request(&resource, &scope, &record);
        assert_lines(&b, HEAD "null" MIDDLE TAIL);
        wire_attribute_int(&scope, 3, "n", 1);
        b = wire_request(NULL, &scope, NULL);
        assert_lines(&b, ""); /* no record, no line */
        wire_attribute_int(&scope, 3, "n", 1);
        b = wire_request(NULL, &scope, &record);
        _cleanup_(buf_done) struct buf out = { 0 };
        struct refusal r = { 0 };
        assert_int_equal(render(&b, &defaults, &out, &r), 0);
        assert_int_equal(buf_append_char(&out, '\0'), 0);
        assert_non_null(strstr((char *)out.data, "\"1.4.2\",\"scope\":{\"attributes\":{\"n\":1}}}\n"));
}

static void renders_values(void **state)
{
        (void)state;
        struct buf value = { 0 }, list = { 0 }, item = { 0 };
        assert_body(&value, "null"); /* an AnyValue with nothing set */
        wire_int(&value, 2, 1);
        assert_body(&value, "true");
        wire_int(&value, 2, 0);
        assert_body(&value, "false");
        wire_int(&value, 3, (uint64_t)INT64_MIN);
        assert_body(&value, "-9223372036854775808");
        wire_int(&value, 3, INT64_MAX);
        assert_body(&value, "9223372036854775807");
        wire_double(&value, 4, 1.0);
        assert_body(&value, "1.0");
        wire_double(&value, 4, NAN);
        assert_body(&value, "\"NaN\"");
        wire_bytes(&value, 7, "\x00\xff", 2);
        assert_body(&value, "\"00ff\"");
        wire_bytes(&value, 7, "", 0);
        assert_body(&value, "\"\"");
        wire_str(&value, 1, "");
        assert_body(&value, "\"\"");
        wire_message(&value, 5, &list);
        assert_body(&value, "[]");
        wire_message(&value, 6, &list);
        assert_body(&value, "{}");
        wire_int(&item, 3, 1);
        wire_message(&list, 1, &item);
        wire_message(&list, 1, &item);
        wire_str(&item, 1, "x");
        wire_message(&list, 1, &item);
        wire_message(&value, 5, &list);
        assert_body(&value, "[1,null,\"x\"]");
        value = wire_nested(3, true);
        assert_body(&value, "{\"k\":{\"k\":{\"k\":\"deep\"}}}");
        value = wire_nested(3, false);
        assert_body(&value, "[[[\"deep\"]]]");
}

static void last_of_a_oneof_wins(void **state)
{
        (void)state;
        struct buf value = { 0 }, list = { 0 }, item = { 0 };
        wire_str(&value, 1, "first");
        wire_message(&list, 1, &item);
        wire_message(&value, 5, &list);
        wire_int(&value, 2, 1);
        wire_int(&value, 3, 42);
        wire_str(&value, 8, "of the future"); /* not one of them */
        assert_body(&value, "42");
}

static void keeps_nul_inside_strings(void **state)
{
        (void)state;
        struct buf value = { 0 };
        wire_bytes(&value, 1, "a\0b\n", 4);
        assert_body(&value, "\"a\\u0000b\\n\"");
}

static void last_key_wins(void **state)
{
        (void)state;
        struct buf record = { 0 }, kv = { 0 };
        wire_attribute_int(&record, 6, "a", 1);
        wire_attribute_int(&record, 6, "b", 2);
        wire_attribute_int(&record, 6, "a", 3);
        wire_attribute_int(&record, 6, "", 4);
        wire_attribute_int(&record, 6, "c", 5);
        wire_attribute_int(&record, 6, "", 6);
        wire_str(&kv, 1, "c"); /* no value: as if it were not there */
        wire_message(&record, 6, &kv);
        assert_attributes(&record, "\"b\":2,\"a\":3,\"c\":5,\"\":6");
        wire_message(&record, 6, &kv);
        wire_attribute_int(&record, 6, "x", 1);
        assert_attributes(&record, "\"x\":1");
}

/* Every key three times, on both sides of the point where the list is sorted instead. */
static void last_key_wins_in_lists_of_any_size(void **state)
{
        (void)state;
        for (int keys = 20; keys < 24; keys++) {
                struct buf list = { 0 }, value = { 0 }, expected = { 0 };
                char key[8];
                for (int i = 0; i < 3 * keys; i++) {
                        snprintf(key, sizeof(key), "k%d", i % keys);
                        wire_attribute_int(&list, 1, key, i);
                }
                for (int i = 0; i < keys; i++)
                        assert_int_equal(buf_printf(&expected, "%s\"k%d\":%d", i ? "," : "{", i, 2 * keys + i), 0);
                assert_int_equal(buf_append_str(&expected, "}"), 0);
                wire_message(&value, 6, &list);
                _cleanup_(freep) char *json = buf_take_str(&expected);
                assert_body(&value, json);
        }
}

static size_t line_length(const struct buf *out)
{
        return out->len - 7;
}

static struct buf request_with_text(size_t len, char c, int records)
{
        struct buf b = { 0 }, resource_logs = { 0 }, scope_logs = { 0 };
        _cleanup_(freep) char *text = malloc(len + 1);
        memset(text, c, len);
        text[len] = '\0';
        for (int i = 0; i < records; i++) {
                struct buf record = { 0 };
                wire_bytes(&record, 3, text, len);
                wire_message(&scope_logs, 2, &record);
        }
        wire_message(&resource_logs, 2, &scope_logs);
        wire_message(&b, 1, &resource_logs);
        return b;
}

static void bounds_a_line(void **state)
{
        (void)state;
        static const size_t sizes[] = { 0, 100, 4095, 4096, 4097, 70000 };
        static const char chars[] = { 'a', '\n', '\x01' };
        for (size_t i = 0; i < ARRAY_LEN(sizes) * sizeof(chars); i++) {
                size_t size = sizes[i % ARRAY_LEN(sizes)];
                char c = chars[i / ARRAY_LEN(sizes)];
                struct otlp_limits limits = defaults;
                _cleanup_(buf_done) struct buf out = { 0 };
                _cleanup_(buf_done) struct buf again = { 0 };
                _cleanup_(buf_done) struct buf over = { 0 };
                struct refusal r = { 0 };
                struct buf b = request_with_text(size, c, 1);
                assert_int_equal(render(&b, &limits, &out, &r), 0);
                limits.line_bytes = line_length(&out);
                b = request_with_text(size, c, 1);
                assert_int_equal(render(&b, &limits, &again, &r), 0);
                assert_memory_equal(out.data, again.data, out.len);
                limits.line_bytes--;
                b = request_with_text(size, c, 1);
                assert_int_equal(render(&b, &limits, &over, &r), ANSWER_TOO_LARGE);
                assert_non_null(strstr(r.message, "scope_logs[0].log_records[0]: line is longer than "));
                assert_int_equal(over.len, 7); /* as it was */
        }
}

static void bounds_the_output(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        _cleanup_(buf_done) struct buf out = { 0 };
        _cleanup_(buf_done) struct buf again = { 0 };
        _cleanup_(buf_done) struct buf over = { 0 };
        struct refusal r = { 0 };
        struct buf b = request_with_text(10, 'a', 10);
        assert_int_equal(render(&b, &limits, &out, &r), 0);
        limits.output_bytes = out.len;
        b = request_with_text(10, 'a', 10);
        assert_int_equal(render(&b, &limits, &again, &r), 0);
        limits.output_bytes--;
        b = request_with_text(10, 'a', 10);
        assert_int_equal(render(&b, &limits, &over, &r), ANSWER_TOO_LARGE);
        assert_non_null(strstr(r.message, "request renders to more than "));
        assert_int_equal(over.len, 7);
}

/* A record of n attributes, followed by a body: a kvlist of entries, the last of which has an entry of its own. */
static struct buf request_with_members(int attributes, int entries)
{
        struct buf record = { 0 }, list = { 0 }, inner = { 0 }, value = { 0 }, body = { 0 };
        for (int i = 0; i < attributes; i++)
                wire_attribute_int(&record, 6, "same", i);
        for (int i = 1; i < entries; i++)
                wire_attribute_int(&list, 1, "same", i);
        wire_attribute_int(&inner, 1, "k", 1);
        wire_message(&value, 6, &inner);
        wire_attribute(&list, 1, "k", &value);
        wire_message(&body, 6, &list);
        wire_message(&record, 5, &body);
        return wire_request(NULL, NULL, &record);
}

/* 32 bytes for each member of the objects being rendered, whether it is shown or not. */
static void bounds_the_members_under_way(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.scratch_bytes = (size_t)100 * 32;
        for (int attributes = 0; attributes <= 60; attributes += 20) {
                _cleanup_(buf_done) struct buf out = { 0 };
                _cleanup_(buf_done) struct buf over = { 0 };
                struct refusal r = { 0 };
                struct buf b = request_with_members(attributes, 99 - attributes);
                assert_int_equal(render(&b, &limits, &out, &r), 0);
                b = request_with_members(attributes, 100 - attributes);
                assert_int_equal(render(&b, &limits, &over, &r), ANSWER_TOO_LARGE);
                assert_string_equal(r.message, "resource_logs[0].scope_logs[0].log_records[0]: more than 3200 bytes "
                                               "for the members of its objects");
                assert_int_equal(over.len, 7);
        }
}

/* Those of one record are gone before the next. */
static void members_do_not_pile_up(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.scratch_bytes = (size_t)3 * 32;
        struct buf b = { 0 }, resource_logs = { 0 }, resource = { 0 }, scope_logs = { 0 }, scope = { 0 };
        for (int i = 0; i < 3; i++) {
                wire_attribute_int(&resource, 1, "k", i);
                wire_attribute_int(&scope, 3, "k", i);
        }
        wire_message(&resource_logs, 1, &resource);
        wire_message(&scope_logs, 1, &scope);
        for (int n = 0; n < 1000; n++) {
                struct buf record = { 0 };
                for (int i = 0; i < 3; i++)
                        wire_attribute_int(&record, 6, "k", i);
                wire_message(&scope_logs, 2, &record);
        }
        wire_message(&resource_logs, 2, &scope_logs);
        wire_message(&b, 1, &resource_logs);
        _cleanup_(buf_done) struct buf out = { 0 };
        struct refusal r = { 0 };
        assert_int_equal(render(&b, &limits, &out, &r), 0);
}

/* A small request whose resource is repeated on each of many lines. */
static void amplification_is_bounded(void **state)
{
        (void)state;
        struct buf b = { 0 }, resource_logs = { 0 }, resource = { 0 }, scope_logs = { 0 };
        _cleanup_(freep) char *text = malloc(200001);
        memset(text, 'x', 200000);
        text[200000] = '\0';
        wire_attribute_str(&resource, 1, "big", text);
        wire_message(&resource_logs, 1, &resource);
        for (int i = 0; i < 1000; i++) {
                struct buf record = { 0 };
                wire_message(&scope_logs, 2, &record);
        }
        wire_message(&resource_logs, 2, &scope_logs);
        wire_message(&b, 1, &resource_logs);
        _cleanup_(buf_done) struct buf out = { 0 };
        struct refusal r = { 0 };
        struct otlp_limits limits = defaults;
        limits.output_bytes = (size_t)16 * 1024 * 1024;
        assert_int_equal(render(&b, &limits, &out, &r), ANSWER_TOO_LARGE);
        assert_in_range(out.cap, 0, 2 * limits.output_bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(renders_an_empty_record),
                cmocka_unit_test(renders_every_field),
                cmocka_unit_test(shares_the_tail_within_a_scope_only),
                cmocka_unit_test(omits_what_is_empty),
                cmocka_unit_test(renders_values),
                cmocka_unit_test(last_of_a_oneof_wins),
                cmocka_unit_test(keeps_nul_inside_strings),
                cmocka_unit_test(last_key_wins),
                cmocka_unit_test(last_key_wins_in_lists_of_any_size),
                cmocka_unit_test(bounds_a_line),
                cmocka_unit_test(bounds_the_output),
                cmocka_unit_test(bounds_the_members_under_way),
                cmocka_unit_test(members_do_not_pile_up),
                cmocka_unit_test(amplification_is_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
