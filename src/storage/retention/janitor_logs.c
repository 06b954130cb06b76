/* Retention and eviction of log files. The log committer unlinks them, since it may hold their descriptors; then their rows go. A
 * file that cannot be removed keeps its row and is tried again next cycle; one that was gone already is forgotten. A row
 * that comes back because lines came in meanwhile is the next cycle's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_operate.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/retention/janitor_internal.h"
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
        int datadir_fd;
        char day_before[CLOCK_DAY_SIZE];
        const char *project; /* evicted from, until it has no more than */
        uint64_t max_bytes;
        const struct index_scope *scope; /* purged */
        uint64_t surplus;                /* still to be found */
        unsigned max;                    /* rows found, and forgotten at once */
        size_t forgotten;                /* so many of the rows have been dealt with */
        size_t n;
        struct old_log_file rows[JANITOR_STEP_ROWS];
};

static int collect_log_file(void *userdata, const struct index_log_file *row)
{
        struct log_step *step = userdata;
        struct old_log_file *old = &step->rows[step->n++];
        *old = (struct old_log_file){ .source_id = row->source_id, .bytes = row->bytes };
        snprintf(old->source.project, sizeof(old->source.project), "%s", row->project);
        snprintf(old->source.install_id, sizeof(old->source.install_id), "%s", row->install_id);
        snprintf(old->day, sizeof(old->day), "%s", row->day);
        return 0;
}

static int find_log_files(struct index_job *job, struct index *index)
{
        struct log_step *step = container_of(job, struct log_step, find);
        step->n = 0;
        return index_expired_log_files(index, step->day_before, step->max, collect_log_file, step);
}

#define ENOUGH 1

static int collect_surplus(void *userdata, const struct index_log_file *row)
{
        struct log_step *step = userdata;
        collect_log_file(step, row);
        if (row->bytes >= step->surplus)
                return ENOUGH;
        step->surplus -= row->bytes;
        return 0;
}

static int find_surplus(struct index_job *job, struct index *index)
{
        struct log_step *step = container_of(job, struct log_step, find);
        struct index_usage usage;
        step->n = 0;
        int r = index_usage(index, step->project, &usage);
        if (r < 0 || usage.log_bytes <= step->max_bytes)
                return r;
        step->surplus = usage.log_bytes - step->max_bytes;
        r = *step->project
                    ? index_project_log_files(index, step->project, step->day_before, step->max, collect_surplus, step)
                    : index_expired_log_files(index, step->day_before, step->max, collect_surplus, step);
        return r == ENOUGH ? 0 : r;
}

static int find_scope(struct index_job *job, struct index *index)
{
        struct log_step *step = container_of(job, struct log_step, find);
        step->n = 0;
        return index_purge_log_files(index, step->scope, step->max, collect_log_file, step);
}

/* Lines that came in behind the unlinking made the file anew, and what was told of it may have been written already: the
 * row stands for the new file then. How many lines it has is not known. */
static int forget(const struct log_step *step, struct index *index, const struct old_log_file *old)
{
        char path[sizeof("logs//") + 2 * SOURCE_COMPONENT_MAX + CLOCK_DAY_SIZE + sizeof("/.ndjson")];
        struct stat st;
        int r = index_delete_log_file(index, old->source_id, old->day);
        snprintf(path, sizeof(path), "logs/%s/%s/%s.ndjson", old->source.project, old->source.install_id, old->day);
        if (r < 0 || fstatat(step->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return r;
        return index_add_log_file(index, &old->source, old->day, (uint64_t)st.st_size, clock_now());
}

static int forget_log_files(struct index_job *job, struct index *index)
{
        struct log_step *step = container_of(job, struct log_step, forget);
        int r = 0;
        for (size_t i = step->forgotten; r == 0 && i < step->n && i < step->forgotten + step->max; i++) {
                if (step->rows[i].gone)
                        r = forget(step, index, &step->rows[i]);
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

/* *ret_gone: how many rows went. totals: what waits there is written before the rows are forgotten, so that it does not
 * bring one back; NULL: whatever comes back is the next cycle's. */
static int remove_found_log_files(struct janitor *j, struct log_step *step, struct log_totals *totals,
                                  struct janitor_tally *tally, size_t *ret_gone)
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
        int r = 0;
        if (totals)
                log_totals_flush(totals);
        for (step->forgotten = 0; r == 0 && gone > 0 && step->forgotten < step->n; step->forgotten += step->max)
                r = janitor_run_step(j, &step->forget, &step->handoff, &step->max);
        *ret_gone = gone;
        return r < 0 ? r : unavailable;
}

static int run_log_steps(struct janitor *j, struct log_step *step, struct janitor_tally *tally)
{
        for (unsigned steps = 0; steps < JANITOR_STEPS_MAX && !janitor_is_stopping(j); steps++) {
                size_t gone = 0, max = step->max;
                int r = janitor_run_job(j, &step->find, &step->handoff);
                if (r == 0 && step->n > 0)
                        r = remove_found_log_files(j, step, NULL, tally, &gone);
                if (r < 0)
                        return r;
                if (step->n < max || gone == 0)
                        break;
        }
        return 0;
}

static struct log_step *log_step_new(const struct janitor *j, int (*find)(struct index_job *, struct index *))
{
        struct log_step *step = calloc(1, sizeof(*step));
        if (!step)
                return NULL;
        step->find = (struct index_job){ .run = find, .done = found_log_files };
        step->forget = (struct index_job){ .run = forget_log_files, .done = forgot_log_files };
        step->datadir_fd = j->config.datadir_fd;
        step->max = janitor_step_rows(j);
        return step;
}

int janitor_expire_log_files(struct janitor *j, struct moment now, struct janitor_tally *tally)
{
        _cleanup_(freep) struct log_step *step = log_step_new(j, find_log_files);
        if (!step)
                return -ENOMEM;
        now.sec -= (int64_t)j->config.logs_ttl_days * JANITOR_SECONDS_PER_DAY;
        if (j->config.logs_ttl_days > 0)
                clock_format_day(now, step->day_before);
        else
                memcpy(step->day_before, AFTER_ANY_DAY, sizeof(step->day_before));
        return run_log_steps(j, step, tally);
}

int janitor_evict_log_files(struct janitor *j, const char *project, uint64_t max_bytes, struct moment now,
                            struct janitor_tally *tally)
{
        _cleanup_(freep) struct log_step *step = log_step_new(j, find_surplus);
        if (!step)
                return -ENOMEM;
        clock_format_day(now, step->day_before); /* never today's */
        step->project = project;
        step->max_bytes = max_bytes;
        return run_log_steps(j, step, tally);
}

int janitor_purge_log_files(struct janitor *j, const struct index_scope *scope, struct log_totals *totals,
                            struct janitor_tally *tally, bool *ret_done)
{
        _cleanup_(freep) struct log_step *step = log_step_new(j, find_scope);
        size_t gone = 0;
        if (!step)
                return -ENOMEM;
        step->scope = scope;
        unsigned max = step->max;
        int r = janitor_run_job(j, &step->find, &step->handoff);
        if (r == 0 && step->n > 0)
                r = remove_found_log_files(j, step, totals, tally, &gone);
        if (r < 0)
                return r;
        *ret_done = step->n < max || gone == 0;
        return gone < step->n && !janitor_is_stopping(j) ? -EIO : 0; /* a warning has said which and why */
}
