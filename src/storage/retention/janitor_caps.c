/* Caps: one short job reads what is stored wherever there is a cap; where it is too much, the oldest goes. A project's own
 * cap comes before the common one, so that nobody pays for a project that has too much; logs come before crashes. */
#include <errno.h>
#include <stdlib.h>

#include "storage/index/index_read.h"
#include "storage/retention/janitor_internal.h"

struct scope {
        const char *project; /* "": all together */
        struct config_caps caps;
        bool logs, crashes; /* too many */
};

struct caps_step {
        struct index_job job;
        struct janitor_handoff handoff;
        size_t n;
        struct scope scopes[];
};

static bool is_capped(const struct config_caps *c)
{
        return c->logs_max_bytes > 0 || c->crashes_max_bytes > 0;
}

bool janitor_has_caps(const struct janitor *j)
{
        bool any = is_capped(&j->config.caps);
        for (size_t i = 0; i < j->config.n_projects; i++)
                any |= is_capped(&j->config.projects[i].caps);
        return any;
}

static int read_usage(struct index_job *job, struct index *index)
{
        struct caps_step *step = container_of(job, struct caps_step, job);
        int r = 0;
        for (struct scope *s = step->scopes; r == 0 && s < step->scopes + step->n; s++) {
                struct index_usage usage;
                r = index_usage(index, s->project, &usage);
                if (r < 0)
                        break;
                s->logs = s->caps.logs_max_bytes > 0 && usage.log_bytes > s->caps.logs_max_bytes;
                s->crashes = s->caps.crashes_max_bytes > 0 && usage.crash_bytes > s->caps.crashes_max_bytes;
        }
        return r;
}

static void usage_read(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct caps_step, job)->handoff, result);
}

static struct caps_step *caps_step_new(const struct janitor *j)
{
        size_t n = j->config.n_projects;
        struct caps_step *step = calloc(1, sizeof(*step) + (n + 1) * sizeof(step->scopes[0]));
        if (!step)
                return NULL;
        step->job = (struct index_job){ .run = read_usage, .done = usage_read };
        for (size_t i = 0; i < n; i++)
                step->scopes[step->n++] =
                        (struct scope){ .project = j->config.projects[i].name, .caps = j->config.projects[i].caps };
        step->scopes[step->n++] = (struct scope){ .project = "", .caps = j->config.caps };
        return step;
}

int janitor_evict(struct janitor *j, struct moment now, struct janitor_tally *tally)
{
        if (!janitor_has_caps(j))
                return 0;
        _cleanup_(freep) struct caps_step *step = caps_step_new(j);
        if (!step)
                return -ENOMEM;
        j->seen_commits = index_writer_commits(j->config.index) - j->own_commits;
        int r = janitor_run_job(j, &step->job, &step->handoff);
        for (struct scope *s = step->scopes; r == 0 && s < step->scopes + step->n; s++) {
                if (s->logs)
                        r = janitor_evict_log_files(j, s->project, s->caps.logs_max_bytes, now, tally);
        }
        for (struct scope *s = step->scopes; r == 0 && s < step->scopes + step->n; s++) {
                if (s->crashes)
                        r = janitor_evict_crashes(j, s->project, s->caps.crashes_max_bytes, tally);
        }
        return r;
}
