/* What deletes, and what keeps from being deleted. The work is done in the short steps of storage/retention/deletion.h, on the
 * caller's thread; a gc is the janitor's. With "dry_run" a read-only connection counts what would go.
 *
 * Failure modes: a request that names nothing is refused; work that ends early says what was done in its error line. */
#include <errno.h>
#include <string.h>

#include "control/operations_internal.h"
#include "protocol/source.h"
#include "storage/index/index_operate.h"
#include "storage/index/index_read.h"

#define AFTER_ANY_DAY "9999-99-99"

static int put_tally(struct buf *out, const struct deletion_tally *t)
{
        return buf_printf(
                out, ",\"crashes\":%llu,\"blobs\":%llu,\"blob_bytes\":%llu,\"log_files\":%llu,\"log_bytes\":%llu",
                (unsigned long long)t->crashes, (unsigned long long)t->blobs, (unsigned long long)t->blob_bytes,
                (unsigned long long)t->log_files, (unsigned long long)t->log_bytes);
}

static int put_survey(struct buf *out, const struct index_survey *s)
{
        const struct deletion_tally t = { .crashes = s->crashes,
                                          .blobs = s->blobs,
                                          .blob_bytes = s->blob_bytes,
                                          .log_files = s->log_files,
                                          .log_bytes = s->log_bytes };
        int r = put_tally(out, &t);
        return r == 0 ? operation_put_flag(out, "dry_run", true) : r;
}

static int open_to_read(struct operation_call *c, struct index **ret)
{
        int r = index_open_readonly(c->operations->config.config->data_dir, ret, &c->err);
        return r > 0 ? -EINVAL : r;
}

/* ---- gc ---- */

static struct moment days_before(struct moment at, unsigned days)
{
        at.sec -= (int64_t)days * 86400;
        return at;
}

/* What is beyond a cap now; what expires counts, too, so that it is an upper bound. */
static int put_caps(struct buf *out, struct index *index, const struct config *config)
{
        int r = buf_append_str(out, ",\"beyond_caps\":[");
        bool any = false;
        for (size_t i = 0; r == 0 && i <= config->n_projects; i++) {
                const char *project = i < config->n_projects ? config->projects[i].name : "";
                const struct config_caps *caps = i < config->n_projects ? &config->projects[i].caps : &config->caps;
                struct index_usage usage;
                r = index_usage(index, project, &usage);
                if (r < 0)
                        break;
                uint64_t logs = caps->logs_max_bytes && usage.log_bytes > caps->logs_max_bytes
                                        ? usage.log_bytes - caps->logs_max_bytes
                                        : 0;
                uint64_t crashes = caps->crashes_max_bytes && usage.crash_bytes > caps->crashes_max_bytes
                                           ? usage.crash_bytes - caps->crashes_max_bytes
                                           : 0;
                if (logs == 0 && crashes == 0)
                        continue;
                r = buf_append_str(out, any ? ",{\"beyond\":true" : "{\"beyond\":true");
                if (r == 0)
                        r = operation_put_text(out, "project", i < config->n_projects ? project : NULL);
                if (r == 0)
                        r = operation_put_number(out, "log_bytes", logs);
                if (r == 0)
                        r = operation_put_number(out, "crash_bytes", crashes);
                if (r == 0)
                        r = buf_append_char(out, '}');
                any = true;
        }
        return r == 0 ? buf_append_char(out, ']') : r;
}

static int survey_cycle(struct operation_call *c)
{
        _cleanup_(index_freep) struct index *index = NULL;
        const struct config *config = c->operations->config.config;
        struct moment now = clock_now();
        char day[CLOCK_DAY_SIZE] = AFTER_ANY_DAY;
        if (config->logs_ttl_days > 0)
                clock_format_day(days_before(now, config->logs_ttl_days), day);
        const struct index_scope scope = { .received_before = days_before(now, config->crashes_ttl_days),
                                           .day_before = day };
        struct index_survey found = { 0 };
        int r = open_to_read(c, &index);
        if (r == 0)
                r = index_survey(index, &scope, &found);
        if (r == 0)
                r = index_survey_orphans(index, &found);
        if (r == 0)
                r = put_survey(&c->answer, &found);
        return r == 0 ? put_caps(&c->answer, index, config) : r;
}

/* On the janitor's thread, or on this one where there is no janitor. */
static int run_cycle(struct operation_call *c, struct retention_cycle *ret)
{
        const struct operations_config *config = &c->operations->config;
        struct retention here = { .config = config->config, .metrics = config->metrics };
        struct janitor *janitor = store_janitor(config->store);
        if (janitor)
                return janitor_run_cycle(janitor, ret);
        int r = operation_begin_deletion(c, &here.deletion);
        if (r == 0)
                retention_run(&here, ret);
        return r;
}

int operation_gc(struct operation_call *c)
{
        struct retention_cycle cycle = { 0 };
        bool dry_run = false;
        int r = operation_flag(c, "dry_run", &dry_run);
        if (r < 0 || dry_run)
                return r < 0 ? r : survey_cycle(c);
        r = run_cycle(c, &cycle);
        if (r < 0)
                return r;
        r = put_tally(&c->answer, &cycle.deleted);
        if (r == 0)
                r = operation_put_number(&c->answer, "log_files_compressed", cycle.log_files_compressed);
        if (r == 0)
                r = operation_put_number(&c->answer, "duration_ms", cycle.duration_ns / 1000000);
        return r == 0 ? cycle.result : r;
}

/* ---- purge ---- */

/* The index keeps milliseconds, and what came in this one is there. */
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

static int read_scope(struct operation_call *c, struct index_scope *scope, char day[CLOCK_DAY_SIZE])
{
        const char *before = NULL;
        int r = operation_text(c, "project", &scope->project);
        if (r == 0)
                r = operation_text(c, "install_id", &scope->install_id);
        if (r == 0)
                r = operation_text(c, "before", &before);
        if (r == 0)
                r = operation_flag(c, "held", &scope->held_too);
        if (r < 0)
                return r;
        if (!scope->project)
                return operation_refuse(c, "\"project\" is missing");
        if (!is_name(scope->project) || (scope->install_id && !is_name(scope->install_id)))
                return operation_refuse(c, "no project and no installation can be called so");
        scope->day_before = day;
        if (!before) { /* all that is there now, and nothing that comes meanwhile */
                scope->received_before = next_millisecond(clock_now());
                memcpy(day, AFTER_ANY_DAY, CLOCK_DAY_SIZE);
                return 0;
        }
        if (clock_parse_rfc3339(before, strlen(before), &scope->received_before) != 0)
                return operation_refuse(c, "\"before\" is no RFC 3339 time");
        clock_format_day(scope->received_before, day); /* a day's file goes when the whole day is before */
        return 0;
}

static int report(void *userdata, const struct deletion_tally *tally)
{
        struct operation_call *c = userdata;
        _cleanup_(buf_done) struct buf body = { 0 };
        int r = put_tally(&body, tally);
        return r == 0 ? operation_emit(c, "progress", &body) : r;
}

static int put_held(struct operation_call *c, const struct index_scope *scope)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct index_survey left = { 0 };
        int r = scope->held_too ? 0 : open_to_read(c, &index);
        if (r < 0 || !index)
                return r;
        r = index_survey(index, scope, &left);
        return r == 0 ? operation_put_number(&c->answer, "held_kept", left.held) : r;
}

static int survey_purge(struct operation_call *c, const struct index_scope *scope)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct index_survey found = { 0 };
        int r = open_to_read(c, &index);
        if (r == 0)
                r = index_survey(index, scope, &found);
        if (r == 0)
                r = put_survey(&c->answer, &found);
        return r == 0 ? operation_put_number(&c->answer, "held_kept", found.held) : r;
}

int operation_purge(struct operation_call *c)
{
        const struct deletion_progress progress = { report, c };
        struct index_scope scope = { 0 };
        struct deletion *deletion = NULL;
        char day[CLOCK_DAY_SIZE];
        bool dry_run = false;
        int r = read_scope(c, &scope, day);
        if (r == 0)
                r = operation_flag(c, "dry_run", &dry_run);
        if (r < 0 || dry_run)
                return r < 0 ? r : survey_purge(c, &scope);
        r = operation_begin_deletion(c, &deletion);
        if (r < 0)
                return r;
        r = deletion_purge(deletion, &scope, &progress);
        struct deletion_tally tally = deletion_take_tally(deletion);
        int e = put_tally(&c->answer, &tally);
        if (e == 0)
                e = operation_put_number(&c->answer, "sources", tally.sources);
        if (e == 0 && r == 0)
                e = put_held(c, &scope);
        return r != 0 ? (r < 0 ? r : -ECANCELED) : e;
}

/* ---- by id ---- */

struct ids {
        size_t n;
        int64_t *ids;
        enum deletion_outcome *outcomes;
};

static void ids_done(struct ids *ids)
{
        free(ids->ids);
        free(ids->outcomes);
}

static int read_ids(struct operation_call *c, struct ids *ids)
{
        struct json_object *array;
        if (!json_object_object_get_ex(c->request, "ids", &array) || !json_object_is_type(array, json_type_array))
                return operation_refuse(c, "\"ids\" is not an array");
        size_t n = json_object_array_length(array);
        if (n == 0 || n > OPERATIONS_IDS_MAX)
                return operation_refuse(c, "\"ids\" has %zu, and may have 1 to %d", n, OPERATIONS_IDS_MAX);
        ids->ids = calloc(n, sizeof(*ids->ids));
        ids->outcomes = calloc(n, sizeof(*ids->outcomes));
        if (!ids->ids || !ids->outcomes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct json_object *id = json_object_array_get_idx(array, i);
                if (!json_object_is_type(id, json_type_int) || json_object_get_int64(id) <= 0)
                        return operation_refuse(c, "\"ids\" holds what is no id");
                ids->ids[i] = json_object_get_int64(id);
        }
        ids->n = n;
        return 0;
}

static int emit_outcomes(struct operation_call *c, const struct ids *ids, const char *done)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < ids->n; i++) {
                _cleanup_(buf_done) struct buf body = { 0 };
                const char *what = ids->outcomes[i] == DELETION_DONE     ? done
                                   : ids->outcomes[i] == DELETION_ABSENT ? "absent"
                                                                         : "held";
                r = operation_put_number(&body, "id", (uint64_t)ids->ids[i]);
                if (r == 0)
                        r = operation_put_text(&body, "result", what);
                if (r == 0)
                        r = operation_emit(c, "item", &body);
        }
        return r;
}

static int put_outcomes(struct operation_call *c, const struct ids *ids)
{
        uint64_t counts[3] = { 0 };
        for (size_t i = 0; i < ids->n; i++)
                counts[ids->outcomes[i]]++;
        int r = operation_put_number(&c->answer, "done", counts[DELETION_DONE]);
        if (r == 0)
                r = operation_put_number(&c->answer, "absent", counts[DELETION_ABSENT]);
        return r == 0 ? operation_put_number(&c->answer, "held", counts[DELETION_HELD]) : r;
}

int operation_delete(struct operation_call *c)
{
        _cleanup_(ids_done) struct ids ids = { 0 };
        struct deletion *deletion = NULL;
        bool held_too = false;
        int r = operation_flag(c, "held", &held_too);
        if (r == 0)
                r = read_ids(c, &ids);
        if (r == 0)
                r = operation_begin_deletion(c, &deletion);
        if (r < 0)
                return r;
        r = deletion_crashes_by_id(deletion, ids.ids, ids.n, held_too, ids.outcomes);
        struct deletion_tally tally = deletion_take_tally(deletion);
        int e = put_tally(&c->answer, &tally);
        if (e == 0 && r == 0)
                e = put_outcomes(c, &ids);
        if (e == 0 && r == 0)
                e = emit_outcomes(c, &ids, "deleted");
        return r < 0 ? r : e;
}

static int set_held(struct operation_call *c, bool held)
{
        _cleanup_(ids_done) struct ids ids = { 0 };
        struct deletion *deletion = NULL;
        int r = read_ids(c, &ids);
        if (r == 0)
                r = operation_begin_deletion(c, &deletion);
        if (r == 0)
                r = deletion_crashes_hold(deletion, ids.ids, ids.n, held, ids.outcomes);
        if (r == 0)
                r = put_outcomes(c, &ids);
        return r == 0 ? emit_outcomes(c, &ids, held ? "held" : "released") : r;
}

int operation_hold(struct operation_call *c)
{
        return set_held(c, true);
}

int operation_release(struct operation_call *c)
{
        return set_held(c, false);
}
