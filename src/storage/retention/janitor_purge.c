/* What operators have deleted or held, by the steps that retention is made of: rows first, in transactions of at most
 * JANITOR_STEP_ROWS rows, then files. So a stop in between leaves files that no row names, which the next start finds,
 * and never a row without its blob; and uploads go on between two steps.
 *
 * A purge deletes crashes, then log files, then the blobs that these were the last to use, then the sources that are
 * empty. What comes in meanwhile with a later receipt stays.
 *
 * Failure modes: a step that fails ends the work; asked again, it goes on from there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_operate.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/retention/janitor_internal.h"

static int ended(struct janitor *j, int r)
{
        return r == 0 && janitor_is_stopping(j) ? -ECANCELED : r;
}

/* ---- by id ---- */

static int delete_ids(struct index_job *job, struct index *index)
{
        struct janitor_crash_step *step = container_of(job, struct janitor_crash_step, job);
        int r = 0;
        step->n = 0;
        for (size_t i = 0; r == 0 && i < step->n_ids && i < step->max; i++) {
                bool held;
                size_t before = step->n;
                r = index_crash_by_id(index, step->ids[i], janitor_collect_crash, step, &held);
                step->outcomes[i] = r == -ENOENT ? JANITOR_ABSENT : JANITOR_DONE;
                if (r == 0 && held && !step->held_too) {
                        step->outcomes[i] = JANITOR_HELD;
                        step->n = before;
                } else if (r == 0) {
                        r = index_delete_crash(index, step->ids[i]);
                }
                r = r == -ENOENT ? 0 : r;
        }
        return r;
}

/* On a full disk a step becomes smaller, so it says itself how far it came: step->max. */
int janitor_delete_crashes(struct janitor *j, const int64_t *ids, size_t n, bool held_too,
                           enum janitor_outcome *outcomes, struct janitor_tally *tally)
{
        _cleanup_(freep) struct janitor_crash_step *step = janitor_crash_step_new(j, delete_ids);
        int r = 0;
        if (!step)
                return -ENOMEM;
        step->held_too = held_too;
        for (size_t done = 0; r == 0 && done < n && !janitor_is_stopping(j);) {
                step->ids = ids + done;
                step->outcomes = outcomes + done;
                step->n_ids = n - done;
                r = janitor_run_step(j, &step->job, &step->handoff, &step->max);
                if (r == 0) {
                        tally->crashes += step->n;
                        done += step->n_ids < step->max ? step->n_ids : step->max;
                }
        }
        int freed = janitor_free_blobs(j, tally);
        return ended(j, r < 0 ? r : freed);
}

struct hold_step {
        struct index_job job;
        struct janitor_handoff handoff;
        const int64_t *ids;
        size_t n;
        bool held;
        enum janitor_outcome *outcomes;
};

static int hold_ids(struct index_job *job, struct index *index)
{
        struct hold_step *step = container_of(job, struct hold_step, job);
        int r = 0;
        for (size_t i = 0; r == 0 && i < step->n; i++) {
                bool held;
                r = index_crash_by_id(index, step->ids[i], NULL, NULL, &held);
                step->outcomes[i] = r == -ENOENT ? JANITOR_ABSENT : JANITOR_DONE;
                if (r == 0 && held != step->held)
                        r = index_set_held(index, step->ids[i], step->held);
                r = r == -ENOENT ? 0 : r;
        }
        return r;
}

static void held_ids(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct hold_step, job)->handoff, result);
}

int janitor_hold_crashes(struct janitor *j, const int64_t *ids, size_t n, bool held, enum janitor_outcome *outcomes)
{
        int r = 0;
        for (size_t done = 0; r == 0 && done < n && !janitor_is_stopping(j); done += JANITOR_STEP_ROWS) {
                struct hold_step step = {
                        .job = { .run = hold_ids, .done = held_ids },
                        .ids = ids + done,
                        .outcomes = outcomes + done,
                        .n = n - done < JANITOR_STEP_ROWS ? n - done : JANITOR_STEP_ROWS,
                        .held = held,
                };
                r = janitor_run_job(j, &step.job, &step.handoff);
        }
        return ended(j, r);
}

/* ---- by project or source ---- */

static int delete_scope(struct index_job *job, struct index *index)
{
        struct janitor_crash_step *step = container_of(job, struct janitor_crash_step, job);
        step->n = 0;
        int r = index_purge_crashes(index, step->scope, step->max, janitor_collect_crash, step);
        for (size_t i = 0; r == 0 && i < step->n; i++)
                r = index_delete_crash(index, step->rows[i].id);
        return r;
}

struct purge {
        struct janitor *janitor;
        const struct index_scope *scope;
        struct log_totals *totals;
        janitor_told told;
        void *userdata;
        struct janitor_tally *tally;
};

static int tell(const struct purge *p, int r)
{
        if (r == 0 && p->told)
                r = p->told(p->userdata, p->tally);
        return ended(p->janitor, r);
}

static int purge_crashes(const struct purge *p)
{
        _cleanup_(freep) struct janitor_crash_step *step = janitor_crash_step_new(p->janitor, delete_scope);
        int r = 0;
        if (!step)
                return -ENOMEM;
        step->scope = p->scope;
        for (unsigned steps = 0; r == 0 && steps < JANITOR_STEPS_MAX; steps++) {
                r = janitor_run_step(p->janitor, &step->job, &step->handoff, &step->max);
                if (r == 0)
                        p->tally->crashes += step->n;
                bool last = r == 0 && step->n < step->max;
                r = tell(p, r);
                if (last)
                        break;
        }
        return r;
}

struct barrier {
        struct log_unlink unlink;
        struct janitor_handoff handoff;
};

static void barrier_passed(struct log_unlink *u, int result)
{
        janitor_handoff_finish(&container_of(u, struct barrier, unlink)->handoff, result);
}

/* A file that was begun a moment ago has no row yet: the committer tells of it behind the group that it was in. The
 * second barrier is in a later group than all that was submitted before the first. */
static int settle_logs(const struct purge *p)
{
        if (!p->totals)
                return 0;
        for (int i = 0; i < 2; i++) {
                struct barrier b = { .unlink = { .day = "0000-00-00", .done = barrier_passed } };
                sem_init(&b.handoff.done, 0, 0);
                snprintf(b.unlink.source.project, sizeof(b.unlink.source.project), "%s", p->scope->project);
                snprintf(b.unlink.source.install_id, sizeof(b.unlink.source.install_id), "%s", "-");
                if (log_committer_unlink(p->janitor->config.logs, &b.unlink) != 0)
                        return -EAGAIN;
                int r = janitor_handoff_wait(&b.handoff);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        log_totals_flush(p->totals);
        return 0;
}

static int purge_logs(const struct purge *p)
{
        bool done = false;
        int r = settle_logs(p);
        for (unsigned steps = 0; r == 0 && !done && steps < JANITOR_STEPS_MAX; steps++)
                r = tell(p, janitor_purge_log_files(p->janitor, p->scope, p->totals, p->tally, &done));
        return r;
}

struct source_step {
        struct index_job job;
        struct janitor_handoff handoff;
        const char *project;
        char from[SOURCE_COMPONENT_MAX + 1]; /* the last one seen */
        size_t n, deleted;
        char ids[JANITOR_STEP_ROWS][SOURCE_COMPONENT_MAX + 1];
};

static int collect_source(void *userdata, const char *install_id)
{
        struct source_step *step = userdata;
        snprintf(step->ids[step->n++], sizeof(step->ids[0]), "%s", install_id);
        return 0;
}

static int delete_sources(struct index_job *job, struct index *index)
{
        struct source_step *step = container_of(job, struct source_step, job);
        step->n = step->deleted = 0;
        int r = index_project_sources(index, step->project, step->from, JANITOR_STEP_ROWS, collect_source, step);
        for (size_t i = 0; r == 0 && i < step->n; i++) {
                bool deleted = false;
                r = index_delete_source(index, step->project, step->ids[i], &deleted);
                step->deleted += deleted;
        }
        return r;
}

static int delete_source(struct index_job *job, struct index *index)
{
        struct source_step *step = container_of(job, struct source_step, job);
        bool deleted = false;
        int r = index_delete_source(index, step->project, step->from, &deleted);
        step->deleted = deleted;
        step->n = 0;
        return r;
}

static void sources_deleted(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct source_step, job)->handoff, result);
}

static int purge_sources(const struct purge *p)
{
        _cleanup_(freep) struct source_step *step = calloc(1, sizeof(*step));
        int r = 0;
        if (!step)
                return -ENOMEM;
        step->job = (struct index_job){ .run = p->scope->install_id ? delete_source : delete_sources,
                                        .done = sources_deleted };
        step->project = p->scope->project;
        snprintf(step->from, sizeof(step->from), "%s", p->scope->install_id ? p->scope->install_id : "");
        do {
                r = janitor_run_job(p->janitor, &step->job, &step->handoff);
                if (r < 0)
                        break;
                p->tally->sources += step->deleted;
                if (step->n > 0)
                        memcpy(step->from, step->ids[step->n - 1], sizeof(step->from));
                r = tell(p, r);
        } while (r == 0 && step->n == JANITOR_STEP_ROWS);
        return r;
}

static uint64_t deleted(const struct janitor_tally *t)
{
        return t->crashes + t->blobs + t->log_files;
}

/* On a full disk the blobs that could go make the space for what could not. */
int janitor_purge(struct janitor *j, const struct index_scope *scope, struct log_totals *totals, janitor_told told,
                  void *userdata, struct janitor_tally *tally)
{
        const struct purge p = { j, scope, totals, told, userdata, tally };
        uint64_t before;
        int r;
        do {
                before = deleted(tally);
                r = purge_crashes(&p);
                if (r == 0)
                        r = purge_logs(&p);
                int freed = janitor_free_blobs(j, tally); /* also what an earlier call could not */
                if (r == 0)
                        r = ended(j, freed);
        } while (r == -ENOSPC && deleted(tally) > before && !janitor_is_stopping(j));
        return r == 0 ? purge_sources(&p) : r;
}
