/* What operators order: deletions by project or by source, holding, and the surveys that say beforehand what a deletion
 * would delete. A survey sorts what would go, and runs beside the index writer on a read-only connection. */
#include "storage/index/index_operate.h"

#include <errno.h>

#include "storage/index/index_internal.h"

int index_set_held(struct index *x, int64_t id, bool held)
{
        return index_run(x, INDEX_SET_HELD, ARGS(arg_int(id), arg_int(held)));
}

/* ---- purges ---- */

int index_purge_crashes(struct index *x, const struct index_scope *scope, unsigned max, index_crash_cb cb, void *ud)
{
        assert(scope->project);
        return index_each_crash(x, scope->install_id ? INDEX_PURGE_SOURCE : INDEX_PURGE_PROJECT,
                                ARGS(arg_text(scope->project), arg_text(scope->install_id),
                                     arg_received(scope->received_before), arg_int(scope->held_too), arg_int(max)),
                                cb, ud);
}

int index_purge_log_files(struct index *x, const struct index_scope *scope, unsigned max, index_log_file_cb cb,
                          void *ud)
{
        assert(scope->project);
        if (!scope->install_id)
                return index_each_log_file(x, INDEX_PROJECT_LOG_FILES,
                                           ARGS(arg_text(scope->project), arg_text(scope->day_before), arg_int(max)),
                                           cb, ud);
        return index_each_log_file(
                x, INDEX_SOURCE_LOG_FILES,
                ARGS(arg_text(scope->project), arg_text(scope->install_id), arg_text(scope->day_before), arg_int(max)),
                cb, ud);
}

struct text_rows {
        index_text_cb cb;
        void *userdata;
};

static int hand_out_text(void *userdata, sqlite3_stmt *s)
{
        const struct text_rows *rows = userdata;
        const char *text = index_text(s, 0);
        return text ? rows->cb(rows->userdata, text) : -ENOMEM;
}

int index_project_sources(struct index *x, const char *project, const char *install_id, unsigned max, index_text_cb cb,
                          void *ud)
{
        struct text_rows rows = { cb, ud };
        return index_each(x, INDEX_PROJECT_SOURCES, ARGS(arg_text(project), arg_copy(install_id), arg_int(max)),
                          hand_out_text, &rows);
}

int index_delete_source(struct index *x, const char *project, const char *install_id, bool *ret_deleted)
{
        int r = index_run(x, INDEX_DELETE_SOURCE, ARGS(arg_text(project), arg_text(install_id)));
        if (r == 0)
                *ret_deleted = sqlite3_changes(x->db) > 0;
        return r;
}

/* ---- surveys ---- */

struct going {
        uint64_t crashes, blobs, blob_bytes;
};

static int take_going(void *userdata, sqlite3_stmt *s)
{
        *(struct going *)userdata = (struct going){ index_count(s, 0), index_count(s, 1), index_count(s, 2) };
        return 0;
}

/* held: only those that are. */
static int survey_crashes(struct index *x, const struct index_scope *scope, bool held, struct going *ret)
{
        const struct index_arg project = arg_text(scope->project), install_id = arg_text(scope->install_id),
                               before = arg_received(scope->received_before), most = arg_int(held || scope->held_too),
                               least = arg_int(held);
        if (!scope->project)
                return index_each(x, INDEX_SURVEY_EXPIRED, ARGS(project, install_id, before, most), take_going, ret);
        return index_each(x, scope->install_id ? INDEX_SURVEY_SOURCE : INDEX_SURVEY_PROJECT,
                          ARGS(project, install_id, before, most, least), take_going, ret);
}

static int take_logs(void *userdata, sqlite3_stmt *s)
{
        struct index_survey *survey = userdata;
        survey->log_files = index_count(s, 0);
        survey->log_bytes = index_count(s, 1);
        return 0;
}

static int survey_logs(struct index *x, const struct index_scope *scope, struct index_survey *ret)
{
        enum index_statement which = !scope->project     ? INDEX_SURVEY_LOGS
                                     : scope->install_id ? INDEX_SURVEY_SOURCE_LOGS
                                                         : INDEX_SURVEY_PROJECT_LOGS;
        return index_each(x, which,
                          ARGS(arg_text(scope->project), arg_text(scope->install_id), arg_text(scope->day_before)),
                          take_logs, ret);
}

int index_survey(struct index *x, const struct index_scope *scope, struct index_survey *ret)
{
        struct going going = { 0 }, held = { 0 };
        assert(!x->writable && (scope->project || !scope->install_id));
        *ret = (struct index_survey){ 0 };
        int r = survey_crashes(x, scope, false, &going);
        if (r == 0 && scope->project && !scope->held_too)
                r = survey_crashes(x, scope, true, &held);
        if (r == 0)
                r = survey_logs(x, scope, ret);
        ret->crashes = going.crashes;
        ret->blobs = going.blobs;
        ret->blob_bytes = going.blob_bytes;
        ret->held = held.crashes;
        return r;
}

static int add_orphans(void *userdata, sqlite3_stmt *s)
{
        struct index_survey *survey = userdata;
        survey->blobs += index_count(s, 0);
        survey->blob_bytes += index_count(s, 1);
        return 0;
}

int index_survey_orphans(struct index *x, struct index_survey *add)
{
        assert(!x->writable);
        return index_each(x, INDEX_SURVEY_ORPHANS, NO_ARGS, add_orphans, add);
}
