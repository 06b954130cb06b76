/* Retention of log files. The log committer unlinks them, since it may hold their descriptors; then their rows go. A
 * file that cannot be removed keeps its row and is tried again next cycle; one that was gone already is forgotten. A row
 * that comes back because lines came in meanwhile is the next cycle's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/janitor_internal.h"
#include "util/log.h"

#define AFTER_ANY_DAY "9999-99-99"

struct old_log_file {
        int64_t source_id;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes;
        bool gone;
};

struct log_step {
        struct index_job find, forget;
        struct janitor_handoff handoff;
        char day_before[CLOCK_DAY_SIZE];
        size_t n;
        struct old_log_file rows[JANITOR_STEP_ROWS];
};

static int collect_log_file(void *userdata, int64_t source_id, const char *project, const char *install_id,
                            const char *day, uint64_t bytes)
{
        struct log_step *step = userdata;
        struct old_log_file *old = &step->rows[step->n++];
        *old = (struct old_log_file){ .source_id = source_id, .bytes = bytes };
        snprintf(old->source.project, sizeof(old->source.project), "%s", project);
        snprintf(old->source.install_id, sizeof(old->source.install_id), "%s", install_id);
        snprintf(old->day, sizeof(old->day), "%s", day);
        return 0;
}

static int find_log_files(struct index_job *job, struct index *index)
{
        struct log_step *step = container_of(job, struct log_step, find);
        step->n = 0;
        return index_expired_log_files(index, step->day_before, JANITOR_STEP_ROWS, collect_log_file, step);
}

static int forget_log_files(struct index_job *job, struct index *index)
{
        struct log_step *step = container_of(job, struct log_step, forget);
        int r = 0;
        for (size_t i = 0; r == 0 && i < step->n; i++) {
                if (step->rows[i].gone)
                        r = index_delete_log_file(index, step->rows[i].source_id, step->rows[i].day);
        }
        return r;
}

static void found_log_files(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct log_step, find)->handoff, result);
}

static void forgot_log_files(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct log_step, forget)->handoff, result);
}

struct log_removal {
        struct log_unlink unlink;
        struct janitor_handoff handoff;
};

static void log_file_removed(struct log_unlink *u, int result)
{
        janitor_handoff_finish(&container_of(u, struct log_removal, unlink)->handoff, result);
}

/* 0 (also when it was gone before) or -errno: the committer takes nothing now. A file that it cannot remove keeps its
 * row, and the next cycle tries again. */
static int remove_log_file(struct janitor *j, struct old_log_file *old)
{
        struct log_removal removal = { 0 };
        sem_init(&removal.handoff.done, 0, 0);
        removal.unlink.source = old->source;
        removal.unlink.done = log_file_removed;
        memcpy(removal.unlink.day, old->day, sizeof(old->day));
        if (log_committer_unlink(j->config.logs, &removal.unlink) != 0)
                return -EAGAIN;
        int r = janitor_handoff_wait(&removal.handoff);
        old->gone = r == 0 || r == -ENOENT;
        if (!old->gone)
                log_warn("cannot remove an expired log file", LOG_STR("project", old->source.project),
                         LOG_STR("install_id", old->source.install_id), LOG_STR("day", old->day),
                         LOG_STR("error", strerror(-r)));
        if (r == -ENOENT)
                old->bytes = 0;
        return 0;
}

/* *ret_gone: how many rows went. */
static int remove_found_log_files(struct janitor *j, struct log_step *step, struct janitor_tally *tally,
                                  size_t *ret_gone)
{
        size_t gone = 0;
        int unavailable = 0;
        for (size_t i = 0; unavailable == 0 && i < step->n && !janitor_is_stopping(j); i++) {
                unavailable = remove_log_file(j, &step->rows[i]);
                if (!step->rows[i].gone)
                        continue;
                gone++;
                tally->log_files++;
                tally->log_bytes += step->rows[i].bytes;
        }
        int r = gone > 0 ? janitor_run_job(j, &step->forget, &step->handoff) : 0;
        *ret_gone = gone;
        return r < 0 ? r : unavailable;
}

static int run_log_steps(struct janitor *j, struct log_step *step, struct janitor_tally *tally)
{
        for (unsigned steps = 0; steps < JANITOR_STEPS_MAX && !janitor_is_stopping(j); steps++) {
                size_t gone = 0;
                int r = janitor_run_job(j, &step->find, &step->handoff);
                if (r == 0 && step->n > 0)
                        r = remove_found_log_files(j, step, tally, &gone);
                if (r < 0)
                        return r;
                if (step->n < JANITOR_STEP_ROWS || gone == 0)
                        break;
        }
        return 0;
}

int janitor_expire_log_files(struct janitor *j, struct moment now, struct janitor_tally *tally)
{
        struct log_step *step = calloc(1, sizeof(*step));
        if (!step)
                return -ENOMEM;
        step->find = (struct index_job){ .run = find_log_files, .done = found_log_files };
        step->forget = (struct index_job){ .run = forget_log_files, .done = forgot_log_files };
        now.sec -= (int64_t)j->config.logs_ttl_days * JANITOR_SECONDS_PER_DAY;
        if (j->config.logs_ttl_days > 0)
                clock_format_day(now, step->day_before);
        else
                memcpy(step->day_before, AFTER_ANY_DAY, sizeof(step->day_before));
        int r = run_log_steps(j, step, tally);
        free(step);
        return r;
}
