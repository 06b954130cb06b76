/* gRPC framing, and the table of outcomes. */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "protocol/grpc.h"
#include "rpc_status.pb-c.h"
#include "util/text/utf8.h"

static void prefixes(void **state)
{
        (void)state;
        uint8_t p[GRPC_PREFIX_SIZE];
        bool compressed;
        uint32_t len;
        grpc_write_prefix(p, 0x01020304);
        assert_memory_equal(p, "\0\1\2\3\4", 5);
        assert_int_equal(grpc_read_prefix(p, &compressed, &len), 0);
        assert_false(compressed);
        assert_int_equal(len, 0x01020304);
        assert_int_equal(grpc_read_prefix((const uint8_t *)"\1\xff\xff\xff\xff", &compressed, &len), 0);
        assert_true(compressed);
        assert_int_equal(len, UINT32_MAX);
        for (int flag = 2; flag < 256; flag++) {
                p[0] = (uint8_t)flag;
                assert_int_equal(grpc_read_prefix(p, &compressed, &len), GRPC_BAD_FLAG);
        }
}

static void messages_are_percent_encoded(void **state)
{
        (void)state;
        struct buf out = { 0 };
        assert_int_equal(grpc_encode_message("100% of \xc3\xa9\n\x7f~ \x01", &out), 0);
        char *text = buf_take_str(&out);
        assert_string_equal(text, "100%25 of %C3%A9%0A%7F~ %01");
        free(text);
        assert_int_equal(grpc_encode_message("", &out), 0);
        assert_int_equal(out.len, 0);
        buf_done(&out);
}

static void timeouts(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                uint64_t ns;
        } good[] = {
                { "1H", 3600000000000 },
                { "2M", 120000000000 },
                { "3S", 3000000000 },
                { "4m", 4000000 },
                { "5u", 5000 },
                { "6n", 6 },
                { "0S", 0 },
                { "99999999S", 99999999000000000 },
                { "99999999H", UINT64_MAX },
                { "5124095H", 18446742000000000000u },
                { "5124096H", UINT64_MAX },
        };
        static const char *const bad[] = { "", "S", "1", "1s", "1h", "123456789S", " 1S", "1 S", "-1S", "+1S", "1.5S" };
        uint64_t ns;
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                assert_int_equal(grpc_parse_timeout(good[i].text, strlen(good[i].text), &ns), 0);
                assert_true(ns == good[i].ns);
        }
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(grpc_parse_timeout(bad[i], strlen(bad[i]), &ns), GRPC_BAD_TIMEOUT);
}

static Google__Rpc__Status *decode_details(const struct refusal *r)
{
        struct buf out = { 0 };
        uint8_t bytes[1024];
        assert_int_equal(grpc_encode_details(r, &out), 0);
        size_t len = out.len / 4 * 3 + (out.len % 4 ? out.len % 4 - 1 : 0);
        while (out.len % 4)
                assert_int_equal(buf_append_char(&out, '='), 0);
        assert_true(EVP_DecodeBlock(bytes, out.data, (int)out.len) >= (int)len);
        buf_done(&out);
        Google__Rpc__Status *status = google__rpc__status__unpack(NULL, len, bytes);
        assert_non_null(status);
        return status;
}

static void details_carry_the_delay(void **state)
{
        (void)state;
        static const unsigned delays[] = { 0, 1, 999, 1000, 61500, UINT_MAX };
        for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
                struct refusal r = { 0 };
                refuse(&r, ANSWER_RATE_LIMITED, "slow down \xc3\xa9");
                r.retry_after_ms = delays[i];
                Google__Rpc__Status *status = decode_details(&r);
                assert_int_equal(status->code, 8);
                assert_string_equal(status->message, "slow down \xc3\xa9");
                assert_int_equal(status->n_details, 1);
                assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.RetryInfo");
                Google__Rpc__RetryInfo *info = google__rpc__retry_info__unpack(NULL, status->details[0]->value.len,
                                                                               status->details[0]->value.data);
                assert_int_equal(info->retry_delay->seconds, delays[i] / 1000);
                assert_int_equal(info->retry_delay->nanos, delays[i] % 1000 * 1000000);
                google__rpc__retry_info__free_unpacked(info, NULL);
                google__rpc__status__free_unpacked(status, NULL);
        }
}

/* Every length of message, so that every padding of base64 occurs, up to the longest. */
static void details_of_any_length(void **state)
{
        (void)state;
        struct refusal r = { 0 };
        refuse(&r, ANSWER_UNAVAILABLE, "%s", "");
        r.retry_after_ms = UINT_MAX;
        for (size_t n = 0; n < sizeof(r.message); n++) {
                memset(r.message, 'x', n);
                r.message[n] = '\0';
                Google__Rpc__Status *status = decode_details(&r);
                assert_int_equal(strlen(status->message), n);
                google__rpc__status__free_unpacked(status, NULL);
        }
}

static void details_invite_no_useless_retry(void **state)
{
        (void)state;
        struct refusal r = { 0 };
        refuse(&r, ANSWER_TOO_LARGE, "too large");
        r.retry_after_ms = 5;
        Google__Rpc__Status *status = decode_details(&r);
        assert_int_equal(status->code, 8);
        assert_int_equal(status->n_details, 0);
        google__rpc__status__free_unpacked(status, NULL);
}

static void answers(void **state)
{
        (void)state;
        static const struct {
                enum answer a;
                int http, grpc, metric;
        } expected[] = {
                { ANSWER_OK, 200, 0, 200 },
                { ANSWER_MALFORMED, 400, 3, 400 },
                { ANSWER_UNAUTHENTICATED, 401, 16, 401 },
                { ANSWER_FORBIDDEN, 403, 7, 403 },
                { ANSWER_NOT_FOUND, 404, 12, 404 },
                { ANSWER_METHOD, 405, 12, 404 },
                { ANSWER_TIMEOUT, 408, 4, 408 },
                { ANSWER_VERSION, 412, 9, 412 },
                { ANSWER_TOO_LARGE, 413, 8, 413 },
                { ANSWER_MEDIA_TYPE, 415, 12, 400 },
                { ANSWER_INVALID, 422, 3, 400 },
                { ANSWER_RATE_LIMITED, 429, 8, 429 },
                { ANSWER_INTERNAL, 500, 13, 500 },
                { ANSWER_UNAVAILABLE, 503, 14, 503 },
                { ANSWER_MAX_, 500, 13, 500 },
        };
        for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
                assert_int_equal(answer_http_status(expected[i].a), expected[i].http);
                assert_int_equal(answer_grpc_code(expected[i].a), expected[i].grpc);
                assert_int_equal(answer_metric_status(expected[i].a), expected[i].metric);
                assert_int_equal(answer_is_retryable(expected[i].a),
                                 expected[i].a == ANSWER_RATE_LIMITED || expected[i].a == ANSWER_UNAVAILABLE);
        }
}

static void refusals_stay_utf8(void **state)
{
        (void)state;
        static const char *const characters[] = { "x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x80" };
        struct refusal r = { .retry_after_ms = 9 };
        assert_int_equal(refuse(&r, ANSWER_MALFORMED, "no %d", 1), ANSWER_MALFORMED);
        assert_string_equal(r.message, "no 1");
        assert_int_equal(r.retry_after_ms, 9); /* the caller's */
        for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
                for (size_t offset = 0; offset < 4; offset++) {
                        char text[800] = { 0 };
                        memset(text, '-', offset);
                        while (strlen(text) < sizeof(text) - 5)
                                strcat(text, characters[c]);
                        refuse(&r, ANSWER_MALFORMED, "%s", text);
                        size_t len = strlen(r.message);
                        assert_true(utf8_valid(r.message, len));
                        assert_in_range(len, sizeof(r.message) - strlen(characters[c]), sizeof(r.message) - 1);
                        assert_memory_equal(r.message, text, len);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(prefixes),
                cmocka_unit_test(messages_are_percent_encoded),
                cmocka_unit_test(timeouts),
                cmocka_unit_test(details_carry_the_delay),
                cmocka_unit_test(details_of_any_length),
                cmocka_unit_test(details_invite_no_useless_retry),
                cmocka_unit_test(answers),
                cmocka_unit_test(refusals_stay_utf8),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
