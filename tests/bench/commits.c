/* How many batches a second the log committer makes durable, without network, decoding or rendering:
 *
 *     bench-commits DIR SOURCES BYTES OUTSTANDING SECONDS [written]
 *
 * Keeps OUTSTANDING batches of one append each under way, round robin over the sources. Prints one line. DIR is made,
 * and left. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "storage/logs/log_committer.h"
#include "util/files/durable.h"

struct item {
        struct log_batch batch;
        struct log_append append;
        struct item *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static struct item *idle;
static unsigned long failed;

static void on_done(struct log_batch *b)
{
        struct item *i = container_of(b, struct item, batch);
        pthread_mutex_lock(&lock);
        failed += b->result != 0;
        i->next = idle;
        idle = i;
        pthread_cond_signal(&freed);
        pthread_mutex_unlock(&lock);
}

static struct item *take(void)
{
        pthread_mutex_lock(&lock);
        while (!idle)
                pthread_cond_wait(&freed, &lock);
        struct item *i = idle;
        idle = i->next;
        pthread_mutex_unlock(&lock);
        return i;
}

static unsigned long drive(struct log_committer *c, unsigned sources, uint64_t seconds)
{
        unsigned long n = 0;
        uint64_t end = clock_monotonic_ns() + seconds * 1000000000u;
        while ((n & 63) || clock_monotonic_ns() < end) {
                struct item *i = take();
                snprintf(i->append.source.install_id, sizeof(i->append.source.install_id), "s%06lu", n % sources);
                if (log_committer_submit(c, &i->batch) != 0)
                        abort();
                n++;
        }
        return n;
}

static double cpu_seconds(void)
{
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
        if (argc < 6) {
                fprintf(stderr, "usage: bench-commits DIR SOURCES BYTES OUTSTANDING SECONDS [written]\n");
                return 2;
        }
        unsigned sources = (unsigned)atoi(argv[2]), outstanding = (unsigned)atoi(argv[4]);
        size_t bytes = (size_t)atoi(argv[3]);
        struct metrics *metrics = metrics_new();
        struct item *items = calloc(outstanding, sizeof(*items));
        char *line = malloc(bytes);
        if (!metrics || !items || !line || durable_mkdirs(AT_FDCWD, argv[1]) < 0)
                abort();
        memset(line, 'x', bytes);
        line[bytes - 1] = '\n';
        struct log_committer_config config = {
                .datadir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                .metrics = metrics,
                .queue_batches = outstanding,
                .queue_bytes = SIZE_MAX / 2,
                .open_files = 2048,
                .sync = argc < 7,
                .journal_bytes = 128 << 20,
        };
        for (unsigned i = 0; i < outstanding; i++) {
                items[i].append = (struct log_append){
                        .source = { .project = "p" },
                        .platform = "",
                        .version = "",
                        .data = (uint8_t *)line,
                        .len = bytes,
                        .lines = 1,
                };
                items[i].batch = (struct log_batch){ .done = on_done, .n_appends = 1, .appends = &items[i].append };
                items[i].next = idle;
                idle = &items[i];
        }
        struct log_committer *c;
        if (log_committer_new(&config, &c) < 0)
                abort();
        uint64_t start = clock_monotonic_ns();
        unsigned long n = drive(c, sources, (uint64_t)atoi(argv[5]));
        double secs = (double)(clock_monotonic_ns() - start) / 1e9;
        log_committer_free(c);
        double all = (double)(clock_monotonic_ns() - start) / 1e9;
        printf("sources %u, bytes %zu, outstanding %u: %.0f batches/s, %.1f MB/s, %.2f s to stop, %.2f CPU us a batch, "
               "%lu failed\n",
               sources, bytes, outstanding, (double)n / secs, (double)n * (double)bytes / secs / 1e6, all - secs,
               cpu_seconds() / (double)n * 1e6, failed);
        return failed > 0;
}
