/* Retention, one cycle at start and one per interval, in short steps: at most JANITOR_STEP_ROWS rows a transaction, run by the
 * index writer between its batches; the janitor waits for each. Log files go first, then crashes
 * (janitor_logs.c, janitor_crashes.c), then what is beyond a cap (janitor_caps.c), then the blobs that these were the last
 * to use. Where there are caps they are looked at between the cycles too, whenever somebody has stored something. Rows go
 * before files, so that a stop in between leaves files that no row names, never a row without its blob.
 *
 * Failure modes: a step that fails ends its part of the cycle, and the next cycle goes on from there.
 */
#include "storage/retention/janitor.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "storage/retention/janitor_internal.h"
#include "storage/space/space.h"
#include "util/log.h"

#define REST_FACTOR 3 /* times as long as a step took */
#define REST_MAX_NS UINT64_C(500000000)
#define CAPS_INTERVAL_SECS 1 /* looks at a number, not at the database */

void janitor_handoff_finish(struct janitor_handoff *h, int result)
{
        h->result = result;
        sem_post(&h->done);
}

int janitor_handoff_wait(struct janitor_handoff *h)
{
        while (sem_wait(&h->done) < 0) /* EINTR */
                ;
        sem_destroy(&h->done);
        return h->result;
}

bool janitor_is_stopping(struct janitor *j)
{
        pthread_mutex_lock(&j->lock);
        bool stopping = j->stopping;
        pthread_mutex_unlock(&j->lock);
        return stopping;
}

int janitor_run_job(struct janitor *j, struct index_job *job, struct janitor_handoff *h)
{
        sem_init(&h->done, 0, 0);
        if (index_writer_submit_job(j->config.index, job) != 0)
                return -EAGAIN;
        int r = janitor_handoff_wait(h);
        j->own_commits += r == 0;
        return r;
}

unsigned janitor_step_rows(const struct janitor *j)
{
        return j->gentle ? JANITOR_GENTLE_STEP_ROWS : JANITOR_STEP_ROWS;
}

/* Deleting keeps the disk busy, and log exports wait for that too (P8). So between two gentle steps the disk is theirs for
 * some time, unless space is wanted more: it is short, or a cap waits for the end of the cycle. */
static void rest(struct janitor *j, uint64_t worked_ns)
{
        uint64_t ns = worked_ns * REST_FACTOR < REST_MAX_NS ? worked_ns * REST_FACTOR : REST_MAX_NS;
        struct timespec until;
        if (!j->gentle || janitor_has_caps(j) || (j->config.space && space_refuses(j->config.space, SPACE_UPLOADS)))
                return;
        clock_gettime(CLOCK_MONOTONIC, &until);
        ns += (uint64_t)until.tv_nsec;
        until.tv_sec += (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
        pthread_mutex_lock(&j->lock);
        while (!j->stopping && pthread_cond_timedwait(&j->wake, &j->lock, &until) != ETIMEDOUT)
                ;
        pthread_mutex_unlock(&j->lock);
}

int janitor_run_step(struct janitor *j, struct index_job *job, struct janitor_handoff *h, unsigned *max)
{
        int r;
        uint64_t started = clock_monotonic_ns();
        job->write_back = false;
        for (bool again = false; (r = janitor_run_job(j, job, h)) == -ENOSPC && !janitor_is_stopping(j); again = true) {
                job->write_back = true;
                if (!again || space_give_up_reserve(j->config.space))
                        continue; /* at first there may only have been no room behind the last commit in the WAL */
                if (*max == 1)
                        break;
                *max = *max < 4 ? 1 : *max / 4;
        }
        if (r == 0)
                rest(j, clock_monotonic_ns() - started);
        return r;
}

static void count_freed(struct janitor *j, const struct janitor_tally *t)
{
        metrics_count(j->config.metrics, METRICS_JANITOR_BLOBS_FREED, t->blobs);
        metrics_count(j->config.metrics, METRICS_JANITOR_BYTES_FREED, t->blob_bytes + t->log_bytes);
}

static void publish_cycle(struct janitor *j, const struct janitor_tally *t, int result, uint64_t duration_ns)
{
        struct metrics *m = j->config.metrics;
        count_freed(j, t);
        metrics_count(m, METRICS_JANITOR_CYCLES, 1);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_LOGS_DELETED, (int64_t)t->log_files);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_INDEXES_DELETED, (int64_t)t->crashes);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_BLOBS_DELETED, (int64_t)t->blobs);
        metrics_janitor_cycle(m, result == 0, duration_ns);
        log_at(result == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
               result == 0 ? "retention cycle finished" : "retention cycle failed",
               LOG_INT("log_files_deleted", t->log_files), LOG_INT("log_bytes_deleted", t->log_bytes),
               LOG_INT("log_files_compressed", t->log_files_compressed), LOG_INT("crashes_deleted", t->crashes),
               LOG_INT("blobs_deleted", t->blobs), LOG_INT("blob_bytes_deleted", t->blob_bytes),
               LOG_INT("duration_ms", duration_ns / 1000000),
               LOG_STR("result", result == 0 ? "ok" : strerror(-result)));
}

static int first_failure(const int *results, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (results[i] < 0)
                        return results[i];
        }
        return 0;
}

/* NULL: it is only beginning. */
static void note_cycle(struct janitor *j, const struct janitor_cycle *ended)
{
        pthread_mutex_lock(&j->lock);
        if (ended) {
                j->last = *ended;
                j->cycles_ended = j->cycles_begun;
                pthread_cond_broadcast(&j->ended);
        } else {
                j->cycles_begun++;
        }
        pthread_mutex_unlock(&j->lock);
}

static void run_cycle(struct janitor *j)
{
        struct janitor_tally tally = { 0 };
        struct moment now = clock_now();
        uint64_t started = clock_monotonic_ns();
        note_cycle(j, NULL);
        j->gentle = j->has_thread;
        int logs = janitor_expire_log_files(j, now, &tally);
        int crashes = janitor_expire_crashes(j, now, &tally);
        j->gentle = false; /* uploads may come as fast as they can */
        int caps = janitor_evict(j, now, &tally);
        j->gentle = j->has_thread && !janitor_has_caps(j);
        int blobs = janitor_free_blobs(j, &tally);
        j->gentle = false;
        int compressed = janitor_compress_logs(j, now, &tally);
        const int results[] = { logs, compressed, crashes, caps, blobs };
        const struct janitor_cycle cycle = { .tally = tally,
                                             .began = now,
                                             .duration_ns = clock_monotonic_ns() - started,
                                             .result = first_failure(results, ARRAY_LEN(results)) };
        publish_cycle(j, &tally, cycle.result, cycle.duration_ns);
        note_cycle(j, &cycle);
}

/* What a cap evicts between two cycles. */
static void keep_caps(struct janitor *j)
{
        struct janitor_tally t = { 0 };
        if (index_writer_commits(j->config.index) - j->own_commits == j->seen_commits)
                return;
        int r = janitor_evict(j, clock_now(), &t);
        if (r == 0 && t.crashes > 0)
                r = janitor_free_blobs(j, &t);
        count_freed(j, &t);
        if (t.crashes + t.log_files > 0)
                log_info("evicted what was beyond a cap", LOG_INT("log_files_deleted", t.log_files),
                         LOG_INT("log_bytes_deleted", t.log_bytes), LOG_INT("crashes_deleted", t.crashes),
                         LOG_INT("blobs_deleted", t.blobs), LOG_INT("blob_bytes_deleted", t.blob_bytes));
        if (r < 0)
                log_warn("cannot evict what is beyond a cap", LOG_STR("error", strerror(-r)));
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool is_asked(const struct janitor *j)
{
        return (int)(j->cycles_asked - j->cycles_ended) > 0;
}

enum waited { TIME_IS_UP, ASKED, STOPPED };

static enum waited wait_until(struct janitor *j, const struct timespec *deadline)
{
        int r = 0;
        pthread_mutex_lock(&j->lock);
        while (!j->stopping && !is_asked(j) && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&j->wake, &j->lock, deadline);
        enum waited waited = j->stopping ? STOPPED : is_asked(j) ? ASKED : TIME_IS_UP;
        pthread_mutex_unlock(&j->lock);
        return waited;
}

/* True: again; false: stop. */
static bool wait_for_next_cycle(struct janitor *j)
{
        struct timespec now, next;
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_sec += j->config.interval_secs;
        for (;;) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                now.tv_sec += CAPS_INTERVAL_SECS;
                if (!janitor_has_caps(j) || is_before(&next, &now))
                        return wait_until(j, &next) != STOPPED;
                enum waited waited = wait_until(j, &now);
                if (waited != TIME_IS_UP)
                        return waited == ASKED;
                keep_caps(j);
        }
}

static void *janitor_main(void *userdata)
{
        struct janitor *j = userdata;
        pthread_setname_np(pthread_self(), "janitor");
        /* Uploads come first; where the kernel refuses, retention is as eager as they are. */
        pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){ 0 });
        do
                run_cycle(j);
        while (wait_for_next_cycle(j));
        return NULL;
}

int janitor_run_cycle(struct janitor *j, struct janitor_cycle *ret)
{
        if (!j->has_thread) {
                run_cycle(j);
                *ret = j->last;
                return 0;
        }
        pthread_mutex_lock(&j->lock);
        unsigned mine = j->cycles_begun + 1; /* the one that may be running began before */
        j->cycles_asked = mine;
        pthread_cond_signal(&j->wake);
        while (!j->stopping && (int)(mine - j->cycles_ended) > 0)
                pthread_cond_wait(&j->ended, &j->lock);
        int r = (int)(mine - j->cycles_ended) > 0 ? -ECANCELED : 0;
        *ret = j->last;
        pthread_mutex_unlock(&j->lock);
        return r;
}

bool janitor_last_cycle(struct janitor *j, struct janitor_cycle *ret)
{
        pthread_mutex_lock(&j->lock);
        bool any = j->cycles_ended > 0;
        *ret = j->last;
        pthread_mutex_unlock(&j->lock);
        return any;
}

int janitor_new_helper(const struct janitor_config *config, struct janitor **ret)
{
        struct janitor *j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->config = *config;
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&j->lock, NULL);
        pthread_cond_init(&j->wake, &attr);
        pthread_cond_init(&j->ended, &attr);
        pthread_condattr_destroy(&attr);
        *ret = j;
        return 0;
}

int janitor_new(const struct janitor_config *config, struct janitor **ret)
{
        _cleanup_(janitor_freep) struct janitor *j = NULL;
        int r = janitor_new_helper(config, &j);
        if (r < 0)
                return r;
        j->has_thread = true; /* its thread looks at it */
        r = -pthread_create(&j->thread, NULL, janitor_main, j);
        if (r < 0) {
                j->has_thread = false;
                return r;
        }
        *ret = TAKE_PTR(j);
        return 0;
}

void janitor_stop(struct janitor *j)
{
        pthread_mutex_lock(&j->lock);
        j->stopping = true;
        pthread_cond_signal(&j->wake);
        pthread_cond_broadcast(&j->ended);
        pthread_mutex_unlock(&j->lock);
}

struct janitor *janitor_free(struct janitor *j)
{
        if (!j)
                return NULL;
        janitor_stop(j);
        if (j->has_thread)
                pthread_join(j->thread, NULL);
        pthread_cond_destroy(&j->ended);
        pthread_cond_destroy(&j->wake);
        pthread_mutex_destroy(&j->lock);
        free(j);
        return NULL;
}
