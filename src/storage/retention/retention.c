/* One cycle: log files go first, then crashes, then what is beyond a cap, then the blobs that these were the last to
 * use, and the sources of which nothing is left. Compression comes last, because it makes room only slowly.
 *
 * Failure modes: a step that fails ends its part of the cycle, and the next cycle goes on from there. */
#include "storage/retention/retention.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "storage/retention/retention_internal.h"
#include "util/log.h"

static void count_freed(const struct retention *r, const struct deletion_tally *t)
{
        metrics_count(r->metrics, METRICS_JANITOR_BLOBS_FREED, t->blobs);
        metrics_count(r->metrics, METRICS_JANITOR_BYTES_FREED, t->blob_bytes + t->log_bytes);
}

static void publish(const struct retention *r, const struct retention_cycle *cycle)
{
        struct metrics *m = r->metrics;
        const struct deletion_tally *t = &cycle->deleted;
        bool ok = cycle->result == 0;
        count_freed(r, t);
        metrics_count(m, METRICS_JANITOR_CYCLES, 1);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_LOGS_DELETED, (int64_t)t->log_files);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_INDEXES_DELETED, (int64_t)t->crashes);
        metrics_gauge_set(m, METRICS_JANITOR_LAST_BLOBS_DELETED, (int64_t)t->blobs);
        metrics_janitor_cycle(m, ok, cycle->duration_ns);
        log_at(ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, ok ? "retention cycle finished" : "retention cycle failed",
               LOG_INT("log_files_deleted", t->log_files), LOG_INT("log_bytes_deleted", t->log_bytes),
               LOG_INT("log_files_compressed", cycle->log_files_compressed), LOG_INT("crashes_deleted", t->crashes),
               LOG_INT("blobs_deleted", t->blobs), LOG_INT("blob_bytes_deleted", t->blob_bytes),
               LOG_INT("sources_deleted", t->sources), LOG_INT("duration_ms", cycle->duration_ns / 1000000),
               LOG_STR("result", ok ? "ok" : strerror(-cycle->result)));
}

static int expire_logs(const struct retention *r, struct moment now)
{
        char day[CLOCK_DAY_SIZE] = DELETION_AFTER_ANY_DAY, after[CLOCK_DAY_SIZE] = "";
        if (r->config->logs_ttl_days > 0)
                clock_format_day(retention_clock_wrong_until(&r->clock, r->config->logs_ttl_days, now), after);
        now.sec -= (int64_t)r->config->logs_ttl_days * RETENTION_SECONDS_PER_DAY;
        if (r->config->logs_ttl_days > 0)
                clock_format_day(now, day);
        return deletion_logs_expire(r->deletion, day, after);
}

/* Received up to now: whatever comes in during the cycle is the next one's. */
static int expire_crashes(const struct retention *r, struct moment now)
{
        struct moment after = retention_clock_wrong_until(&r->clock, r->config->crashes_ttl_days, now);
        now.sec -= (int64_t)r->config->crashes_ttl_days * RETENTION_SECONDS_PER_DAY;
        now.nsec += 1000000; /* the index keeps milliseconds, and what is exactly that old goes too */
        if (now.nsec >= 1000000000) {
                now.sec++;
                now.nsec -= 1000000000;
        }
        return deletion_crashes_expire(r->deletion, now, after);
}

/* What only is old goes gently. What is beyond a cap goes as fast as uploads may come, and nothing rests while a cap
 * waits for the end of the cycle. */
static void set_pace(const struct retention *r, enum deletion_pace pace)
{
        deletion_set_pace(r->deletion, r->considerate ? pace : DELETION_FAST);
}

/* The time that was judged: everything in the cycle goes by it, since the clock may jump at any moment. */
static struct moment judge_clock(struct retention *r, char *doubt)
{
        const struct retention_clock_ttl ttl = { r->config->logs_ttl_days, r->config->crashes_ttl_days };
        const struct deletion_stores *stores = &r->deletion->stores;
        struct moment now = retention_clock_judge(&r->clock, stores, r->config->data_dir, ttl, r->confirm_clock, doubt);
        r->confirm_clock = false;
        if (*doubt)
                troubles_set(
                        stores->troubles, TROUBLE_RETENTION_CLOCK, NULL,
                        "%s; nothing is deleted for its age until the clock is right again, has run steadily for a "
                        "day, or `detritusctl gc --confirm-clock` says that it is right",
                        doubt);
        else
                troubles_clear(stores->troubles, TROUBLE_RETENTION_CLOCK);
        return now;
}

static int first_failure(const int *results, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (results[i] < 0 && results[i] != -ECANCELED)
                        return results[i];
        }
        return 0;
}

void retention_run(struct retention *r, struct retention_cycle *ret)
{
        struct moment now;
        uint64_t started = clock_monotonic_ns(), compressed_files = 0;
        bool caps = retention_caps_any(r);
        assert(r->metrics && r->deletion);
        deletion_take_tally(r->deletion);
        set_pace(r, caps ? DELETION_SMALL : DELETION_GENTLE);
        *ret = (struct retention_cycle){ 0 };
        now = ret->began = judge_clock(r, ret->clock_doubt);
        bool believed = !*ret->clock_doubt; /* what lives for 0 days goes whatever the time is */
        int logs = believed || r->config->logs_ttl_days == 0 ? expire_logs(r, now) : 0;
        int crashes = believed || r->config->crashes_ttl_days == 0 ? expire_crashes(r, now) : 0;
        set_pace(r, DELETION_FAST);
        int evicted = retention_caps_evict(r, now);
        set_pace(r, caps ? DELETION_FAST : DELETION_GENTLE);
        int blobs = deletion_blobs_free(r->deletion);
        int sources = deletion_sources_free(r->deletion);
        set_pace(r, DELETION_FAST);
        int compressed = believed ? retention_compress(r, now, &compressed_files) : 0;
        const int results[] = { logs, compressed, crashes, evicted, blobs, sources };
        ret->deleted = deletion_take_tally(r->deletion);
        ret->log_files_compressed = compressed_files;
        ret->duration_ns = clock_monotonic_ns() - started;
        ret->result = first_failure(results, ARRAY_LEN(results));
        publish(r, ret);
}

void retention_keep_caps(struct retention *r)
{
        struct deletion *d = r->deletion;
        if (index_writer_commits(d->stores.index) - deletion_commits(d) == r->seen_commits)
                return;
        int e = retention_caps_evict(r, clock_now());
        if (e == 0 && d->tally.crashes > 0)
                e = deletion_blobs_free(d);
        struct deletion_tally t = deletion_take_tally(d);
        count_freed(r, &t);
        if (t.crashes + t.log_files > 0)
                log_info("evicted what was beyond a cap", LOG_INT("log_files_deleted", t.log_files),
                         LOG_INT("log_bytes_deleted", t.log_bytes), LOG_INT("crashes_deleted", t.crashes),
                         LOG_INT("blobs_deleted", t.blobs), LOG_INT("blob_bytes_deleted", t.blob_bytes));
        if (e < 0 && e != -ECANCELED)
                log_warn("cannot evict what is beyond a cap", LOG_STR("error", strerror(-e)));
}
