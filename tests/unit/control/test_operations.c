/* Requests and the bytes of their answers, as far as no store is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/operations.h"
#include "util/buf.h"
#include "util/cleanup.h"

static struct config config = { .tokens_config = (char *)"/etc/tokens.yaml" };
static struct operations_config operating = { .config = &config };
static struct operations *operations;

static int setup(_unused_ void **state)
{
        operating.reload = NULL;
        return operations_new(&operating, &operations);
}

static int teardown(_unused_ void **state)
{
        operations = operations_free(operations);
        return 0;
}

static char answered[4096]; /* all lines */
static int emit_result;

static int emit(_unused_ void *userdata, const char *line, size_t len)
{
        size_t at = strlen(answered);
        assert_int_equal(strlen(line), len);
        snprintf(answered + at, sizeof(answered) - at, "%s\n", line);
        return emit_result;
}

static int run(const char *request)
{
        answered[0] = '\0';
        emit_result = 0;
        return operations_run(operations, request, emit, NULL);
}

static void expect(const char *request, int result, const char *lines)
{
        assert_int_equal(run(request), result);
        assert_string_equal(answered, lines);
}

static void expect_error(const char *request, const char *error)
{
        char line[1024];
        snprintf(line, sizeof(line), "{\"error\":\"%s\"}\n", error);
        expect(request, OPERATIONS_FAILED, line);
}

static void test_an_answer_is_one_object(_unused_ void **state)
{
        char line[256];
        snprintf(line, sizeof(line), "{\"ok\":true,\"version\":\"%s\",\"pid\":%d,\"daemon\":false}\n", DETRITUS_VERSION,
                 (int)getpid());
        expect("{\"op\":\"ping\"}", 0, line);
        expect(" {\"op\" : \"ping\", \"more\": null} ", 0, line);
}

static void test_what_is_not_a_request(_unused_ void **state)
{
        assert_int_equal(run("{\"op\":\"ping\""), OPERATIONS_FAILED);
        assert_non_null(strstr(answered, "{\"error\":\"the request is not JSON: "));
        assert_int_equal(run("[[[[[[[[[[]]]]]]]]]]"), OPERATIONS_FAILED); /* too deep */
        assert_non_null(strstr(answered, "{\"error\":\"the request is not JSON: "));
        expect_error("[]", "the request must be a JSON object");
        expect_error("null", "the request must be a JSON object");
        expect_error("{}", "there is no operation \\\"\\\"");
        expect_error("{\"op\":\"pong\"}", "there is no operation \\\"pong\\\"");
        expect_error("{\"op\":1}", "\\\"op\\\" must be a non-empty string without NUL");
        expect_error("{\"op\":\"\"}", "\\\"op\\\" must be a non-empty string without NUL");
        expect_error("{\"op\":\"ping\\u0000\"}", "\\\"op\\\" must be a non-empty string without NUL");
}

/* As deep as a request may be, it is read. */
static void test_depth(_unused_ void **state)
{
        expect_error("{\"op\":\"pong\",\"deep\":[[[[[[[]]]]]]]}", "there is no operation \\\"pong\\\"");
}

static void test_a_purge_says_what_it_is_about(_unused_ void **state)
{
        expect_error("{\"op\":\"purge\"}", "\\\"project\\\" is missing");
        expect_error("{\"op\":\"purge\",\"project\":[]}", "\\\"project\\\" must be a non-empty string without NUL");
        expect_error("{\"op\":\"purge\",\"project\":\"..\"}", "a project or an installation cannot have this name");
        expect_error("{\"op\":\"purge\",\"project\":\"a\",\"install_id\":\"x/y\"}",
                     "a project or an installation cannot have this name");
        expect_error("{\"op\":\"purge\",\"project\":\"a\",\"before\":\"monday\"}",
                     "\\\"before\\\" must be an RFC 3339 time");
        expect_error("{\"op\":\"purge\",\"project\":\"a\",\"held\":\"yes\"}", "\\\"held\\\" must be true or false");
        expect_error("{\"op\":\"purge\",\"project\":\"a\",\"dry_run\":1}", "\\\"dry_run\\\" must be true or false");
        expect_error("{\"op\":\"gc\",\"dry_run\":0}", "\\\"dry_run\\\" must be true or false");
}

static void expect_ids_refused(const char *ids, const char *error)
{
        static const char *const names[] = { "crash-delete", "crash-hold", "crash-release" };
        _cleanup_(buf_done) struct buf request = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                buf_clear(&request);
                buf_printf(&request, "{\"op\":\"%s\",\"ids\":%s}", names[i], ids);
                assert_int_equal(buf_append_char(&request, '\0'), 0);
                expect_error((const char *)request.data, error);
        }
}

static void test_ids(_unused_ void **state)
{
        _cleanup_(buf_done) struct buf many = { 0 };
        expect_error("{\"op\":\"crash-delete\"}", "\\\"ids\\\" must be an array");
        expect_ids_refused("{}", "\\\"ids\\\" must be an array");
        expect_ids_refused("[]", "\\\"ids\\\" has 0 elements; it must have 1 to 2000");
        expect_ids_refused("[1,0]", "\\\"ids\\\" must contain only crash ids");
        expect_ids_refused("[1,-1]", "\\\"ids\\\" must contain only crash ids");
        expect_ids_refused("[\"1\"]", "\\\"ids\\\" must contain only crash ids");
        expect_ids_refused("[1.5]", "\\\"ids\\\" must contain only crash ids");
        expect_ids_refused("[null]", "\\\"ids\\\" must contain only crash ids");
        for (int i = 0; i <= OPERATIONS_IDS_MAX; i++)
                buf_append_str(&many, i == 0 ? "[1" : ",1");
        assert_int_equal(buf_append(&many, "]", 2), 0);
        expect_ids_refused((const char *)many.data, "\\\"ids\\\" has 2001 elements; it must have 1 to 2000");
}

static void test_findings(_unused_ void **state)
{
        static const char *const wrong[] = {
                "1",
                "{}",
                "{\"finding\":\"blob_missing\"}",
                "{\"finding\":1,\"what\":\"x\"}",
                "{\"finding\":\"no such thing\",\"what\":\"x\"}",
        };
        expect_error("{\"op\":\"repair\",\"findings\":1}", "\\\"findings\\\" must be an array");
        expect_error("{\"op\":\"repair\",\"findings\":[]}", "\\\"findings\\\" has 0 elements; it must have 1 to 100");
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                char request[256];
                snprintf(request, sizeof(request), "{\"op\":\"repair\",\"findings\":[%s]}", wrong[i]);
                expect_error(request, "\\\"findings\\\" must contain only findings");
        }
}

static void test_what_needs_a_daemon(_unused_ void **state)
{
        expect_error("{\"op\":\"status\"}", "no daemon runs");
        expect_error("{\"op\":\"reload\"}", "no daemon is running that could reload its tokens");
}

static const char *reload_error;

static int reload(_unused_ void *userdata, struct error *err, size_t *ret_tokens)
{
        if (reload_error) {
                error_set(err, "%s", reload_error);
                return -EINVAL;
        }
        *ret_tokens = 3;
        return 0;
}

static void test_reload(_unused_ void **state)
{
        operations = operations_free(operations);
        operating.reload = reload;
        assert_int_equal(operations_new(&operating, &operations), 0);
        reload_error = NULL;
        expect("{\"op\":\"reload\"}", 0, "{\"ok\":true,\"tokens_config\":\"/etc/tokens.yaml\",\"tokens\":3}\n");
        reload_error = "line 3: \"x\xc3\xa4\xff\" is wrong\xc3"; /* an answer is UTF-8, whatever a path is */
        expect_error("{\"op\":\"reload\"}", "line 3: \\\"x\xc3\xa4?\\\" is wrong?");
}

/* The result of emit, which stops an operation, is returned to whoever listened. */
static int hang_up(_unused_ void *userdata, _unused_ const char *line, _unused_ size_t len)
{
        return -EPIPE;
}

static void test_nobody_listens(_unused_ void **state)
{
        assert_int_equal(operations_run(operations, "{\"op\":\"ping\"}", hang_up, NULL), -EPIPE);
        assert_int_equal(operations_run(operations, "{}", hang_up, NULL), -EPIPE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_an_answer_is_one_object),
                TEST(test_what_is_not_a_request),
                TEST(test_depth),
                TEST(test_a_purge_says_what_it_is_about),
                TEST(test_ids),
                TEST(test_findings),
                TEST(test_what_needs_a_daemon),
                TEST(test_reload),
                TEST(test_nobody_listens),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
