#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/crash/crash_metadata.h"
#include "protocol/json/json_document.h"

#define SOURCE                                                                                                         \
        "\"source\":{\"project\":\"acme\",\"platform\":\"linux\",\"version\":\"1.4.2\","                               \
        "\"install_id\":\"01234567-89ab-cdef-0123-456789abcdef\"}"
#define TIMESTAMP "\"timestamp\":\"2026-05-19T00:00:00Z\""
#define KIND "\"kind\":\"Minidump\""
#define BUILD "\"build\":{\"git_sha\":\"abc\",\"profile\":\"release\",\"target_triple\":\"x86_64-unknown-linux-gnu\"}"
#define REST "\"panic_text\":null,\"context\":{},\"attachments\":[]"
#define GOOD "{\"schema_version\":1," SOURCE "," TIMESTAMP "," KIND "," BUILD "," REST "}"

static struct crash_metadata *parse_bytes(const char *text, size_t len, unsigned max_manifest, int expected,
                                          struct refusal *r)
{
        struct crash_metadata *m = NULL;
        uint8_t *exact = malloc(len ? len : 1); /* its own block, so that ASan sees a read beyond */
        assert_non_null(exact);
        memcpy(exact, text, len);
        int answer = crash_metadata_parse(exact, len, max_manifest, &m, r);
        free(exact);
        if (answer != expected)
                fail_msg("answer %d (%s) for %s", answer, answer > 0 ? r->message : "", text);
        assert_true((answer == 0) == (m != NULL));
        return m;
}

static struct crash_metadata *parse(const char *text)
{
        struct refusal r = { 0 };
        return parse_bytes(text, strlen(text), 64, 0, &r);
}

static void expect_refused(const char *text, int answer, const char *message)
{
        struct refusal r = { 0 };
        parse_bytes(text, strlen(text), 64, answer, &r);
        assert_int_equal(r.answer, answer);
        assert_string_equal(r.message, message);
}

/* GOOD with the first `from` in it replaced. Freed by the caller. */
static char *edit(const char *from, const char *to)
{
        const char *at = strstr(GOOD, from);
        char *text = NULL;
        assert_non_null(at);
        assert_true(asprintf(&text, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from)) > 0);
        return text;
}

static void expect_edit_refused(const char *from, const char *to, const char *message)
{
        char *text = edit(from, to);
        expect_refused(text, ANSWER_MALFORMED, message);
        free(text);
}

static void expect_edit_accepted(const char *from, const char *to, const char *stored)
{
        char *text = edit(from, to);
        struct crash_metadata *m = parse(text);
        if (!strstr(m->json, stored))
                fail_msg("%s is not in %s", stored, m->json);
        crash_metadata_free(m);
        free(text);
}

static void test_fields(void **state)
{
        (void)state;
        struct crash_metadata *m = parse(
                " {\"x\":[1, 2],\"attachments\":[{\"len\":12,\"content_type\":\"text/plain\",\"key\":\"log\",\"y\":1},"
                "{\"key\":\"b\",\"filename\":\"b.txt\",\"content_type\":\"\",\"len\":18446744073709551615}],"
                "\"context\" : { \"b\" : 1 , \"a\" : \"/\\u00e9\\u0000\" },\"panic_text\":\"boom\\n\"," BUILD
                ",\"kind\":\"RustcIce\",\"timestamp\":\"2026-05-19T02:00:00.5+02:00\",\"source\":{\"z\":null,"
                "\"install_id\":\"{01234567-89AB-CDEF-0123-456789ABCDEF}\",\"version\":\"\",\"platform\":\"linux\","
                "\"project\":\"acme\"},\"schema_version\":1}\r\n");
        assert_string_equal(m->source.project, "acme");
        assert_string_equal(m->source.install_id, "01234567-89ab-cdef-0123-456789abcdef");
        assert_string_equal(m->platform, "linux");
        assert_string_equal(m->version, "");
        assert_int_equal(m->timestamp.sec, 1779148800);
        assert_int_equal(m->timestamp.nsec, 500000000);
        assert_string_equal(m->kind, "RustcIce");
        assert_string_equal(m->git_sha, "abc");
        assert_string_equal(m->profile, "release");
        assert_string_equal(m->target_triple, "x86_64-unknown-linux-gnu");
        assert_string_equal(m->panic_text, "boom\n");
        assert_string_equal(m->context, "{\"b\":1,\"a\":\"/\xc3\xa9\\u0000\"}");
        assert_int_equal(m->n_manifest, 2);
        assert_string_equal(m->manifest[0].key, "log");
        assert_null(m->manifest[0].filename);
        assert_string_equal(m->manifest[0].content_type, "text/plain");
        assert_int_equal(m->manifest[0].len, 12);
        assert_string_equal(m->manifest[1].filename, "b.txt");
        assert_true(m->manifest[1].len == UINT64_MAX);
        assert_string_equal(
                m->json,
                "{\"schema_version\":1,\"source\":{\"project\":\"acme\",\"platform\":\"linux\",\"version\":\"\","
                "\"install_id\":\"01234567-89ab-cdef-0123-456789abcdef\",\"z\":null},"
                "\"timestamp\":\"2026-05-19T00:00:00.500Z\",\"kind\":\"RustcIce\"," BUILD
                ",\"panic_text\":\"boom\\n\",\"context\":{\"b\":1,\"a\":\"/\xc3\xa9\\u0000\"},\"attachments\":["
                "{\"key\":\"log\",\"filename\":null,\"content_type\":\"text/plain\",\"len\":12,\"y\":1},"
                "{\"key\":\"b\",\"filename\":\"b.txt\",\"content_type\":\"\",\"len\":18446744073709551615}],"
                "\"x\":[1,2]}");
        crash_metadata_free(m);
}

static void test_optional(void **state)
{
        (void)state;
        struct crash_metadata *m = parse(GOOD);
        assert_null(m->panic_text);
        assert_string_equal(m->json, GOOD);
        crash_metadata_free(m);
        expect_edit_accepted("\"panic_text\":null,", "", "\"panic_text\":null,\"context\"");
        expect_edit_accepted("\"context\":{}", "\"context\":null", "\"context\":null");
        expect_edit_accepted("\"context\":{}", "\"context\":\"text\"", "\"context\":\"text\"");
        expect_edit_accepted("\"attachments\":[]",
                             "\"attachments\":[{\"key\":\"a\",\"filename\":null,\"content_type\":\"b\",\"len\":0}]",
                             "[{\"key\":\"a\",\"filename\":null,\"content_type\":\"b\",\"len\":0}]");
        expect_edit_accepted("\"kind\":\"Minidump\"", "\"kind\":1,\"kind\":\"PanicTarball\"",
                             "\"kind\":\"PanicTarball\""); /* the last of a repeated key counts */
}

static void test_version(void **state)
{
        static const char *const others[][2] = {
                { "2", "protocol version 2 does not match 1" },
                { "0", "protocol version 0 does not match 1" },
                { "-1", "protocol version -1 does not match 1" },
                { "18446744073709551615", "protocol version 18446744073709551615 does not match 1" },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(others); i++) {
                char text[100];
                snprintf(text, sizeof(text), "{\"schema_version\":%s}", others[i][0]); /* before all other fields */
                expect_refused(text, ANSWER_VERSION, others[i][1]);
        }
        expect_refused("{}", ANSWER_MALFORMED, "metadata.schema_version: missing");
        expect_refused("{\"schema_version\":1.0}", ANSWER_MALFORMED, "metadata.schema_version: not an integer");
        expect_refused("{\"schema_version\":\"1\"}", ANSWER_MALFORMED, "metadata.schema_version: not an integer");
        expect_refused("{\"schema_version\":null}", ANSWER_MALFORMED, "metadata.schema_version: not an integer");
        expect_refused("{\"schema_version\":18446744073709551616}", ANSWER_MALFORMED,
                       "metadata.schema_version: not an integer");
}

static void test_missing_and_wrong_types(void **state)
{
        (void)state;
        expect_edit_refused(SOURCE ",", "", "metadata.source: missing");
        expect_edit_refused(SOURCE, "\"source\":[]", "metadata.source: not an object");
        expect_edit_refused("\"project\":\"acme\",", "", "metadata.source.project: missing");
        expect_edit_refused("\"acme\"", "1", "metadata.source.project: not a string");
        expect_edit_refused("\"platform\":\"linux\",", "", "metadata.source.platform: missing");
        expect_edit_refused("\"1.4.2\"", "null", "metadata.source.version: not a string");
        expect_edit_refused("\"install_id\"", "\"installid\"", "metadata.source.install_id: missing");
        expect_edit_refused(TIMESTAMP ",", "", "metadata.timestamp: missing");
        expect_edit_refused(TIMESTAMP, "\"timestamp\":0", "metadata.timestamp: not a string");
        expect_edit_refused("2026-05-19T", "2026-02-30T", "metadata.timestamp: not an RFC 3339 date and time");
        expect_edit_refused("\"Minidump\"", "\"minidump\"",
                            "metadata.kind: not one of Minidump, PanicTarball, RustcIce");
        expect_edit_refused(BUILD ",", "", "metadata.build: missing");
        expect_edit_refused("\"abc\"", "{}", "metadata.build.git_sha: not a string");
        expect_edit_refused("\"profile\":\"release\",", "", "metadata.build.profile: missing");
        expect_edit_refused("\"target_triple\"", "\"x\"", "metadata.build.target_triple: missing");
        expect_edit_refused("\"panic_text\":null", "\"panic_text\":1", "metadata.panic_text: not a string");
        expect_edit_refused("\"context\":{},", "", "metadata.context: missing");
        expect_edit_refused(",\"attachments\":[]", "", "metadata.attachments: missing");
        expect_edit_refused("\"attachments\":[]", "\"attachments\":null", "metadata.attachments: not an array");
}

static void test_project(void **state)
{
        (void)state;
        const char *message =
                "metadata.source.project: not 1 to 128 characters of A-Z a-z 0-9 . _ - @ + : ~, or begins with a dot";
        expect_edit_refused("\"acme\"", "\"\"", message);
        expect_edit_refused("\"acme\"", "\"..\"", message);
        expect_edit_refused("\"acme\"", "\"a/b\"", message);
        char name[132] = "\"";
        memset(name + 1, 'p', 129);
        strcpy(name + 129, "\"");
        expect_edit_accepted("\"acme\"", name, name);
        strcpy(name + 129, "p\"");
        expect_edit_refused("\"acme\"", name, message);
}

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

static void test_uuid(void **state)
{
        static const char *const good[] = { "0123456789ABCDEF0123456789abcdef", "01234567-89AB-CDEF-0123-456789ABCDEF",
                                            "urn:uuid:" UUID, "URN:UUID:" UUID, "{" UUID "}" };
        static const char *const bad[] = { "",
                                           "0",
                                           "0123456789abcdef0123456789abcdeg",
                                           "01234567-89ab-cdef-0123-456789abcde",
                                           "01234567-89ab-cdef-0123-456789abcdef0",
                                           "012345678-9ab-cdef-0123-456789abcdef",
                                           "{" UUID,
                                           "{" UUID ")",
                                           "urn:uuix:" UUID,
                                           "{0123456789abcdef0123456789abcdef}",
                                           "01234567-89ab-cdef-0123-456789abcde\xc3\xa9" };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(good); i++)
                expect_edit_accepted(UUID, good[i], "\"install_id\":\"" UUID "\"");
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                expect_edit_refused(UUID, bad[i], "metadata.source.install_id: not a UUID");
}

static void test_length_of_text(void **state)
{
        static const char *const fields[][2] = { { "\"linux\"", "source.platform" },
                                                 { "\"1.4.2\"", "source.version" },
                                                 { "\"abc\"", "build.git_sha" },
                                                 { "\"release\"", "build.profile" },
                                                 { "\"x86_64-unknown-linux-gnu\"", "build.target_triple" } };
        char text[1024 + 4], message[100];
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
                snprintf(text, sizeof(text), "\"%01024d\"", 0);
                expect_edit_accepted(fields[i][0], text, text);
                snprintf(text, sizeof(text), "\"%01025d\"", 0);
                snprintf(message, sizeof(message), "metadata.%s: longer than 1024 bytes", fields[i][1]);
                expect_edit_refused(fields[i][0], text, message);
        }
}

/* \u0000 stays where we only pass JSON on, and is refused where we keep a C string. */
static void test_nul(void **state)
{
        (void)state;
        expect_edit_accepted("\"context\":{}", "\"context\":[\"a\\u0000b\"],\"u\":\"\\u0000\"", "[\"a\\u0000b\"]");
        expect_edit_refused("\"linux\"", "\"lin\\u0000ux\"", "metadata.source.platform: contains a NUL");
        expect_edit_refused("\"acme\"", "\"acme\\u0000\"", "metadata.source.project: contains a NUL");
        expect_edit_refused("\"Minidump\"", "\"Minidump\\u0000\"", "metadata.kind: contains a NUL");
        expect_edit_refused("\"panic_text\":null", "\"panic_text\":\"\\u0000\"", "metadata.panic_text: contains a NUL");
        char *text = edit("\"context\":{}", "\"context\":{\"a\\u0000b\":1}");
        struct refusal r = { 0 };
        parse_bytes(text, strlen(text), 64, ANSWER_MALFORMED, &r);
        assert_non_null(strstr(r.message, "NUL in an object's key at byte"));
        free(text);
}

#define ENTRY(key) "{\"key\":" key ",\"content_type\":\"b\",\"len\":1}"
#define MANIFEST "\"attachments\":["

static void test_manifest_malformed(void **state)
{
        static const char *const cases[][2] = {
                { "1", "attachments[0]: not an object" },
                { "{}", "attachments[0].key: missing" },
                { ENTRY("\"\""), "attachments[0].key: empty" },
                { ENTRY("1"), "attachments[0].key: not a string" },
                { ENTRY("\"\\u0000\""), "attachments[0].key: contains a NUL" },
                { ENTRY("\"a\"") "," ENTRY("\"b\"") "," ENTRY("\"a\""),
                  "attachments[2].key: the same as another attachment's" },
                { "{\"key\":\"a\",\"filename\":1}", "attachments[0].filename: not a string" },
                { "{\"key\":\"a\"}", "attachments[0].content_type: missing" },
                { "{\"key\":\"a\",\"content_type\":null}", "attachments[0].content_type: not a string" },
                { "{\"key\":\"a\",\"content_type\":\"b\"}", "attachments[0].len: missing" },
                { "{\"key\":\"a\",\"content_type\":\"b\",\"len\":-1}", "attachments[0].len: less than 0" },
                { "{\"key\":\"a\",\"content_type\":\"b\",\"len\":1.0}", "attachments[0].len: not an integer" },
                { "{\"key\":\"a\",\"content_type\":\"b\",\"len\":18446744073709551616}",
                  "attachments[0].len: not an integer" },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char to[300], message[100];
                snprintf(to, sizeof(to), MANIFEST "%s]", cases[i][0]);
                snprintf(message, sizeof(message), "metadata.%s", cases[i][1]);
                expect_edit_refused(MANIFEST "]", to, message);
        }
}

static void test_limit_of_manifest(void **state)
{
        struct refusal r = { 0 };
        (void)state;
        char *text = edit(MANIFEST "]", MANIFEST ENTRY("\"a\"") "," ENTRY("\"b\"") "]");
        struct crash_metadata *m = parse_bytes(text, strlen(text), 2, 0, &r);
        assert_int_equal(m->n_manifest, 2);
        crash_metadata_free(m);
        parse_bytes(text, strlen(text), 1, ANSWER_MALFORMED, &r);
        assert_string_equal(r.message, "metadata.attachments: more than 1");
        free(text);
        crash_metadata_free(parse_bytes(GOOD, strlen(GOOD), 0, 0, &r));
}

/* Numbers come out as they went in. */
static void test_numbers(void **state)
{
        static const char *const kept[] = { "0.1",
                                            "1e-7",
                                            "1.0",
                                            "1E+5",
                                            "-0.0",
                                            "5e-324",
                                            "18446744073709551615",
                                            "-9223372036854775808",
                                            "0",
                                            "123456789.123456789123456789" };
        char to[100], stored[100];
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
                snprintf(to, sizeof(to), "\"context\":{\"n\":%s}", kept[i]);
                expect_edit_accepted("\"context\":{}", to, to);
        }
        static const char *const as_doubles[] = { "18446744073709551616", "-9223372036854775809",
                                                  "123456789012345678901234567890", "-0" };
        for (size_t i = 0; i < ARRAY_LEN(as_doubles); i++) {
                snprintf(to, sizeof(to), "\"context\":[%s ,\"x\"]", as_doubles[i]);
                snprintf(stored, sizeof(stored), "\"context\":[%s.0,\"x\"]", as_doubles[i]);
                expect_edit_accepted("\"context\":{}", to, stored);
        }
        expect_edit_refused("\"context\":{}", "\"context\":[{\"a\":-1e400}]", "metadata: a number is too large");
        expect_edit_refused("\"context\":{}", "\"context\":0,\"u\":1e999", "metadata: a number is too large");
}

static void test_not_json(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                { "", "expected a value at byte 0" },
                { " ", "expected a value at byte 1" },
                { "{", "expected a key in quotes at byte 1" },
                { "{\"a\"", "expected ':' at byte 4" },
                { "{\"a\":", "expected a value at byte 5" },
                { "{\"a\":1", "expected ',' or '}' at byte 6" },
                { "{\"a\":1,}", "expected a key in quotes at byte 7" },
                { "{\"a\":[1,]}", "expected a value at byte 8" },
                { "{} x", "expected the end at byte 3" },
                { "{}{}", "expected the end at byte 2" },
                { "{'a':1}", "expected a key in quotes at byte 1" },
                { "{\"a\":NaN}", "expected a value at byte 5" },
                { "{\"a\":-Infinity}", "expected a digit at byte 6" },
                { "{\"a\":Infinity}", "expected a value at byte 5" },
                { "{\"a\":True}", "expected a value at byte 5" },
                { "{\"a\":nul}", "expected a value at byte 5" },
                { "{\"a\":01}", "expected ',' or '}' at byte 6" },
                { "{\"a\":-01}", "expected ',' or '}' at byte 7" },
                { "{\"a\":+1}", "expected a value at byte 5" },
                { "{\"a\":1.}", "expected a digit after the point at byte 7" },
                { "{\"a\":.5}", "expected a value at byte 5" },
                { "{\"a\":1e}", "expected a digit in the exponent at byte 7" },
                { "{\"a\":\"\t\"}", "control character in a string at byte 6" },
                { "{\"a\":\"\\x\"}", "unknown escape at byte 7" },
                { "{\"a\":\"\\u12g4\"}", "expected four hex digits at byte 10" },
                { "{\"a\":\"\\ud800\"}", "unpaired surrogate at byte 12" },
                { "{\"a\":\"\\ud800\\u0041\"}", "unpaired surrogate at byte 18" },
                { "{\"a\":\"\\udc00\\ud800\"}", "unpaired surrogate at byte 12" },
                { "{\"a\":\"x", "string without end at byte 7" },
                { "{\"a\":/**/1}", "expected a value at byte 5" },
                { "{\"a\":\"\xed\xa0\x80\"}", "not UTF-8 at byte 0" },
                { "\xef\xbb\xbf\xef\xbb\xbf{}", "expected a value at byte 0" },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char message[200];
                snprintf(message, sizeof(message), "metadata: not JSON: %s", cases[i].message);
                expect_refused(cases[i].text, ANSWER_MALFORMED, message);
        }
        expect_refused("[]", ANSWER_MALFORMED, "metadata: not an object");
        expect_refused("null", ANSWER_MALFORMED, "metadata: not an object");
        expect_refused(" 12", ANSWER_MALFORMED, "metadata: not an object");
        struct refusal r = { 0 };
        parse_bytes("{}", 3, 64, ANSWER_MALFORMED, &r); /* the NUL is not white space */
        assert_string_equal(r.message, "metadata: not JSON: expected the end at byte 2");
}

/* Every prefix of a document is refused, and none reads beyond its end. */
static void test_truncated(void **state)
{
        (void)state;
        for (size_t len = 0; len < strlen(GOOD); len++) {
                struct refusal r = { 0 };
                parse_bytes(GOOD, len, 64, ANSWER_MALFORMED, &r);
                assert_non_null(strstr(r.message, "not JSON"));
        }
}

static void test_strings(void **state)
{
        (void)state;
        expect_edit_accepted("\"context\":{}", "\"context\":\"\\ud83d\\ude00\\/\\u001F\\b\\f\\n\\r\\t\\\\\\\"\\u007f\"",
                             "\"context\":\"\xf0\x9f\x98\x80/\\u001f\\b\\f\\n\\r\\t\\\\\\\"\x7f\"");
}

static void test_depth(void **state)
{
        char to[200];
        (void)state;
        for (int depth = 31; depth <= 32; depth++) { /* the document is the first level */
                int n = snprintf(to, sizeof(to), "\"context\":");
                memset(to + n, '[', (size_t)depth);
                to[n + depth] = '1';
                memset(to + n + depth + 1, ']', (size_t)depth);
                to[n + 2 * depth + 1] = '\0';
                if (depth == 31) {
                        expect_edit_accepted("\"context\":{}", to, to);
                        continue;
                }
                char *text = edit("\"context\":{}", to);
                struct refusal r = { 0 };
                parse_bytes(text, strlen(text), 64, ANSWER_MALFORMED, &r);
                assert_non_null(strstr(r.message, "nested too deeply at byte"));
                free(text);
        }
}

static void test_limit_of_size(void **state)
{
        (void)state;
        char *text = malloc(CRASH_METADATA_MAX_BYTES + 2);
        assert_non_null(text);
        memset(text, ' ', CRASH_METADATA_MAX_BYTES + 1);
        memcpy(text, GOOD, strlen(GOOD));
        struct refusal r = { 0 };
        crash_metadata_free(parse_bytes(text, CRASH_METADATA_MAX_BYTES, 64, 0, &r));
        text[CRASH_METADATA_MAX_BYTES + 1] = '\0';
        expect_refused(text, ANSWER_TOO_LARGE, "metadata: longer than 65536 bytes");
        free(text);
}

static void expect_indent(const char *compact, const char *expected)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        assert_int_equal(json_document_indent(compact, strlen(compact), &out), 0);
        assert_int_equal(out.len, strlen(expected));
        assert_memory_equal(out.data, expected, out.len);
}

static void test_indent(void **state)
{
        (void)state;
        expect_indent("{}", "{}");
        expect_indent("[]", "[]");
        expect_indent("1", "1");
        expect_indent("\"{}[]:,\\\"{\\\\\"", "\"{}[]:,\\\"{\\\\\"");
        expect_indent("{\"a\":[],\"b\":{\"c\":{}},\"d\":[1,-2.5e3,[null,true],\"x:y\"]}",
                      "{\n  \"a\": [],\n  \"b\": {\n    \"c\": {}\n  },\n  \"d\": [\n    1,\n    -2.5e3,\n    [\n"
                      "      null,\n      true\n    ],\n    \"x:y\"\n  ]\n}");
}

static void test_append_string(void **state)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        (void)state;
        assert_int_equal(json_document_append_string(&out, "a\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9"), 0);
        assert_int_equal(json_document_append_string(&out, ""), 0);
        assert_int_equal(buf_append_char(&out, '\0'), 0);
        assert_string_equal((char *)out.data, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"\"\"");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_optional),
                cmocka_unit_test(test_version),
                cmocka_unit_test(test_missing_and_wrong_types),
                cmocka_unit_test(test_project),
                cmocka_unit_test(test_uuid),
                cmocka_unit_test(test_length_of_text),
                cmocka_unit_test(test_nul),
                cmocka_unit_test(test_manifest_malformed),
                cmocka_unit_test(test_limit_of_manifest),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_not_json),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_limit_of_size),
                cmocka_unit_test(test_indent),
                cmocka_unit_test(test_append_string),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
