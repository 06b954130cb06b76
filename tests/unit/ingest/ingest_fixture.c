#include "ingest_fixture.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"

struct config *fixture_config;
struct ingest fixture_ingest;
struct ingest_loop fixture_loop;
struct fixture_answer fixture_answer;

static struct token token = { .id = (char *)"t", .project = (char *)"acme", .source_prefix = (char *)"acme/" };
struct tokens fixture_tokens = {
        .refs = 1, .n = 1, .list = &token, .rate_limit = { .logs_per_minute = 1, .logs_burst = 2 }
};

static struct http_request request;

int ingest_setup(void **state)
{
        struct error err = { "" };
        char dir[192];
        if (storage_setup(state) != 0 || config_new(&fixture_config) != 0)
                return -1;
        snprintf(dir, sizeof(dir), "%s/data", storage_dir);
        free(fixture_config->data_dir);
        fixture_config->data_dir = strdup(dir);
        fixture_config->limits.disk_full_pause_secs = 3600; /* a disk that was full stays so for the test */
        fixture_ingest.config = fixture_config;
        fixture_ingest.metrics = metrics_new();
        fixture_ingest.rate_limit = rate_limit_new(64);
        fixture_ingest.uploads = slots_new(4, 2);
        if (store_open(fixture_config, fixture_ingest.metrics, &fixture_ingest.store, &err) != 0) {
                print_error("%s\n", err.text);
                return -1;
        }
        return fixture_new_loop();
}

static void drop_loop(void)
{
        if (!fixture_loop.loop)
                return;
        loop_free(fixture_loop.loop);
        ingest_loop_done(&fixture_loop);
}

int fixture_new_loop(void)
{
        struct loop *loop;
        drop_loop();
        return loop_new(&loop) < 0 ? -1 : ingest_loop_init(&fixture_loop, &fixture_ingest, loop);
}

int ingest_teardown(void **state)
{
        fixture_request_done();
        store_stop(fixture_ingest.store);
        drop_loop();
        store_free(fixture_ingest.store);
        slots_free(fixture_ingest.uploads);
        rate_limit_free(fixture_ingest.rate_limit);
        metrics_free(fixture_ingest.metrics);
        config_free(fixture_config);
        return storage_teardown(state);
}

static void keep(struct buf *b, const void *data, size_t len)
{
        buf_clear(b);
        assert_int_equal(buf_append(b, data, len), 0);
        assert_int_equal(buf_append_char(b, '\0'), 0);
}

static void add_fields(const struct http_field *fields, size_t n)
{
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_printf(&fixture_answer.fields, "%s: %s\n", fields[i].name, fields[i].value), 0);
}

static void respond(struct http_request *r, const struct http_response *response)
{
        assert_ptr_equal(r, &request);
        fixture_answer.answers++;
        fixture_answer.status = response->status;
        keep(&fixture_answer.body, response->body, response->body_len);
        buf_clear(&fixture_answer.fields);
        add_fields(response->fields, response->n_fields);
        add_fields(response->trailers, response->n_trailers);
        assert_int_equal(buf_append_char(&fixture_answer.fields, '\0'), 0);
}

static void consume(struct http_request *r, size_t n)
{
        (void)r;
        (void)n;
}

static void accept_body(struct http_request *r, unsigned window_bytes)
{
        (void)r;
        (void)window_bytes;
}

struct http_request *fixture_request(const char *path, unsigned version, const char *const *fields)
{
        static const struct http_transport transport = { .respond = respond,
                                                         .consume = consume,
                                                         .accept_body = accept_body };
        const char *reason;
        fixture_request_done();
        http_request_reset(&request);
        request.version = version;
        request.transport = &transport;
        request.peer = "192.0.2.1:40000";
        assert_int_equal(http_request_set_method(&request, "POST", 4), 0);
        assert_int_equal(http_request_set_target(&request, path, strlen(path)), 0);
        for (; fields && *fields; fields += 2)
                assert_int_equal(
                        http_request_add_field(&request, fields[0], strlen(fields[0]), fields[1], strlen(fields[1])),
                        0);
        assert_int_equal(http_request_finish_head(&request, clock_monotonic_ns(), &reason), 0);
        request.progress = HTTP_REQUEST_BODY; /* as http_request_begin() would */
        return &request;
}

void fixture_request_done(void)
{
        http_request_done(&request);
        memset(&request, 0, sizeof(request));
        buf_done(&fixture_answer.fields);
        buf_done(&fixture_answer.body);
        fixture_answer = (struct fixture_answer){ 0 };
}

void fixture_let_in(struct call *c)
{
        c->gate.state = GATE_INSIDE;
        c->gate.principal = (struct principal){ .tokens = tokens_ref(&fixture_tokens), .token = &token };
}

void fixture_expect_field(const char *line)
{
        char text[200];
        snprintf(text, sizeof(text), "%s\n", line);
        if (!strstr((char *)fixture_answer.fields.data, text))
                fail_msg("no field \"%s\" in:\n%s", line, (char *)fixture_answer.fields.data);
}

void fixture_expect_no_field(const char *name)
{
        if (strstr((char *)fixture_answer.fields.data, name))
                fail_msg("a field \"%s\" in:\n%s", name, (char *)fixture_answer.fields.data);
}

int64_t fixture_requests_in_flight(void)
{
        return metrics_gauge_get(fixture_ingest.metrics, METRICS_REQUESTS);
}
