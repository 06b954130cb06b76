/* Deletes all of a project or a source that was received before a moment (storage/retention/deletion.h). With "dry_run"
 * a read-only connection counts what would go.
 *
 * Failure modes: a request that names nothing is refused; a purge that ends early says what was done in its error
 * line. */
#include <errno.h>
#include <string.h>

#include "control/operation.h"
#include "protocol/source.h"
#include "storage/index/index_read.h"

#define AFTER_ANY_DAY "9999-99-99"

struct purge {
        struct index_scope scope;
        char day[CLOCK_DAY_SIZE];
        bool dry_run;
};

/* The index keeps milliseconds, and what came in within this one is there. */
static struct moment next_millisecond(struct moment at)
{
        at.nsec += 1000000;
        if (at.nsec >= 1000000000) {
                at.sec++;
                at.nsec -= 1000000000;
        }
        return at;
}

static bool is_name(const char *text)
{
        return source_component_valid(text, strlen(text));
}

static int read_source(struct operation *o, struct index_scope *scope)
{
        int r = operation_text(o, "project", &scope->project);
        if (r == 0)
                r = operation_text(o, "install_id", &scope->install_id);
        if (r < 0)
                return r;
        if (!scope->project)
                return operation_refuse(o, "\"project\" is missing");
        if (!is_name(scope->project) || (scope->install_id && !is_name(scope->install_id)))
                return operation_refuse(o, "a project or an installation cannot have this name");
        return 0;
}

static int read_before(struct operation *o, struct purge *p)
{
        const char *before = NULL;
        int r = operation_text(o, "before", &before);
        if (r < 0)
                return r;
        p->scope.day_before = p->day;
        if (!before) { /* all that is there now, and nothing that comes meanwhile */
                p->scope.received_before = next_millisecond(clock_now());
                memcpy(p->day, AFTER_ANY_DAY, CLOCK_DAY_SIZE);
                return 0;
        }
        if (clock_parse_rfc3339(before, strlen(before), &p->scope.received_before) != 0)
                return operation_refuse(o, "\"before\" must be an RFC 3339 time");
        clock_format_day(p->scope.received_before, p->day); /* a day's file goes when the whole day is before */
        return 0;
}

static int read_request(struct operation *o, struct purge *p)
{
        int r = read_source(o, &p->scope);
        if (r == 0)
                r = read_before(o, p);
        if (r == 0)
                r = operation_flag(o, "held", &p->scope.held_too);
        return r == 0 ? operation_flag(o, "dry_run", &p->dry_run) : r;
}

static int survey(struct operation *o, const struct index_scope *scope, struct index_survey *ret)
{
        _cleanup_(index_freep) struct index *index = NULL;
        int r = operation_open_to_read(o, &index);
        return r == 0 ? index_survey(index, scope, ret) : r;
}

static int run_dry(struct operation *o, const struct index_scope *scope)
{
        struct index_survey found = { 0 };
        int r = survey(o, scope, &found);
        if (r < 0)
                return r;
        operation_put_survey(&o->out, &found);
        json_write_u64(&o->out, "held_kept", found.held);
        return 0;
}

static int report(void *userdata, const struct deletion_tally *so_far)
{
        struct operation *o = userdata;
        struct operation_line line = { 0 };
        operation_line_begin(&line, "progress");
        operation_put_tally(&line.out, so_far);
        return operation_line_emit(o, &line);
}

static int put_held(struct operation *o, const struct index_scope *scope)
{
        struct index_survey left = { 0 };
        if (scope->held_too)
                return 0;
        int r = survey(o, scope, &left);
        if (r == 0)
                json_write_u64(&o->out, "held_kept", left.held);
        return r;
}

int operation_purge(struct operation *o)
{
        const struct deletion_progress progress = { report, o };
        struct purge p = { 0 };
        struct deletion *deletion = NULL;
        int r = read_request(o, &p);
        if (r < 0)
                return r;
        if (p.dry_run)
                return run_dry(o, &p.scope);
        r = operation_begin_deletion(o, &deletion);
        if (r < 0)
                return r;
        r = deletion_purge(deletion, &p.scope, &progress);
        struct deletion_tally tally = deletion_take_tally(deletion);
        operation_put_tally(&o->out, &tally);
        json_write_u64(&o->out, "sources", tally.sources);
        if (r != 0)
                return r < 0 ? r : -ECANCELED; /* nobody listens any more */
        return put_held(o, &p.scope);
}
