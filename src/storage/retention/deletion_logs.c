/* Deletes log files: of days that are too old, beyond a cap, or of a project or source. The log committer unlinks them,
 * since it may hold their descriptors; then their rows go. The row of a file that was gone already goes, too.
 *
 * Failure modes: a file that cannot be removed keeps its row and is tried again by the next cycle. A row that comes
 * back because lines came in meanwhile is the next cycle's. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/retention/deletion_internal.h"
#include "util/log.h"

struct old_log_file {
        int64_t source_id;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes;
        bool gone;
};

struct log_step {
        struct step find, forget;
        const struct deletion *deletion;
        char day_before[CLOCK_DAY_SIZE];
        char day_after[CLOCK_DAY_SIZE];
        const char *project; /* evicted from, until it has no more than */
        uint64_t max_bytes;
        const struct index_scope *scope; /* purged */
        uint64_t surplus;                /* still to be found */
        unsigned max;                    /* rows found, and forgotten at once */
        size_t forgotten;                /* that many of the rows have been dealt with */
        size_t n;
        struct old_log_file rows[DELETION_STEP_ROWS];
};

static int collect(void *userdata, const struct index_log_file *row)
{
        struct log_step *step = userdata;
        assert(step->n < step->max);
        struct old_log_file *old = &step->rows[step->n++];
        *old = (struct old_log_file){ .source_id = row->source_id, .bytes = row->bytes };
        snprintf(old->source.project, sizeof(old->source.project), "%s", row->project);
        snprintf(old->source.install_id, sizeof(old->source.install_id), "%s", row->install_id);
        snprintf(old->day, sizeof(old->day), "%s", row->day);
        return 0;
}

static int find_expired(struct step *s, struct index *index)
{
        struct log_step *step = container_of(s, struct log_step, find);
        step->n = 0;
        const struct index_expired expired = { .day_before = step->day_before, .day_after = step->day_after };
        return index_expired_log_files(index, &expired, step->max, collect, step);
}

#define ENOUGH 1

static int collect_surplus(void *userdata, const struct index_log_file *row)
{
        struct log_step *step = userdata;
        collect(step, row);
        if (row->bytes >= step->surplus)
                return ENOUGH;
        step->surplus -= row->bytes;
        return 0;
}

static int find_surplus(struct step *s, struct index *index)
{
        struct log_step *step = container_of(s, struct log_step, find);
        const struct index_expired oldest = { .day_before = step->day_before, .day_after = "" };
        struct index_usage usage;
        step->n = 0;
        int r = index_usage(index, step->project, &usage);
        if (r < 0 || usage.log_bytes <= step->max_bytes)
                return r;
        step->surplus = usage.log_bytes - step->max_bytes;
        r = *step->project
                    ? index_project_log_files(index, step->project, step->day_before, step->max, collect_surplus, step)
                    : index_expired_log_files(index, &oldest, step->max, collect_surplus, step);
        return r == ENOUGH ? 0 : r;
}

static int find_scope(struct step *s, struct index *index)
{
        struct log_step *step = container_of(s, struct log_step, find);
        step->n = 0;
        return index_purge_log_files(index, step->scope, step->max, collect, step);
}

/* Lines that came in after the unlinking made the file again, and its totals may have been written already: the row
 * stands for the new file then. How many lines it has is not known. */
static int forget(const struct log_step *step, struct index *index, const struct old_log_file *old)
{
        char path[sizeof("logs//") + 2 * SOURCE_COMPONENT_MAX + CLOCK_DAY_SIZE + sizeof("/.ndjson")];
        struct stat st;
        int r = index_delete_log_file(index, old->source_id, old->day);
        snprintf(path, sizeof(path), "logs/%s/%s/%s.ndjson", old->source.project, old->source.install_id, old->day);
        if (r < 0 || fstatat(step->deletion->stores.datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return r;
        return index_add_log_file(index, &old->source, old->day, (uint64_t)st.st_size, clock_now());
}

static int forget_some(struct step *s, struct index *index)
{
        struct log_step *step = container_of(s, struct log_step, forget);
        int r = 0;
        for (size_t i = step->forgotten; r == 0 && i < step->n && i < step->forgotten + step->max; i++) {
                if (step->rows[i].gone)
                        r = forget(step, index, &step->rows[i]);
        }
        return r;
}

/* 0 (also when it was gone before) or -EAGAIN: the committer takes nothing now. A file that it cannot remove keeps its
 * row, and the next cycle tries again. */
static int remove_file(struct deletion *d, struct old_log_file *old)
{
        struct log_unlink unlink = { .source = old->source };
        memcpy(unlink.day, old->day, sizeof(old->day));
        int r = step_unlink(d->stores.logs, &unlink);
        if (r == -EAGAIN)
                return r;
        old->gone = r == 0 || r == -ENOENT;
        if (!old->gone)
                log_warn("cannot remove an expired log file", LOG_STR("project", old->source.project),
                         LOG_STR("install_id", old->source.install_id), LOG_STR("day", old->day),
                         LOG_STR("error", strerror(-r)));
        if (r == -ENOENT)
                old->bytes = 0;
        return 0;
}

/* *ret_gone: how many rows went. A purge first has written what waits in the totals, so that it does not bring a row
 * back; else whatever comes back is the next cycle's. */
static int remove_found(struct deletion *d, struct log_step *step, size_t *ret_gone)
{
        size_t gone = 0;
        int unavailable = 0;
        for (size_t i = 0; unavailable == 0 && i < step->n && !deletion_is_stopping(d); i++) {
                unavailable = remove_file(d, &step->rows[i]);
                if (!step->rows[i].gone)
                        continue;
                gone++;
                d->tally.log_files++;
                d->tally.log_bytes += step->rows[i].bytes;
        }
        int r = 0;
        if (step->scope)
                log_totals_flush(d->stores.totals);
        for (step->forgotten = 0; r == 0 && gone > 0 && step->forgotten < step->n; step->forgotten += step->max)
                r = deletion_run_rows(d, &step->forget, &step->max);
        *ret_gone = gone;
        return r < 0 ? r : unavailable;
}

static int next_files(struct deletion *d, void *work, bool *ret_last)
{
        struct log_step *step = work;
        size_t gone = 0, max = step->max;
        int r = deletion_run(d, &step->find);
        if (r == 0 && step->n > 0)
                r = remove_found(d, step, &gone);
        if (r < 0)
                return r;
        *ret_last = step->n < max || gone == 0;
        if (step->scope && gone < step->n && !deletion_is_stopping(d))
                return -EIO; /* a warning has said which file and why */
        return 0;
}

static struct log_step *log_step_new(const struct deletion *d, int (*find)(struct step *, struct index *))
{
        struct log_step *step = calloc(1, sizeof(*step));
        if (!step)
                return NULL;
        step->find.run = find;
        step->forget.run = forget_some;
        step->deletion = d;
        step->max = deletion_step_rows(d);
        return step;
}

int deletion_logs_expire(struct deletion *d, const char *day_before, const char *day_after)
{
        _cleanup_(freep) struct log_step *step = log_step_new(d, find_expired);
        if (!step)
                return -ENOMEM;
        snprintf(step->day_before, sizeof(step->day_before), "%s", day_before);
        snprintf(step->day_after, sizeof(step->day_after), "%s", day_after);
        return deletion_repeat(d, next_files, step, NULL);
}

int deletion_logs_evict(struct deletion *d, const char *project, uint64_t max_bytes, const char *day_before)
{
        _cleanup_(freep) struct log_step *step = log_step_new(d, find_surplus);
        if (!step)
                return -ENOMEM;
        snprintf(step->day_before, sizeof(step->day_before), "%s", day_before);
        step->project = project;
        step->max_bytes = max_bytes;
        return deletion_repeat(d, next_files, step, NULL);
}

/* A file that was begun a moment ago has no row yet: the committer notes it after the group that it was in. */
static int settle(struct deletion *d)
{
        int r = log_committer_barrier(d->stores.logs);
        if (r == 0)
                log_totals_flush(d->stores.totals);
        return r;
}

int deletion_logs_purge(struct deletion *d, const struct index_scope *scope, const struct deletion_progress *progress)
{
        _cleanup_(freep) struct log_step *step = log_step_new(d, find_scope);
        if (!step)
                return -ENOMEM;
        step->scope = scope;
        int r = settle(d);
        return r == 0 ? deletion_repeat(d, next_files, step, progress) : r;
}
