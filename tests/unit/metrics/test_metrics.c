/* The exposition: a small parser checks OpenMetrics' grammar, then the values. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"

static char *render(const struct metrics *m)
{
        struct buf out = { 0 };
        assert_int_equal(metrics_render(m, &out), 0);
        return buf_take_str(&out);
}

static void assert_has(const struct metrics *m, const char *line)
{
        struct buf expected = { 0 };
        _cleanup_(freep) char *text = render(m);
        assert_int_equal(buf_printf(&expected, "\n%s\n", line), 0);
        _cleanup_(freep) char *pattern = buf_take_str(&expected);
        if (!strstr(text, pattern) && strncmp(text, pattern + 1, strlen(pattern + 1)) != 0)
                fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void assert_has_not(const struct metrics *m, const char *part)
{
        _cleanup_(freep) char *text = render(m);
        assert_null(strstr(text, part));
}

/* The suffix that samples of a type may have; NULL: none allowed. */
static bool sample_fits(const char *sample, const char *family, const char *type)
{
        static const struct {
                const char *type, *suffix;
        } allowed[] = {
                { "counter", "_total" },    { "gauge", "" },         { "info", "_info" },
                { "histogram", "_bucket" }, { "histogram", "_sum" }, { "histogram", "_count" },
        };
        size_t name = strcspn(sample, "{ "), n = strlen(family);
        if (name < n || strncmp(sample, family, n) != 0)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
                if (strcmp(allowed[i].type, type) == 0 && strlen(allowed[i].suffix) == name - n &&
                    strncmp(sample + n, allowed[i].suffix, name - n) == 0)
                        return true;
        }
        return false;
}

/* OpenMetrics "Overall Structure": each family's metadata, once, before its samples, which stand together; no blank
 * lines; EOF at the end. Returns the number of families. */
static unsigned assert_grammar(char *text)
{
        static char seen[100][100];
        char family[100] = "", type[32] = "";
        unsigned families = 0;
        bool eof = false;
        assert_int_equal(text[strlen(text) - 1], '\n');
        for (char *line = text, *end; *line; line = end + 1) {
                end = strchr(line, '\n');
                *end = '\0';
                assert_false(eof);
                assert_true(*line != '\0');
                if (strcmp(line, "# EOF") == 0) {
                        eof = true;
                } else if (strncmp(line, "# TYPE ", 7) == 0) {
                        assert_int_equal(sscanf(line, "# TYPE %99s %31s", family, type), 2);
                        for (unsigned i = 0; i < families; i++)
                                assert_string_not_equal(seen[i], family);
                        assert_true(families < ARRAY_LEN(seen));
                        strcpy(seen[families++], family);
                } else if (strncmp(line, "# HELP ", 7) == 0) {
                        assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
                } else {
                        assert_true(sample_fits(line, family, type));
                        const char *value = strrchr(line, ' ');
                        assert_non_null(value);
                        assert_int_equal(strspn(value + 1, "-0123456789."), strlen(value + 1));
                }
        }
        assert_true(eof);
        return families;
}

static void the_grammar_holds(void **state)
{
        (void)state;
        struct metrics *m = metrics_new();
        char *text = render(m);
        unsigned families = assert_grammar(text);
        free(text);
        for (int e = 0; e < METRICS_ENDPOINT_MAX_; e++) {
                for (int status = 100; status < 600; status++)
                        metrics_request(m, (enum metrics_endpoint)e, status, 1000000);
                metrics_bytes(m, (enum metrics_endpoint)e, UINT64_MAX);
        }
        for (int c = 0; c < METRICS_COUNTER_MAX_; c++)
                metrics_count(m, (enum metrics_counter)c, UINT64_MAX);
        for (int g = 0; g < METRICS_GAUGE_MAX_; g++)
                metrics_gauge_set(m, (enum metrics_gauge)g, INT64_MIN);
        metrics_janitor_cycle(m, 0, UINT64_MAX);
        metrics_janitor_cycle(m, 1, 0);
        text = render(m);
        assert_int_equal(assert_grammar(text), families);
        free(text);
        metrics_free(m);
        assert_null(metrics_free(NULL));
}

static void counts_requests(void **state)
{
        (void)state;
        struct metrics *m = metrics_new();
        assert_has_not(m, "detritus_requests_total{");
        metrics_request(m, METRICS_LOGS, 200, 1);
        metrics_request(m, METRICS_LOGS, 200, 1);
        metrics_request(m, METRICS_LOGS, 503, 1);
        metrics_request(m, METRICS_CRASHES, 201, 1);
        metrics_request(m, METRICS_OTHER, 418, 1); /* not one of ours */
        metrics_request(m, METRICS_OTHER, 500, 1);
        assert_has(m, "# TYPE detritus_requests counter");
        assert_has(m, "detritus_requests_total{endpoint=\"logs\",status=\"200\"} 2");
        assert_has(m, "detritus_requests_total{endpoint=\"logs\",status=\"503\"} 1");
        assert_has(m, "detritus_requests_total{endpoint=\"crashes\",status=\"201\"} 1");
        assert_has(m, "detritus_requests_total{endpoint=\"other\",status=\"500\"} 2");
        assert_has_not(m, "418");
        metrics_free(m);
}

static void histograms_have_exact_bounds(void **state)
{
        (void)state;
        struct metrics *m = metrics_new();
        assert_has_not(m, "detritus_request_duration_seconds_bucket");
        metrics_request(m, METRICS_LOGS, 200, 1000000);     /* le 0.001 */
        metrics_request(m, METRICS_LOGS, 200, 1000001);     /* le 0.0025 */
        metrics_request(m, METRICS_LOGS, 200, 10000000000); /* le 10.0 */
        metrics_request(m, METRICS_LOGS, 200, 10000000001); /* +Inf */
        assert_has(m, "detritus_request_duration_seconds_bucket{endpoint=\"logs\",le=\"0.001\"} 1");
        assert_has(m, "detritus_request_duration_seconds_bucket{endpoint=\"logs\",le=\"0.0025\"} 2");
        assert_has(m, "detritus_request_duration_seconds_bucket{endpoint=\"logs\",le=\"5.0\"} 2");
        assert_has(m, "detritus_request_duration_seconds_bucket{endpoint=\"logs\",le=\"10.0\"} 3");
        assert_has(m, "detritus_request_duration_seconds_bucket{endpoint=\"logs\",le=\"+Inf\"} 4");
        assert_has(m, "detritus_request_duration_seconds_sum{endpoint=\"logs\"} 20.002000002");
        assert_has(m, "detritus_request_duration_seconds_count{endpoint=\"logs\"} 4");
        metrics_janitor_cycle(m, 1, 250000000);
        metrics_janitor_cycle(m, 0, 1);
        assert_has(m, "detritus_janitor_cycle_duration_seconds_bucket{result=\"ok\",le=\"0.25\"} 1");
        assert_has(m, "detritus_janitor_cycle_duration_seconds_count{result=\"error\"} 1");
        metrics_free(m);
}

static void counters_and_gauges(void **state)
{
        (void)state;
        struct metrics *m = metrics_new();
        metrics_count(m, METRICS_DEDUP_HITS, 3);
        metrics_count(m, METRICS_VALIDATION_FAILURES_CRASHES, 2);
        metrics_bytes(m, METRICS_LOGS, 12);
        metrics_bytes(m, METRICS_LOGS, 30);
        metrics_gauge_add(m, METRICS_CONNECTIONS, 5);
        metrics_gauge_add(m, METRICS_CONNECTIONS, -7);
        metrics_gauge_set(m, METRICS_READY, 1);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_BLOBS_DELETED, 9);
        assert_int_equal(metrics_gauge_get(m, METRICS_CONNECTIONS), -2);
        assert_has(m, "detritus_dedup_hits_total 3");
        assert_has(m, "detritus_validation_failures_total{endpoint=\"logs\"} 0");
        assert_has(m, "detritus_validation_failures_total{endpoint=\"crashes\"} 2");
        assert_has(m, "detritus_bytes_ingested_total{endpoint=\"logs\"} 42");
        assert_has(m, "detritus_connections -2");
        assert_has(m, "detritus_ready 1");
        assert_has(m, "detritus_writer_queue_depth 0");
        assert_has(m, "detritus_janitor_last_blobs_deleted 9");
        assert_has(m, "# TYPE detritus_build info");
        assert_has(m, "detritus_build_info{version=\"" DETRITUS_VERSION "\"} 1");
        metrics_free(m);
}

static void *count_much(void *userdata)
{
        for (int i = 0; i < 10000; i++) {
                metrics_request(userdata, METRICS_LOGS, 200, 1);
                metrics_gauge_add(userdata, METRICS_REQUESTS, i % 2 ? -1 : 1);
        }
        return NULL;
}

static void *count_much_apart(void *userdata)
{
        metrics_thread_counts_much();
        return count_much(userdata);
}

static void threads_lose_nothing(void **state)
{
        (void)state;
        struct metrics *m = metrics_new();
        pthread_t threads[20]; /* more of each kind than there are blocks */
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? count_much : count_much_apart, m), 0);
        free(render(m)); /* while they count */
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
                pthread_join(threads[i], NULL);
        assert_has(m, "detritus_requests_total{endpoint=\"logs\",status=\"200\"} 200000");
        assert_has(m, "detritus_request_duration_seconds_sum{endpoint=\"logs\"} 0.000200000");
        assert_int_equal(metrics_gauge_get(m, METRICS_REQUESTS), 0);
        metrics_free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_grammar_holds),
                cmocka_unit_test(counts_requests),
                cmocka_unit_test(histograms_have_exact_bounds),
                cmocka_unit_test(counters_and_gauges),
                cmocka_unit_test(threads_lose_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
