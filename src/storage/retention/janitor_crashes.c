/* Retention and eviction of crashes and blobs. Crash rows are deleted and committed, then their JSON files and a source's directory
 * that became empty; rows of blobs with refs = 0 likewise, then their files.
 *
 * The files are removed in done(), on the index writer's thread right behind the commit, so that an upload of the same
 * bytes comes wholly before (its row keeps the blob) or wholly after (it makes the file again). A file that cannot be
 * removed is reported and left to the next start, which then checks everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/retention/janitor_internal.h"
#include "util/log.h"

int janitor_collect_crash(void *userdata, const struct index_crash_row *row)
{
        struct janitor_crash_step *step = userdata;
        struct janitor_old_crash *old = &step->rows[step->n];
        if (clock_parse_rfc3339(row->crashed_at, strlen(row->crashed_at), &old->crashed_at) != 0)
                return -EINVAL;
        old->id = row->id;
        snprintf(old->source.project, sizeof(old->source.project), "%s", row->project);
        snprintf(old->source.install_id, sizeof(old->source.install_id), "%s", row->install_id);
        snprintf(old->dump_sha256, sizeof(old->dump_sha256), "%s", row->dump_sha256);
        step->n++;
        return 0;
}

static int delete_crashes(struct index_job *job, struct index *index)
{
        struct janitor_crash_step *step = container_of(job, struct janitor_crash_step, job);
        step->n = 0;
        int r = index_expired_crashes(index, step->received_before, step->max, janitor_collect_crash, step);
        for (size_t i = 0; r == 0 && i < step->n; i++)
                r = index_delete_crash(index, step->rows[i].id);
        return r;
}

static int oldest_crashes(struct janitor_crash_step *step, struct index *index)
{
        static const struct moment never = { .sec = INT64_C(253402300799) }; /* 9999-12-31 */
        return *step->project ? index_project_crashes(index, step->project, step->max, janitor_collect_crash, step)
                              : index_expired_crashes(index, never, step->max, janitor_collect_crash, step);
}

/* Asks after each one, because others may use the same blobs: then it frees nothing. */
static int evict_crashes(struct index_job *job, struct index *index)
{
        struct janitor_crash_step *step = container_of(job, struct janitor_crash_step, job);
        struct index_usage usage;
        size_t gone = 0;
        step->n = 0;
        int r = index_usage(index, step->project, &usage);
        if (r == 0 && usage.crash_bytes > step->max_bytes)
                r = oldest_crashes(step, index);
        while (r == 0 && gone < step->n && usage.crash_bytes > step->max_bytes) {
                r = index_delete_crash(index, step->rows[gone++].id);
                if (r == 0)
                        r = index_usage(index, step->project, &usage);
        }
        step->n = gone;
        return r;
}

/* The directories of a source and of its project go when they are empty; the next upload makes them again. */
static void remove_empty_parents(int datadir_fd, char *path)
{
        for (int level = 0; level < 2; level++) {
                char *slash = strrchr(path, '/');
                if (!slash)
                        return;
                *slash = '\0';
                if (unlinkat(datadir_fd, path, AT_REMOVEDIR) < 0)
                        return;
        }
}

static void remove_mirrors(struct index_job *job, int result)
{
        struct janitor_crash_step *step = container_of(job, struct janitor_crash_step, job);
        for (size_t i = 0; result == 0 && i < step->n; i++) {
                const struct janitor_old_crash *old = &step->rows[i];
                char path[MIRROR_PATH_SIZE];
                mirror_path(&old->source, old->crashed_at, old->dump_sha256, path);
                if (unlinkat(step->datadir_fd, path, 0) < 0 && errno != ENOENT) {
                        log_warn("cannot remove an expired crash's JSON file", LOG_STR("path", path),
                                 LOG_STR("error", strerror(errno)));
                        atomic_store(step->untidy, true);
                }
                remove_empty_parents(step->datadir_fd, path);
        }
        janitor_handoff_finish(&step->handoff, result);
}

/* Received up to now: whatever comes in during the cycle is the next one's. */
static struct moment crash_cutoff(const struct janitor *j, struct moment now)
{
        now.sec -= (int64_t)j->config.crashes_ttl_days * JANITOR_SECONDS_PER_DAY;
        now.nsec += 1000000; /* the index keeps milliseconds, and what is as old as that goes too */
        if (now.nsec >= 1000000000) {
                now.sec++;
                now.nsec -= 1000000000;
        }
        return now;
}

static int run_crash_steps(struct janitor *j, struct janitor_crash_step *step, struct janitor_tally *tally)
{
        for (unsigned steps = 0; steps < JANITOR_STEPS_MAX && !janitor_is_stopping(j); steps++) {
                int r = janitor_run_step(j, &step->job, &step->handoff, &step->max);
                if (r < 0)
                        return r;
                tally->crashes += step->n;
                if (step->n < step->max)
                        break;
        }
        return 0;
}

struct janitor_crash_step *janitor_crash_step_new(const struct janitor *j,
                                                  int (*run)(struct index_job *, struct index *))
{
        struct janitor_crash_step *step = calloc(1, sizeof(*step));
        if (!step)
                return NULL;
        step->job = (struct index_job){ .run = run, .done = remove_mirrors };
        step->datadir_fd = j->config.datadir_fd;
        step->untidy = j->config.untidy;
        step->max = janitor_step_rows(j);
        return step;
}

int janitor_expire_crashes(struct janitor *j, struct moment now, struct janitor_tally *tally)
{
        _cleanup_(freep) struct janitor_crash_step *step = janitor_crash_step_new(j, delete_crashes);
        if (!step)
                return -ENOMEM;
        step->received_before = crash_cutoff(j, now);
        return run_crash_steps(j, step, tally);
}

int janitor_evict_crashes(struct janitor *j, const char *project, uint64_t max_bytes, struct janitor_tally *tally)
{
        _cleanup_(freep) struct janitor_crash_step *step = janitor_crash_step_new(j, evict_crashes);
        if (!step)
                return -ENOMEM;
        step->project = project;
        step->max_bytes = max_bytes;
        return run_crash_steps(j, step, tally);
}

struct blob_step {
        struct index_job job;
        struct janitor_handoff handoff;
        struct blob_store *blobs;
        atomic_bool *untidy;
        unsigned max; /* rows */
        size_t n;
        uint64_t freed, bytes;
        char rows[JANITOR_STEP_ROWS][BLOB_HEX_SIZE];
};

static int collect_blob(void *userdata, const char *sha256, _unused_ uint64_t len)
{
        struct blob_step *step = userdata;
        snprintf(step->rows[step->n++], BLOB_HEX_SIZE, "%s", sha256);
        return 0;
}

static int delete_blobs(struct index_job *job, struct index *index)
{
        struct blob_step *step = container_of(job, struct blob_step, job);
        step->n = 0;
        int r = index_orphan_blobs(index, step->max, collect_blob, step);
        for (size_t i = 0; r == 0 && i < step->n; i++)
                r = index_delete_blob(index, step->rows[i]);
        return r;
}

static void remove_blobs(struct index_job *job, int result)
{
        struct blob_step *step = container_of(job, struct blob_step, job);
        for (size_t i = 0; result == 0 && i < step->n; i++) {
                uint64_t len;
                int r = blob_unlink(step->blobs, step->rows[i], &len);
                if (r == 0) {
                        step->freed++;
                        step->bytes += len;
                } else if (r != -ENOENT) {
                        atomic_store(step->untidy, true);
                        log_warn("cannot remove a blob that nothing refers to", LOG_STR("sha256", step->rows[i]),
                                 LOG_STR("error", strerror(-r)));
                }
        }
        janitor_handoff_finish(&step->handoff, result);
}

int janitor_free_blobs(struct janitor *j, struct janitor_tally *tally)
{
        struct blob_step *step = calloc(1, sizeof(*step));
        if (!step)
                return -ENOMEM;
        step->job = (struct index_job){ .run = delete_blobs, .done = remove_blobs };
        step->blobs = j->config.blobs;
        step->untidy = j->config.untidy;
        step->max = janitor_step_rows(j);
        int r = 0;
        for (unsigned steps = 0; r == 0 && steps < JANITOR_STEPS_MAX && !janitor_is_stopping(j); steps++) {
                r = janitor_run_step(j, &step->job, &step->handoff, &step->max);
                if (r == 0 && step->n < step->max)
                        break;
        }
        tally->blobs += step->freed;
        tally->blob_bytes += step->bytes;
        free(step);
        return r;
}
