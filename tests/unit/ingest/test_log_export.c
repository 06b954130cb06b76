/* From decoded bytes to a batch: what is refused before rendering, and what a refusal costs. Counts otlp_render(). */
#include "ingest_fixture.h"

#include <errno.h>
#include <string.h>

#include "ingest/log_export.h"
#include "otlp/otlp_wire.h"
#include "protocol/otlp/otlp.h"

int __real_otlp_render(const struct otlp_resource_logs *logs, const struct otlp_source *source,
                       const struct otlp_limits *limits, struct otlp_output *out, struct refusal *r);
int __wrap_otlp_render(const struct otlp_resource_logs *logs, const struct otlp_source *source,
                       const struct otlp_limits *limits, struct otlp_output *out, struct refusal *r);

static unsigned renderings, releases;

int __wrap_otlp_render(const struct otlp_resource_logs *logs, const struct otlp_source *source,
                       const struct otlp_limits *limits, struct otlp_output *out, struct refusal *r)
{
        renderings++;
        return __real_otlp_render(logs, source, limits, out, r);
}

static void release(struct call *c)
{
        struct log_export *e = container_of(c, struct log_export, call);
        releases++;
        log_export_done(e);
}

static const struct call_type type = { METRICS_LOGS, { .close = call_on_close }, release };

/* ---- requests ---- */

#define LONG_BODY_BYTES 2000

/* One ResourceLogs of acme/<install_id> with that many records. */
static void add_resource(struct buf *request, const char *project, const char *install_id, unsigned records,
                         size_t body_len)
{
        struct buf resource = { 0 }, resource_logs = { 0 }, scope_logs = { 0 };
        char body[LONG_BODY_BYTES + 1];
        assert_true(body_len < sizeof(body));
        memset(body, 'x', body_len);
        body[body_len] = '\0';
        wire_attribute_str(&resource, 1, "source.project", project);
        wire_attribute_str(&resource, 1, "source.install_id", install_id);
        wire_attribute_str(&resource, 1, "source.platform", "linux");
        wire_attribute_str(&resource, 1, "source.version", "1.0");
        wire_message(&resource_logs, 1, &resource);
        for (unsigned i = 0; i < records; i++) {
                struct buf record = { 0 }, value = { 0 };
                wire_str(&value, 1, body);
                wire_message(&record, 5, &value);
                wire_message(&scope_logs, 2, &record);
        }
        wire_message(&resource_logs, 2, &scope_logs);
        wire_message(request, 1, &resource_logs);
}

static struct buf one(const char *project, const char *install_id, size_t body_len)
{
        struct buf request = { 0 };
        add_resource(&request, project, install_id, 1, body_len);
        return request;
}

static void start(struct log_export *e)
{
        releases = 0;
        call_start(&e->call, &fixture_loop, fixture_request("/", 20, NULL), &type, &reply_grpc);
        fixture_let_in(&e->call);
}

static void end(struct log_export *e)
{
        http_request_abort(e->call.request);
        assert_int_equal(releases, 1);
        assert_int_equal(metrics_gauge_get(fixture_ingest.metrics, METRICS_DISK_IN_FLIGHT_BYTES), 0);
        log_export_buffers_done(e);
}

/* Prepares a request of its own. Takes the bytes. */
static int prepare(struct buf request, struct refusal *ret)
{
        struct log_export e = { 0 };
        *ret = (struct refusal){ 0 };
        renderings = 0;
        start(&e);
        int r = log_export_prepare(&e, request.data, request.len, ret);
        assert_int_equal(e.state, r == 0 ? LOG_EXPORT_READY : LOG_EXPORT_OPEN);
        end(&e);
        buf_done(&request);
        return r;
}

static int new_limits(_unused_ void **state)
{
        fixture_loop.log_export = log_export_loop_free(fixture_loop.log_export);
        fixture_config->limits.otlp_line_bytes = LONG_BODY_BYTES;
        fixture_loop.log_export = log_export_loop_new(fixture_config);
        rate_limit_free(fixture_ingest.rate_limit); /* all buckets are full again: two units each */
        fixture_ingest.rate_limit = rate_limit_new(64);
        return fixture_loop.log_export && fixture_ingest.rate_limit ? 0 : -1;
}

/* ---- tests ---- */

static void test_the_batch(_unused_ void **state)
{
        struct log_export e = { 0 };
        struct refusal r = { 0 };
        struct buf request = { 0 };
        add_resource(&request, "acme", "a", 2, 3);
        add_resource(&request, "acme", "none", 0, 0);
        add_resource(&request, "acme", "b", 1, 3);
        start(&e);
        assert_int_equal(log_export_prepare(&e, request.data, request.len, &r), 0);
        assert_int_equal(e.message_bytes, request.len);
        buf_done(&request);                     /* not needed any more */
        assert_int_equal(e.batch.n_appends, 2); /* a source without lines has no part in it */
        const struct log_append *a = &e.batch.appends[0], *b = &e.batch.appends[1];
        assert_string_equal(a->source.install_id, "a");
        assert_int_equal(a->lines, 2);
        assert_string_equal(a->platform, "linux");
        assert_string_equal(a->version, "1.0");
        assert_string_equal(b->source.install_id, "b");
        assert_int_equal(b->lines, 1);
        assert_int_equal(a->len, 2 * b->len);
        assert_memory_equal(a->data, "{\"time_unix_nano\":", 18);
        assert_memory_equal(b->data + b->len - 2, "}\n", 2);
        assert_int_equal(e.promised_bytes, a->len + b->len);
        end(&e);
}

static void test_no_records(_unused_ void **state)
{
        struct log_export e = { 0 };
        struct refusal r = { 0 };
        start(&e);
        assert_int_equal(log_export_prepare(&e, NULL, 0, &r), 0);
        assert_int_equal(e.state, LOG_EXPORT_READY);
        assert_int_equal(e.batch.n_appends, 0);
        end(&e);
}

static void test_memory_is_kept(_unused_ void **state)
{
        struct log_export e = { 0 };
        struct refusal r = { 0 };
        struct buf request = one("acme", "a", 10);
        start(&e);
        assert_int_equal(log_export_prepare(&e, request.data, request.len, &r), 0);
        const uint8_t *lines = e.buffers.lines.data;
        size_t cap = log_export_buffers_cap(&e);
        http_request_abort(e.call.request);
        log_export_reset(&e);
        assert_int_equal(e.state, LOG_EXPORT_OPEN);
        assert_int_equal(e.batch.n_appends, 0);
        assert_int_equal(log_export_buffers_cap(&e), cap);

        start(&e);
        assert_int_equal(log_export_prepare(&e, request.data, request.len, &r), 0);
        assert_ptr_equal(e.buffers.lines.data, lines);
        assert_int_equal(log_export_buffers_cap(&e), cap);
        buf_done(&request);
        end(&e);
}

static void test_over_the_rate_limit_renders_nothing(_unused_ void **state)
{
        struct refusal r;
        for (int i = 0; i < 2; i++) {
                assert_int_equal(prepare(one("acme", "a", 3), &r), 0);
                assert_int_equal(renderings, 1);
        }
        assert_int_equal(prepare(one("acme", "a", 3), &r), ANSWER_RATE_LIMITED);
        assert_int_equal(renderings, 0);
        assert_true(r.retry_after_ms > 0);

        struct buf three = { 0 }; /* of one source: one unit, and there are two */
        for (int i = 0; i < 3; i++)
                add_resource(&three, "acme", "b", 1, 3);
        assert_int_equal(prepare(three, &r), 0);
        assert_int_equal(prepare(one("acme", "b", 3), &r), 0);
        assert_int_equal(prepare(one("acme", "b", 3), &r), ANSWER_RATE_LIMITED);
}

static void test_a_foreign_source_renders_nothing(_unused_ void **state)
{
        struct refusal r;
        struct buf request = { 0 };
        add_resource(&request, "acme", "a", 1, 3);
        add_resource(&request, "other", "a", 1, 3);
        assert_int_equal(prepare(request, &r), ANSWER_FORBIDDEN);
        assert_int_equal(renderings, 0);
}

static int be_strict(void **state)
{
        fixture_config->strict = true;
        int r = new_limits(state);
        fixture_config->strict = false;
        return r;
}

static void test_a_line_too_long_is_left_out(_unused_ void **state)
{
        struct log_export e = { 0 };
        struct refusal r = { 0 };
        struct buf request = { 0 };
        add_resource(&request, "acme", "a", 2, 3);
        add_resource(&request, "acme", "b", 3, LONG_BODY_BYTES);
        add_resource(&request, "acme", "../c", 1, 3);
        start(&e);
        assert_int_equal(log_export_prepare(&e, request.data, request.len, &r), 0);
        assert_int_equal(e.batch.n_appends, 1);
        assert_int_equal(e.batch.appends[0].lines, 2);
        assert_int_equal(e.promised_bytes, e.batch.appends[0].len);
        const struct buf *response = &e.buffers.response;
        assert_memory_equal(response->data + 3, "\x08\x04\x12", 3); /* rejected_log_records 4, error_message */
        _cleanup_(freep) char *text = strndup((const char *)response->data + 8, response->len - 8);
        assert_string_equal(text,
                            "resource_logs[2]: resource attribute `source.install_id` cannot name a source: it must "
                            "be 1 to 128 characters of A-Z a-z 0-9 . _ - @ + : ~ and not start with a dot");
        buf_done(&request);
        end(&e);
}

/* And costs nothing of the rate limit: as often as one likes. */
static void test_a_line_too_long_costs_no_unit(_unused_ void **state)
{
        struct refusal r;
        for (int i = 0; i < 5; i++) {
                struct buf request = { 0 };
                add_resource(&request, "acme", "a", 1, 3);
                add_resource(&request, "acme", "a", 1, LONG_BODY_BYTES);
                assert_int_equal(prepare(request, &r), ANSWER_TOO_LARGE);
                assert_int_equal(renderings, 2);
        }
        assert_int_equal(prepare(one("acme", "a", 3), &r), 0);
        assert_int_equal(prepare(one("acme", "a", 3), &r), 0);
        assert_int_equal(prepare(one("acme", "a", 3), &r), ANSWER_RATE_LIMITED);
}

static void test_a_full_disk_renders_nothing_and_costs_no_unit(_unused_ void **state)
{
        struct refusal r;
        space_saw_full(store_space(fixture_ingest.store)); /* for limits.disk_full_pause_secs */
        for (int i = 0; i < 3; i++) {
                assert_int_equal(prepare(one("acme", "a", 3), &r), ANSWER_UNAVAILABLE);
                assert_int_equal(renderings, 0);
        }
        struct buf empty = { 0 };
        add_resource(&empty, "acme", "a", 0, 0); /* needs no space */
        assert_int_equal(prepare(empty, &r), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_the_batch, new_limits),
                cmocka_unit_test_setup(test_no_records, new_limits),
                cmocka_unit_test_setup(test_memory_is_kept, new_limits),
                cmocka_unit_test_setup(test_over_the_rate_limit_renders_nothing, new_limits),
                cmocka_unit_test_setup(test_a_foreign_source_renders_nothing, new_limits),
                cmocka_unit_test_setup(test_a_line_too_long_is_left_out, new_limits),
                cmocka_unit_test_setup(test_a_line_too_long_costs_no_unit, be_strict),
                cmocka_unit_test_setup(test_a_full_disk_renders_nothing_and_costs_no_unit, new_limits),
        };
        return cmocka_run_group_tests(tests, ingest_setup, ingest_teardown);
}
