/* A purge, in the order crashes, log files, the blobs that these were the last to use, the sources that are empty. What
 * comes in meanwhile with a later receipt stays.
 *
 * Failure modes: a step that fails ends the work. On a full disk the blobs that could go make room for the rest, and
 * the purge begins again for as long as that deletes something. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_retention.h"
#include "storage/retention/deletion_internal.h"

struct source_step {
        struct step step;
        const char *project;
        char from[SOURCE_COMPONENT_MAX + 1]; /* the last one seen */
        size_t n, deleted;
        char ids[DELETION_STEP_ROWS][SOURCE_COMPONENT_MAX + 1];
};

static int collect(void *userdata, const char *install_id)
{
        struct source_step *step = userdata;
        assert(step->n < DELETION_STEP_ROWS);
        snprintf(step->ids[step->n++], sizeof(step->ids[0]), "%s", install_id);
        return 0;
}

static int delete_sources(struct step *s, struct index *index)
{
        struct source_step *step = container_of(s, struct source_step, step);
        step->n = step->deleted = 0;
        int r = index_project_sources(index, step->project, step->from, DELETION_STEP_ROWS, collect, step);
        for (size_t i = 0; r == 0 && i < step->n; i++) {
                bool deleted = false;
                r = index_delete_source(index, step->project, step->ids[i], &deleted);
                step->deleted += deleted;
        }
        return r;
}

static int delete_source(struct step *s, struct index *index)
{
        struct source_step *step = container_of(s, struct source_step, step);
        bool deleted = false;
        int r = index_delete_source(index, step->project, step->from, &deleted);
        step->deleted = deleted;
        step->n = 0;
        return r;
}

static int next_sources(struct deletion *d, void *work, bool *ret_last)
{
        struct source_step *step = work;
        int r = deletion_run(d, &step->step);
        if (r < 0)
                return r;
        d->tally.sources += step->deleted;
        if (step->n > 0)
                memcpy(step->from, step->ids[step->n - 1], sizeof(step->from));
        *ret_last = step->n < DELETION_STEP_ROWS;
        return 0;
}

static int purge_sources(struct deletion *d, const struct index_scope *scope, const struct deletion_progress *progress)
{
        _cleanup_(freep) struct source_step *step = calloc(1, sizeof(*step));
        if (!step)
                return -ENOMEM;
        step->step.run = scope->install_id ? delete_source : delete_sources;
        step->project = scope->project;
        snprintf(step->from, sizeof(step->from), "%s", scope->install_id ? scope->install_id : "");
        return deletion_repeat(d, next_sources, step, progress);
}

static uint64_t deleted(const struct deletion_tally *t)
{
        return t->crashes + t->blobs + t->log_files;
}

int deletion_purge(struct deletion *d, const struct index_scope *scope, const struct deletion_progress *progress)
{
        uint64_t before;
        int r;
        assert(scope->project);
        do {
                before = deleted(&d->tally);
                r = deletion_crashes_purge(d, scope, progress);
                if (r == 0)
                        r = deletion_logs_purge(d, scope, progress);
                int freed = deletion_blobs_free(d); /* also what an earlier call could not free */
                if (r == 0)
                        r = freed;
        } while (r == -ENOSPC && deleted(&d->tally) > before && !deletion_is_stopping(d));
        index_writer_want_empty_wal(d->stores.index); /* after the last step */
        return r == 0 ? purge_sources(d, scope, progress) : r;
}
