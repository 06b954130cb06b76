#include "report.h"

#include <inttypes.h>

static double per_sec(const struct report *r, double n)
{
        return r->seconds > 0 ? n / r->seconds : 0;
}

static double latency_ms(const struct report *r, unsigned per_million)
{
        return (double)histogram_at(&r->counts->latency_ns, per_million) / 1e6;
}

/* The i-th kind of failure: how often, and its name. */
static uint64_t failures(const struct load_counts *c, unsigned i, char name[32])
{
        if (i < LOAD_HTTP_MAX) {
                snprintf(name, 32, "http %u", i);
                return c->by_http[i];
        }
        i -= LOAD_HTTP_MAX;
        if (i < LOAD_GRPC_MAX) {
                snprintf(name, 32, "grpc %u", i);
                return c->by_grpc[i];
        }
        snprintf(name, 32, i == LOAD_GRPC_MAX ? "reset" : "cut");
        return i == LOAD_GRPC_MAX ? c->reset : c->cut;
}

static void print_failures(const struct load_counts *c, FILE *to)
{
        const char *separator = "";
        char name[32];
        fputc('{', to);
        for (unsigned i = 0; i < LOAD_HTTP_MAX + LOAD_GRPC_MAX + 2; i++) {
                uint64_t n = failures(c, i, name);
                if (n == 0)
                        continue;
                fprintf(to, "%s\"%s\": %" PRIu64, separator, name, n);
                separator = ", ";
        }
        fputc('}', to);
}

static void print_json(const struct report *r, FILE *to)
{
        const struct load_counts *c = r->counts;
        double measured = (double)c->latency_ns.count;
        uint64_t records = r->options->kind == LOAD_LOGS ? r->options->records : 0;
        fprintf(to, "{\"requests\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"failed_by\": ",
                r->requests, c->ok_total, c->failed_total);
        print_failures(c, to);
        fprintf(to, ", \"records_ok\": %" PRIu64 ", \"measured\": %" PRIu64 ", \"seconds\": %.3f",
                c->ok_total * records, c->latency_ns.count, r->seconds);
        fprintf(to, ", \"requests_per_sec\": %.1f, \"records_per_sec\": %.1f, \"mb_per_sec\": %.2f",
                per_sec(r, measured), per_sec(r, measured * (double)records),
                per_sec(r, measured * (double)r->body_bytes / 1e6));
        fprintf(to, ", \"latency_ms\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f}",
                latency_ms(r, 500000), latency_ms(r, 900000), latency_ms(r, 990000), latency_ms(r, 999000),
                (double)c->latency_ns.max / 1e6);
        fprintf(to, ", \"cpu_seconds\": %.3f, \"cpu_percent\": %.1f", r->cpu_seconds, per_sec(r, r->cpu_seconds * 100));
        fprintf(to,
                ", \"connections\": %" PRIu64 ", \"connections_failed\": %" PRIu64 ", \"connection_error\": \"%s\"}\n",
                c->connections_opened, c->connections_failed, c->first_error);
}

static void print_line(const struct report *r, FILE *to)
{
        const struct load_counts *c = r->counts;
        double measured = (double)c->latency_ns.count;
        if (r->options->kind == LOAD_IDLE) {
                fprintf(to, "%" PRIu64 " connections held for %.1f s, %" PRIu64 " failed", c->connections_opened,
                        r->seconds, c->connections_failed);
        } else {
                fprintf(to, "%" PRIu64 " ok, %" PRIu64 " failed", c->ok_total, c->failed_total);
                if (c->failed_total > 0) {
                        fputc(' ', to);
                        print_failures(c, to);
                }
                fprintf(to, "; %.0f req/s", per_sec(r, measured));
                if (r->options->kind == LOAD_LOGS)
                        fprintf(to, ", %.0f records/s", per_sec(r, measured * (double)r->options->records));
                fprintf(to, ", %.1f MB/s; ms: p50 %.2f p90 %.2f p99 %.2f p99.9 %.2f max %.2f",
                        per_sec(r, measured * (double)r->body_bytes / 1e6), latency_ms(r, 500000),
                        latency_ms(r, 900000), latency_ms(r, 990000), latency_ms(r, 999000),
                        (double)c->latency_ns.max / 1e6);
        }
        fprintf(to, "; own CPU %.2f s = %.0f %%", r->cpu_seconds, per_sec(r, r->cpu_seconds * 100));
        if (c->connections_failed > 0)
                fprintf(to, "; %" PRIu64 " connections failed, the first: %s", c->connections_failed, c->first_error);
        fputc('\n', to);
}

void report_print(const struct report *r, FILE *to)
{
        if (r->options->json)
                print_json(r, to);
        else
                print_line(r, to);
}
