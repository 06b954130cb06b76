/* otlp_scan() and otlp_split(): what is refused, and which place the message names. test_otlp_oracle.c tests what
 * becomes of a request that passes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otlp_wire.h"
#include "protocol/otlp/otlp.h"

static const struct otlp_limits defaults = {
        .depth = 32, .records = 65536, .submessages = 262144, .attributes = 128, .line_bytes = 1 << 20
};

static int scan(const struct buf *b, const struct otlp_limits *limits, struct refusal *r)
{
        unsigned records = 0;
        return otlp_scan(b->data, b->len, limits, &records, NULL, r);
}

static void assert_refused(struct buf *b, const struct otlp_limits *limits, enum answer a, const char *message)
{
        struct refusal r = { 0 };
        assert_int_equal(scan(b, limits, &r), a);
        assert_int_equal(r.answer, a);
        assert_string_equal(r.message, message);
        buf_done(b);
}

static void assert_malformed(struct buf *b, const char *message)
{
        assert_refused(b, &defaults, ANSWER_MALFORMED, message);
}

static void assert_passes(struct buf *b, const struct otlp_limits *limits)
{
        struct refusal r = { 0 };
        int a = scan(b, limits, &r);
        assert_string_equal(r.message, "");
        assert_int_equal(a, 0);
        buf_done(b);
}

/* A record of one field, in a request. */
static struct buf request_of(struct buf *record)
{
        return wire_request(NULL, NULL, record);
}

static void counts_records(void **state)
{
        (void)state;
        struct buf b = { 0 };
        struct refusal r = { 0 };
        unsigned records = 99;
        assert_int_equal(otlp_scan(NULL, 0, &defaults, &records, NULL, &r), 0);
        assert_int_equal(records, 0);
        for (int i = 0; i < 3; i++) {
                struct buf one = wire_rich_request();
                wire_raw(&b, one.data, one.len);
                buf_done(&one);
        }
        assert_int_equal(otlp_scan(b.data, b.len, &defaults, &records, NULL, &r), 0);
        assert_int_equal(records, 3);
        buf_done(&b);
}

static void says_where_text_is_not_utf8(void **state)
{
        (void)state;
        struct buf record = { 0 }, value = { 0 }, b;

        wire_str(&value, 1, "\xff");
        wire_message(&record, 5, &value);
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].body: string is not UTF-8");

        wire_attribute_str(&record, 6, "fine", "fine");
        wire_attribute_str(&record, 6, "k\xc0\xaf", "fine");
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].attributes[1].key: string is not UTF-8");

        wire_str(&record, 3, "\xed\xa0\x80");
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].severity_text: string is not UTF-8");

        struct buf list = { 0 }, item = { 0 };
        wire_str(&item, 1, "fine");
        wire_message(&list, 1, &item);
        wire_str(&item, 1, "\x80");
        wire_message(&list, 1, &item);
        wire_message(&value, 5, &list);
        wire_message(&record, 5, &value);
        b = request_of(&record);
        assert_malformed(
                &b, "resource_logs[0].scope_logs[0].log_records[0].body.array_value.values[1]: string is not UTF-8");

        struct buf scope = { 0 };
        wire_str(&scope, 1, "\xf5");
        b = wire_request(NULL, &scope, NULL);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].scope.name: string is not UTF-8");
}

static void takes_bytes_as_they_are(void **state)
{
        (void)state;
        struct buf record = { 0 }, value = { 0 };
        wire_bytes(&value, 7, "\xff\xfe", 2);
        wire_message(&record, 5, &value);
        wire_bytes(&record, 9, "\xff", 1);
        wire_bytes(&record, 3, "a\0b", 3);
        struct buf b = request_of(&record);
        assert_passes(&b, &defaults);
}

static void refuses_wrong_wire_types(void **state)
{
        (void)state;
        struct buf record = { 0 }, b = { 0 };
        wire_int(&record, 1, 1);
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].time_unix_nano: wrong wire type");
        wire_fixed64(&record, 8, 1);
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].flags: wrong wire type");
        wire_int(&record, 6, 1);
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].attributes[0]: wrong wire type");
        wire_int(&record, 5, 1);
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].body: wrong wire type");
        wire_int(&b, 1, 1);
        assert_malformed(&b, "resource_logs[0]: wrong wire type");
}

static void assert_bytes_malformed(const char *bytes, size_t len, const char *message)
{
        struct buf b = { 0 };
        wire_raw(&b, bytes, len);
        assert_malformed(&b, message);
}

#define assert_literal_malformed(literal, message) assert_bytes_malformed((literal), sizeof(literal) - 1, (message))

static void refuses_what_is_not_protobuf(void **state)
{
        (void)state;
        assert_literal_malformed("\x00\x00", "request: malformed field tag");                 /* field 0 */
        assert_literal_malformed("\x80\x80\x80\x80\x80\x01", "request: malformed field tag"); /* six bytes */
        assert_literal_malformed("\x8a\x80\x80\x80\x10\x00", "request: malformed field tag"); /* over 32 bits */
        assert_literal_malformed("\xff", "request: malformed field tag");                     /* ends within */
        assert_literal_malformed("\x0b", "resource_logs[0]: malformed field value");          /* group start */
        assert_literal_malformed("\x13\x14", "request: malformed field value");               /* a group */
        assert_literal_malformed("\x16", "request: malformed field value");                   /* wire type 6 */
        assert_literal_malformed("\x0a", "resource_logs[0]: malformed field value");          /* no length */
        assert_literal_malformed("\x0a\x01", "resource_logs[0]: malformed field value");      /* one byte short */
        assert_literal_malformed("\x0a\x85\x80\x80\x80\x10hello", "resource_logs[0]: malformed field value");
        assert_literal_malformed("\x0a\x80\x80\x80\x80\x80\x00", "resource_logs[0]: malformed field value");
        assert_literal_malformed("\x11\x01\x02\x03\x04\x05\x06\x07", "request: malformed field value");
        assert_literal_malformed("\x15\x01\x02\x03", "request: malformed field value");
        assert_literal_malformed("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "request: malformed field value");
        /* 65 bits: is that a bool that is true? */
        assert_literal_malformed("\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "request: malformed field value");
        /* A child longer than its parent, though not than the request. */
        assert_literal_malformed("\x0a\x02\x12\x02\x12\x00", "resource_logs[0].scope_logs[0]: malformed field value");
}

static void takes_odd_but_legal_encodings(void **state)
{
        (void)state;
        struct buf b = { 0 };
        wire_raw(&b, "\x8a\x80\x00\x80\x00", 5); /* field 1 and length 0, both longer than needed */
        wire_raw(&b, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11); /* an unknown varint of ten bytes */
        wire_raw(&b, "\xfd\xff\xff\xff\x0f\x01\x02\x03\x04", 9);          /* field number 2^29 - 1 */
        assert_passes(&b, &defaults);
}

static void bounds_depth(void **state)
{
        (void)state;
        for (int kvlists = 0; kvlists < 2; kvlists++) {
                struct otlp_limits limits = defaults;
                for (unsigned depth = 1; depth <= 64; depth += 7) {
                        struct buf record = { 0 }, fits = wire_nested(depth - 1, kvlists),
                                   over = wire_nested(depth, kvlists);
                        struct refusal r = { 0 };
                        limits.depth = depth;
                        wire_message(&record, 5, &fits);
                        struct buf b = request_of(&record);
                        assert_passes(&b, &limits);
                        wire_message(&record, 5, &over);
                        b = request_of(&record);
                        assert_int_equal(scan(&b, &limits, &r), ANSWER_MALFORMED);
                        assert_non_null(strstr(r.message, ": value is nested too deep"));
                        buf_done(&b);
                }
        }
}

/* Whatever the configuration says, and far deeper than any stack of ours. */
static void bounds_depth_absolutely(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.depth = limits.submessages = UINT32_MAX;
        struct buf record = { 0 }, fits = wire_nested(63, true), over = wire_nested(64, true),
                   deep = wire_nested(3000, false);
        struct refusal r = { 0 };
        wire_attribute(&record, 6, "k", &fits);
        struct buf b = request_of(&record);
        assert_passes(&b, &limits);
        wire_attribute(&record, 6, "k", &over);
        b = request_of(&record);
        assert_int_equal(scan(&b, &limits, &r), ANSWER_MALFORMED);
        assert_non_null(strstr(r.message, "...: value is nested too deep"));
        buf_done(&b);
        wire_attribute(&record, 6, "k", &deep);
        b = request_of(&record);
        assert_int_equal(scan(&b, &limits, &r), ANSWER_MALFORMED);
        buf_done(&b);
}

static void bounds_records(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.records = 5;
        struct buf b = { 0 };
        for (int i = 0; i < 5; i++) {
                struct buf record = { 0 }, one = request_of(&record);
                wire_raw(&b, one.data, one.len);
                buf_done(&one);
        }
        struct buf over = { 0 }, record = { 0 }, one = request_of(&record);
        wire_raw(&over, b.data, b.len);
        wire_raw(&over, one.data, one.len);
        buf_done(&one);
        assert_passes(&b, &limits);
        assert_refused(&over, &limits, ANSWER_TOO_LARGE,
                       "resource_logs[5].scope_logs[0].log_records[0]: more than 5 log records in a request");
}

static void bounds_submessages(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        struct buf b = wire_rich_request();
        unsigned n = 1;
        struct refusal r = { 0 };
        while (limits.submessages = n, scan(&b, &limits, &r) != 0) {
                assert_int_equal(r.answer, ANSWER_TOO_LARGE);
                assert_non_null(strstr(r.message, "embedded messages in a request"));
                n++;
        }
        /* resource_logs, resource, scope_logs, scope, record; 6 attributes of two; the body: 4 values, 3 lists and 3
         * KeyValues; one unknown field. */
        assert_int_equal(n, 5 + 12 + 10 + 1);
        buf_done(&b);
}

static void counts_unknown_fields(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.submessages = 10;
        struct buf b = { 0 };
        for (unsigned i = 0; i < 10; i++)
                wire_int(&b, 100 + i, i);
        struct buf over = { 0 };
        wire_raw(&over, b.data, b.len);
        wire_int(&over, 2, 0);
        assert_passes(&b, &limits);
        assert_refused(&over, &limits, ANSWER_TOO_LARGE, "request: more than 10 embedded messages in a request");
}

static void bounds_attributes(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.attributes = 3;
        for (int n = 3; n <= 4; n++) {
                struct buf resource = { 0 }, scope = { 0 }, record = { 0 };
                for (int i = 0; i < n; i++) {
                        wire_attribute_int(&resource, 1, "k", i);
                        wire_attribute_int(&scope, 3, "k", i);
                        wire_attribute_int(&record, 6, "k", i);
                }
                struct buf in_resource = wire_request(&resource, NULL, NULL),
                           in_scope = wire_request(NULL, &scope, NULL), in_record = request_of(&record);
                if (n == 3) {
                        assert_passes(&in_resource, &limits);
                        assert_passes(&in_scope, &limits);
                        assert_passes(&in_record, &limits);
                } else {
                        assert_refused(&in_resource, &limits, ANSWER_TOO_LARGE,
                                       "resource_logs[0].resource.attributes[3]: more than 3 attributes");
                        assert_refused(&in_scope, &limits, ANSWER_TOO_LARGE,
                                       "resource_logs[0].scope_logs[0].scope.attributes[3]: more than 3 attributes");
                        assert_refused(
                                &in_record, &limits, ANSWER_TOO_LARGE,
                                "resource_logs[0].scope_logs[0].log_records[0].attributes[3]: more than 3 attributes");
                }
        }
}

/* A list inside a value is not an attribute list. */
static void does_not_count_kvlists_as_attributes(void **state)
{
        (void)state;
        struct otlp_limits limits = defaults;
        limits.attributes = 1;
        struct buf record = { 0 }, list = { 0 }, value = { 0 };
        for (int i = 0; i < 5; i++)
                wire_attribute_int(&list, 1, "k", i);
        wire_message(&value, 6, &list);
        wire_attribute(&record, 6, "list", &value);
        struct buf b = request_of(&record);
        assert_passes(&b, &limits);
}

/* Merging them would let attributes escape their limit. */
static void refuses_singular_messages_given_twice(void **state)
{
        (void)state;
        struct buf record = { 0 }, empty = { 0 }, value = { 0 };
        wire_message(&record, 5, &empty);
        wire_message(&record, 5, &empty);
        struct buf b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].body: given more than once");

        wire_message(&value, 6, &empty);
        wire_message(&value, 6, &empty);
        wire_message(&record, 5, &value);
        b = request_of(&record);
        assert_malformed(&b, "resource_logs[0].scope_logs[0].log_records[0].body.kvlist_value: given more than once");

        struct buf resource_logs = { 0 };
        wire_message(&resource_logs, 1, &empty);
        wire_message(&resource_logs, 1, &empty);
        b = (struct buf){ 0 };
        wire_message(&b, 1, &resource_logs);
        assert_malformed(&b, "resource_logs[0].resource: given more than once");
}

static void splits(void **state)
{
        (void)state;
        struct arena *arena = arena_new(1 << 20);
        struct buf b = { 0 }, resource = { 0 }, empty = { 0 };
        struct otlp_resources resources;
        struct refusal r = { 0 };
        assert_int_equal(otlp_split(arena, (struct otlp_span){ 0 }, 0, &resources, &r), 0);
        assert_int_equal(resources.n, 0);

        wire_str(&b, 99, "a field of the future");
        wire_message(&b, 1, &empty);
        wire_int(&b, 2, 1);
        wire_attribute_int(&resource, 1, "k", 1);
        struct buf logs_with_resource = { 0 }, logs_with_empty_resource = { 0 };
        wire_str(&logs_with_resource, 3, "schema");
        wire_bytes(&logs_with_resource, 1, resource.data, resource.len);
        wire_bytes(&b, 1, logs_with_resource.data, logs_with_resource.len);
        wire_message(&logs_with_empty_resource, 1, &empty);
        wire_message(&b, 1, &logs_with_empty_resource);
        assert_int_equal(scan(&b, &defaults, &r), 0);

        const struct otlp_span request = { b.data, b.data + b.len };
        assert_int_equal(otlp_split(arena, request, 3, &resources, &r), 0);
        assert_int_equal(resources.n, 3);
        const struct otlp_resource_logs *logs = resources.logs;
        assert_ptr_equal(logs[0].message.at, logs[0].message.end);
        assert_null(logs[0].resource.at); /* absent is not empty */
        assert_int_equal(logs[1].message.end - logs[1].message.at, logs_with_resource.len);
        assert_memory_equal(logs[1].message.at, logs_with_resource.data, logs_with_resource.len);
        assert_int_equal(logs[1].resource.end - logs[1].resource.at, resource.len);
        assert_memory_equal(logs[1].resource.at, resource.data, resource.len);
        assert_non_null(logs[2].resource.at);
        assert_ptr_equal(logs[2].resource.at, logs[2].resource.end);

        assert_int_equal(otlp_split(arena, request, 2, &resources, &r), ANSWER_TOO_LARGE);
        assert_string_equal(r.message, "more than 2 resource_logs in one request");
        buf_done(&logs_with_resource);
        buf_done(&resource);
        buf_done(&b);
        arena_free(arena);
}

/* The list of ResourceLogs at the ceiling and one past it. */
static void full_arena_is_too_large(void **state)
{
        (void)state;
        enum { MOST = 1000 };
        struct buf b = { 0 }, empty = { 0 };
        for (int i = 0; i < MOST; i++)
                wire_message(&b, 1, &empty);
        struct otlp_resources resources = { 0 };
        struct refusal r = { 0 };
        struct arena *arena = arena_new(MOST * sizeof(*resources.logs));
        assert_int_equal(otlp_split(arena, (struct otlp_span){ b.data, b.data + b.len }, 2 * MOST, &resources, &r), 0);
        assert_int_equal(resources.n, MOST);
        arena_reset(arena);
        wire_message(&b, 1, &empty);
        resources.logs = NULL;
        assert_int_equal(otlp_split(arena, (struct otlp_span){ b.data, b.data + b.len }, 2 * MOST, &resources, &r),
                         ANSWER_TOO_LARGE);
        assert_string_equal(r.message, "the request needs too much memory");
        assert_null(resources.logs);
        arena_free(arena);
        buf_done(&b);
}

/* The outermost length is wrong then. */
static void every_prefix_is_malformed(void **state)
{
        (void)state;
        struct buf b = wire_rich_request();
        for (size_t len = 1; len < b.len; len++) {
                struct refusal r = { 0 };
                struct buf prefix = { .data = b.data, .len = len };
                assert_int_equal(scan(&prefix, &defaults, &r), ANSWER_MALFORMED);
                assert_string_not_equal(r.message, "");
        }
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counts_records),
                cmocka_unit_test(says_where_text_is_not_utf8),
                cmocka_unit_test(takes_bytes_as_they_are),
                cmocka_unit_test(refuses_wrong_wire_types),
                cmocka_unit_test(refuses_what_is_not_protobuf),
                cmocka_unit_test(takes_odd_but_legal_encodings),
                cmocka_unit_test(bounds_depth),
                cmocka_unit_test(bounds_depth_absolutely),
                cmocka_unit_test(bounds_records),
                cmocka_unit_test(bounds_submessages),
                cmocka_unit_test(counts_unknown_fields),
                cmocka_unit_test(bounds_attributes),
                cmocka_unit_test(does_not_count_kvlists_as_attributes),
                cmocka_unit_test(refuses_singular_messages_given_twice),
                cmocka_unit_test(splits),
                cmocka_unit_test(full_arena_is_too_large),
                cmocka_unit_test(every_prefix_is_malformed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
