/* detritus-load: load over many sources, connections and uploads, for benchmarks and tests. Every answer is checked,
 * and what was sent can be counted on disk: each log record has a number that no other has, each dump its own content.
 *
 * The threads share nothing but the number of the next request. This file starts them, takes the process's CPU time
 * when measuring begins and ends, and adds up. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "body.h"
#include "options.h"
#include "report.h"
#include "util/clock.h"
#include "worker.h"

#define SECOND_NS 1000000000ULL

static double cpu_seconds(void)
{
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void raise_descriptor_limit(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static void sleep_until(uint64_t at_ns)
{
        struct timespec at = { .tv_sec = (time_t)(at_ns / SECOND_NS), .tv_nsec = (long)(at_ns % SECOND_NS) };
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
                ;
}

/* What compresses no better than a dump does. NULL: no memory. */
static uint8_t *make_filler(const struct load_options *o)
{
        uint8_t *filler = malloc(o->bytes);
        for (uint64_t i = 0; filler && i < o->bytes; i++)
                filler[i] = (uint8_t)(load_mix(i / 8) >> i % 8 * 8);
        return filler;
}

static uint64_t bytes_of_body(const struct load_options *o, const uint8_t *filler)
{
        struct body b = { 0 };
        if (o->kind == LOAD_LOGS)
                otlp_body_init(&b, o);
        else if (o->kind == LOAD_CRASHES)
                crash_body_init(&b, o, filler);
        uint64_t bytes = body_len(&b);
        body_done(&b);
        return bytes;
}

/* Runs the threads to their end. NULL, or why one could not begin. Returns our CPU seconds while measuring. */
static const char *run_workers(struct load_run *run, struct worker *workers, double *ret_cpu_seconds)
{
        const char *error = NULL;
        unsigned n;
        for (n = 0; n < run->options->threads; n++) {
                if (pthread_create(&workers[n].thread, NULL, worker_main, &workers[n]) != 0) {
                        error = "no thread";
                        break;
                }
        }
        sleep_until(run->measure_ns);
        double before = cpu_seconds();
        for (unsigned i = 0; i < n; i++) {
                pthread_join(workers[i].thread, NULL);
                error = workers[i].error ? workers[i].error : error;
        }
        *ret_cpu_seconds = cpu_seconds() - before;
        return error;
}

static int run_load(const struct load_options *o, struct worker *workers, const uint8_t *filler)
{
        struct load_run run = { .options = o, .start_ns = clock_monotonic_ns(), .end_ns = UINT64_MAX };
        struct load_counts *total = calloc(1, sizeof(*total));
        double cpu = 0;

        if (!total)
                return EXIT_FAILURE;
        run.measure_ns = run.start_ns + o->warm_up * SECOND_NS;
        if (o->seconds > 0)
                run.end_ns = run.measure_ns + o->seconds * SECOND_NS;
        for (unsigned i = 0; i < o->threads; i++) {
                workers[i].run = &run;
                workers[i].index = i;
                workers[i].filler = filler;
        }
        const char *error = run_workers(&run, workers, &cpu);
        for (unsigned i = 0; i < o->threads; i++)
                load_counts_merge(total, &workers[i].counts);
        if (error)
                fprintf(stderr, "detritus-load: %s\n", error);
        uint64_t end_ns = total->last_ns ? total->last_ns : clock_monotonic_ns();
        struct report report = { .options = o,
                                 .counts = total,
                                 .cpu_seconds = cpu,
                                 .requests = total->ok_total + total->failed_total,
                                 .body_bytes = bytes_of_body(o, filler) };
        if (end_ns > run.measure_ns)
                report.seconds = (double)(end_ns - run.measure_ns) / 1e9;
        report_print(&report, stdout);
        bool good = !error && total->failed_total == 0 && total->connections_failed == 0;
        free(total);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        struct load_options options;
        int r = options_read(&options, argc, argv);
        if (r != 0) {
                if (r < 0)
                        fputs("Try detritus-load --help.\n", stderr);
                return r < 0 ? 2 : EXIT_SUCCESS;
        }
        raise_descriptor_limit();
        struct worker *workers = calloc(options.threads, sizeof(*workers));
        uint8_t *filler = make_filler(&options);
        r = workers && filler ? run_load(&options, workers, filler) : EXIT_FAILURE;
        free(workers);
        free(filler);
        free((char *)(uintptr_t)options.token);
        return r;
}
