/* Caps: one short job reads what is stored wherever there is a cap; where it is too much, the oldest goes. A project's
 * own cap comes before the common one, so that nobody pays for a project that has too much; logs come before
 * crashes. */
#include <errno.h>
#include <stdlib.h>

#include "storage/index/index_read.h"
#include "storage/retention/retention_internal.h"

struct scope {
        const char *project; /* "": all together */
        struct config_caps caps;
        bool logs, crashes; /* too much of them */
};

struct caps_step {
        struct step step;
        size_t n;
        struct scope scopes[];
};

static bool is_capped(const struct config_caps *c)
{
        return c->logs_max_bytes > 0 || c->crashes_max_bytes > 0;
}

bool retention_caps_any(const struct retention *r)
{
        bool any = is_capped(&r->config->caps);
        for (size_t i = 0; i < r->config->n_projects; i++)
                any |= is_capped(&r->config->projects[i].caps);
        return any;
}

static int read_usage(struct step *s, struct index *index)
{
        struct caps_step *step = container_of(s, struct caps_step, step);
        for (struct scope *scope = step->scopes; scope < step->scopes + step->n; scope++) {
                struct index_usage usage;
                int r = index_usage(index, scope->project, &usage);
                if (r < 0)
                        return r;
                scope->logs = scope->caps.logs_max_bytes > 0 && usage.log_bytes > scope->caps.logs_max_bytes;
                scope->crashes = scope->caps.crashes_max_bytes > 0 && usage.crash_bytes > scope->caps.crashes_max_bytes;
        }
        return 0;
}

static struct caps_step *caps_step_new(const struct config *config)
{
        size_t n = config->n_projects;
        struct caps_step *step = calloc(1, sizeof(*step) + (n + 1) * sizeof(step->scopes[0]));
        if (!step)
                return NULL;
        step->step.run = read_usage;
        for (size_t i = 0; i < n; i++)
                step->scopes[step->n++] =
                        (struct scope){ .project = config->projects[i].name, .caps = config->projects[i].caps };
        step->scopes[step->n++] = (struct scope){ .project = "", .caps = config->caps };
        return step;
}

int retention_caps_evict(struct retention *r, struct moment now)
{
        struct deletion *d = r->deletion;
        char today[CLOCK_DAY_SIZE];
        if (!retention_caps_any(r))
                return 0;
        _cleanup_(freep) struct caps_step *step = caps_step_new(r->config);
        if (!step)
                return -ENOMEM;
        clock_format_day(now, today); /* its log files never go */
        r->seen_commits = index_writer_commits(d->stores.index) - deletion_commits(d);
        int e = deletion_run(d, &step->step);
        for (struct scope *s = step->scopes; e == 0 && s < step->scopes + step->n; s++) {
                if (s->logs)
                        e = deletion_logs_evict(d, s->project, s->caps.logs_max_bytes, today);
        }
        for (struct scope *s = step->scopes; e == 0 && s < step->scopes + step->n; s++) {
                if (s->crashes)
                        e = deletion_crashes_evict(d, s->project, s->caps.crashes_max_bytes);
        }
        return e;
}
