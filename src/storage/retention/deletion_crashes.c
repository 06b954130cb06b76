/* Deletes crashes: what is too old, beyond a cap, of a project or source, or named by id. Their rows are deleted and
 * committed, then their JSON files, and a source's directories that became empty.
 *
 * The files are removed on the index writer's thread right after the commit, so that a crash that is sent again comes
 * wholly before or wholly after. A JSON file that cannot be removed is reported and left to the next start, which then
 * checks everything. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/retention/deletion_internal.h"
#include "util/log.h"

struct old_crash {
        int64_t id;
        struct source source;
        struct moment crashed_at;
        char dump_sha256[BLOB_HEX_SIZE];
};

struct crash_step {
        struct step step;
        const struct deletion *deletion;
        struct moment received_before, received_after;
        const char *project; /* evicted from, until it has no more than */
        uint64_t max_bytes;
        const struct index_scope *scope; /* purged */
        const int64_t *ids;              /* deleted one by one, with what became of each */
        size_t n_ids;
        enum deletion_outcome *outcomes;
        bool held_too;
        unsigned max; /* rows */
        size_t n;
        struct old_crash rows[DELETION_STEP_ROWS];
};

static int collect(void *userdata, const struct index_crash_row *row)
{
        struct crash_step *step = userdata;
        assert(step->n < step->max);
        struct old_crash *old = &step->rows[step->n];
        if (clock_parse_rfc3339(row->crashed_at, strlen(row->crashed_at), &old->crashed_at) != 0)
                return -EINVAL;
        old->id = row->id;
        snprintf(old->source.project, sizeof(old->source.project), "%s", row->project);
        snprintf(old->source.install_id, sizeof(old->source.install_id), "%s", row->install_id);
        snprintf(old->dump_sha256, sizeof(old->dump_sha256), "%s", row->dump_sha256);
        step->n++;
        return 0;
}

/* ---- what is found ---- */

static int delete_found(struct crash_step *step, struct index *index)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < step->n; i++)
                r = index_delete_crash(index, step->rows[i].id);
        return r;
}

static int delete_expired(struct step *s, struct index *index)
{
        struct crash_step *step = container_of(s, struct crash_step, step);
        step->n = 0;
        const struct index_expired expired = { .received_before = step->received_before,
                                               .received_after = step->received_after };
        int r = index_expired_crashes(index, &expired, step->max, collect, step);
        return r == 0 ? delete_found(step, index) : r;
}

static int delete_scope(struct step *s, struct index *index)
{
        struct crash_step *step = container_of(s, struct crash_step, step);
        step->n = 0;
        int r = index_purge_crashes(index, step->scope, step->max, collect, step);
        return r == 0 ? delete_found(step, index) : r;
}

static int find_oldest(struct crash_step *step, struct index *index)
{
        static const struct index_expired any = { .received_before = { .sec = CLOCK_LAST_SECOND },
                                                  .received_after = { .sec = CLOCK_FIRST_SECOND } };
        return *step->project ? index_project_crashes(index, step->project, step->max, collect, step)
                              : index_expired_crashes(index, &any, step->max, collect, step);
}

/* Asks for the usage after each one, because other crashes may use the same blobs: then deleting it frees nothing. */
static int delete_surplus(struct step *s, struct index *index)
{
        struct crash_step *step = container_of(s, struct crash_step, step);
        struct index_usage usage;
        size_t gone = 0;
        step->n = 0;
        int r = index_usage(index, step->project, &usage);
        if (r == 0 && usage.crash_bytes > step->max_bytes)
                r = find_oldest(step, index);
        while (r == 0 && gone < step->n && usage.crash_bytes > step->max_bytes) {
                r = index_delete_crash(index, step->rows[gone++].id);
                if (r == 0)
                        r = index_usage(index, step->project, &usage);
        }
        step->n = gone;
        return r;
}

/* ---- by id ---- */

static int delete_one(struct crash_step *step, struct index *index, int64_t id, enum deletion_outcome *outcome)
{
        bool held;
        size_t before = step->n;
        int r = index_crash_by_id(index, id, collect, step, &held);
        *outcome = r == -ENOENT ? DELETION_ABSENT : DELETION_DONE;
        if (r != 0)
                return r == -ENOENT ? 0 : r;
        if (held && !step->held_too) {
                *outcome = DELETION_HELD;
                step->n = before;
                return 0;
        }
        return index_delete_crash(index, id);
}

static int delete_by_id(struct step *s, struct index *index)
{
        struct crash_step *step = container_of(s, struct crash_step, step);
        int r = 0;
        step->n = 0;
        for (size_t i = 0; r == 0 && i < step->n_ids && i < step->max; i++)
                r = delete_one(step, index, step->ids[i], &step->outcomes[i]);
        return r;
}

/* ---- files ---- */

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

static void remove_mirrors(struct step *s)
{
        struct crash_step *step = container_of(s, struct crash_step, step);
        const struct deletion_stores *stores = &step->deletion->stores;
        for (size_t i = 0; i < step->n; i++) {
                const struct old_crash *old = &step->rows[i];
                char path[MIRROR_PATH_SIZE];
                mirror_path(&old->source, old->crashed_at, old->dump_sha256, path);
                if (unlinkat(stores->datadir_fd, path, 0) < 0 && errno != ENOENT) {
                        log_warn("cannot remove a deleted crash's JSON file", LOG_STR("path", path),
                                 LOG_STR("error", strerror(errno)));
                        atomic_store(stores->untidy, true);
                }
                remove_empty_parents(stores->datadir_fd, path);
        }
}

/* ---- deletions ---- */

static struct crash_step *crash_step_new(const struct deletion *d, int (*run)(struct step *, struct index *))
{
        struct crash_step *step = calloc(1, sizeof(*step));
        if (!step)
                return NULL;
        step->step = (struct step){ .run = run, .committed = remove_mirrors };
        step->deletion = d;
        step->max = deletion_step_rows(d);
        return step;
}

static int next_crashes(struct deletion *d, void *work, bool *ret_last)
{
        struct crash_step *step = work;
        int r = deletion_run_rows(d, &step->step, &step->max);
        if (r < 0)
                return r;
        d->tally.crashes += step->n;
        *ret_last = step->n < step->max;
        return 0;
}

int deletion_crashes_expire(struct deletion *d, struct moment received_before, struct moment received_after)
{
        _cleanup_(freep) struct crash_step *step = crash_step_new(d, delete_expired);
        if (!step)
                return -ENOMEM;
        step->received_before = received_before;
        step->received_after = received_after;
        return deletion_repeat(d, next_crashes, step, NULL);
}

int deletion_crashes_evict(struct deletion *d, const char *project, uint64_t max_bytes)
{
        _cleanup_(freep) struct crash_step *step = crash_step_new(d, delete_surplus);
        if (!step)
                return -ENOMEM;
        step->project = project;
        step->max_bytes = max_bytes;
        return deletion_repeat(d, next_crashes, step, NULL);
}

int deletion_crashes_purge(struct deletion *d, const struct index_scope *scope,
                           const struct deletion_progress *progress)
{
        _cleanup_(freep) struct crash_step *step = crash_step_new(d, delete_scope);
        if (!step)
                return -ENOMEM;
        step->scope = scope;
        return deletion_repeat(d, next_crashes, step, progress);
}

/* A full disk may have made the step smaller: it did the first step->max of the ids. */
static int next_ids(struct deletion *d, void *work, bool *ret_last)
{
        struct crash_step *step = work;
        int r = deletion_run_rows(d, &step->step, &step->max);
        if (r < 0)
                return r;
        size_t done = step->n_ids < step->max ? step->n_ids : step->max;
        d->tally.crashes += step->n;
        step->ids += done;
        step->outcomes += done;
        step->n_ids -= done;
        *ret_last = step->n_ids == 0;
        return 0;
}

int deletion_crashes_by_id(struct deletion *d, const int64_t *ids, size_t n, bool held_too,
                           enum deletion_outcome *outcomes)
{
        _cleanup_(freep) struct crash_step *step = crash_step_new(d, delete_by_id);
        assert(n > 0);
        if (!step)
                return -ENOMEM;
        step->ids = ids;
        step->n_ids = n;
        step->outcomes = outcomes;
        step->held_too = held_too;
        int r = deletion_repeat(d, next_ids, step, NULL);
        index_writer_want_empty_wal(d->stores.index);
        int freed = deletion_blobs_free(d);
        return r < 0 ? r : freed;
}

/* ---- holding ---- */

struct hold_step {
        struct step step;
        const int64_t *ids;
        size_t n; /* left */
        bool held;
        enum deletion_outcome *outcomes;
};

static size_t hold_step_ids(const struct hold_step *step)
{
        return step->n < DELETION_STEP_ROWS ? step->n : DELETION_STEP_ROWS;
}

static int set_held(struct step *s, struct index *index)
{
        struct hold_step *step = container_of(s, struct hold_step, step);
        int r = 0;
        for (size_t i = 0; r == 0 && i < hold_step_ids(step); i++) {
                bool held;
                r = index_crash_by_id(index, step->ids[i], NULL, NULL, &held);
                step->outcomes[i] = r == -ENOENT ? DELETION_ABSENT : DELETION_DONE;
                if (r == 0 && held != step->held)
                        r = index_set_held(index, step->ids[i], step->held);
                r = r == -ENOENT ? 0 : r;
        }
        return r;
}

static int next_held(struct deletion *d, void *work, bool *ret_last)
{
        struct hold_step *step = work;
        int r = deletion_run(d, &step->step);
        if (r < 0)
                return r;
        size_t done = hold_step_ids(step);
        step->ids += done;
        step->outcomes += done;
        step->n -= done;
        *ret_last = step->n == 0;
        return 0;
}

int deletion_crashes_hold(struct deletion *d, const int64_t *ids, size_t n, bool held, enum deletion_outcome *outcomes)
{
        struct hold_step step = { .step.run = set_held, .ids = ids, .n = n, .held = held, .outcomes = outcomes };
        assert(n > 0);
        return deletion_repeat(d, next_held, &step, NULL);
}
