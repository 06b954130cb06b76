/* What operators have done: deletions by id, by project or by source, holding, and the surveys that say beforehand what a
 * deletion would delete. The surveys are the only statements that sort: they look at what would go, and run beside the
 * index writer on a read-only connection. */
#include <errno.h>
#include <stdio.h>

#include "storage/index/index_internal.h"

static int stop(sqlite3_stmt *s, int r)
{
        sqlite3_reset(s);
        return r;
}

static int hand_out_crash(sqlite3_stmt *s, index_crash_cb cb, void *ud)
{
        const struct index_expired_crash row = {
                .id = sqlite3_column_int64(s, 0),
                .project = index_text(s, 1),
                .install_id = index_text(s, 2),
                .crashed_at = index_text(s, 3),
                .dump_sha256 = index_text(s, 4),
        };
        return row.project && row.install_id && row.crashed_at && row.dump_sha256 ? cb(ud, &row) : -ENOMEM;
}

int index_crash_by_id(struct index *x, int64_t id, index_crash_cb cb, void *ud, bool *ret_held)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_CRASH_BY_ID, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        r = index_step(x, s);
        if (r != INDEX_ROW)
                return r < 0 ? r : -ENOENT;
        *ret_held = sqlite3_column_int(s, 5) != 0;
        return stop(s, hand_out_crash(s, cb, ud));
}

int index_set_held(struct index *x, int64_t id, bool held)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_SET_HELD, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        index_bind_int(s, 2, held);
        return index_run(x, s);
}

int index_purge_crashes(struct index *x, const struct index_scope *scope, unsigned max, index_crash_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, scope->install_id ? INDEX_PURGE_SOURCE : INDEX_PURGE_PROJECT, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, scope->project);
        if (scope->install_id)
                index_bind_text(s, 2, scope->install_id);
        index_bind_time(x, s, 3, scope->received_before, INDEX_RECEIVED_DIGITS);
        index_bind_int(s, 4, scope->held_too);
        index_bind_int(s, 5, max);
        while ((r = index_step(x, s)) == INDEX_ROW) {
                r = hand_out_crash(s, cb, ud);
                if (r != 0)
                        return stop(s, r);
        }
        return r;
}

int index_purge_log_files(struct index *x, const struct index_scope *scope, unsigned max, index_log_file_cb cb,
                          void *ud)
{
        sqlite3_stmt *s;
        if (!scope->install_id)
                return index_project_log_files(x, scope->project, scope->day_before, max, cb, ud);
        int r = index_prepare(x, INDEX_SOURCE_LOG_FILES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, scope->project);
        index_bind_text(s, 2, scope->install_id);
        index_bind_text(s, 3, scope->day_before);
        index_bind_int(s, 4, max);
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const char *project = index_text(s, 1), *install_id = index_text(s, 2), *day = index_text(s, 3);
                if (!project || !install_id || !day)
                        return stop(s, -ENOMEM);
                r = cb(ud, sqlite3_column_int64(s, 0), project, install_id, day, (uint64_t)sqlite3_column_int64(s, 4));
                if (r != 0)
                        return stop(s, r);
        }
        return r;
}

int index_project_sources(struct index *x, const char *project, const char *install_id, unsigned max, index_text_cb cb,
                          void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_PROJECT_SOURCES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, project);
        index_bind_text(s, 2, install_id);
        index_bind_int(s, 3, max);
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const char *text = index_text(s, 0);
                r = text ? cb(ud, text) : -ENOMEM;
                if (r != 0)
                        return stop(s, r);
        }
        return r;
}

int index_delete_source(struct index *x, const char *project, const char *install_id, bool *ret_deleted)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_DELETE_SOURCE, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, project);
        index_bind_text(s, 2, install_id);
        r = index_run(x, s);
        if (r == 0)
                *ret_deleted = sqlite3_changes(x->db) > 0;
        return r;
}

/* ---- surveys ---- */

static uint64_t number(sqlite3_stmt *s, int column)
{
        int64_t n = sqlite3_column_int64(s, column);
        return n < 0 ? 0 : (uint64_t)n;
}

static void bind_scope(struct index *x, sqlite3_stmt *s, const struct index_scope *scope)
{
        if (scope->project)
                index_bind_text(s, 1, scope->project);
        if (scope->install_id)
                index_bind_text(s, 2, scope->install_id);
        (void)x;
}

/* held: only those that are. */
static int survey_crashes(struct index *x, const struct index_scope *scope, bool held, uint64_t ret[3])
{
        sqlite3_stmt *s;
        int r = index_prepare(x,
                              !scope->project     ? INDEX_SURVEY_EXPIRED
                              : scope->install_id ? INDEX_SURVEY_SOURCE
                                                  : INDEX_SURVEY_PROJECT,
                              &s);
        if (r < 0)
                return r;
        bind_scope(x, s, scope);
        index_bind_time(x, s, 3, scope->received_before, INDEX_RECEIVED_DIGITS);
        index_bind_int(s, 4, held || scope->held_too);
        if (scope->project)
                index_bind_int(s, 5, held);
        while ((r = index_step(x, s)) == INDEX_ROW) {
                for (int i = 0; i < 3; i++)
                        ret[i] = number(s, i);
        }
        return r;
}

static int survey_logs(struct index *x, const struct index_scope *scope, struct index_survey *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x,
                              !scope->project     ? INDEX_SURVEY_LOGS
                              : scope->install_id ? INDEX_SURVEY_SOURCE_LOGS
                                                  : INDEX_SURVEY_PROJECT_LOGS,
                              &s);
        if (r < 0)
                return r;
        bind_scope(x, s, scope);
        index_bind_text(s, 3, scope->day_before);
        while ((r = index_step(x, s)) == INDEX_ROW) {
                ret->log_files = number(s, 0);
                ret->log_bytes = number(s, 1);
        }
        return r;
}

int index_survey(struct index *x, const struct index_scope *scope, struct index_survey *ret)
{
        uint64_t going[3] = { 0 }, held[3] = { 0 };
        *ret = (struct index_survey){ 0 };
        int r = survey_crashes(x, scope, false, going);
        if (r == 0 && scope->project && !scope->held_too)
                r = survey_crashes(x, scope, true, held);
        if (r == 0)
                r = survey_logs(x, scope, ret);
        ret->crashes = going[0];
        ret->blobs = going[1];
        ret->blob_bytes = going[2];
        ret->held = held[0];
        return r;
}

int index_survey_orphans(struct index *x, struct index_survey *add)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_SURVEY_ORPHANS, &s);
        if (r < 0)
                return r;
        while ((r = index_step(x, s)) == INDEX_ROW) {
                add->blobs += number(s, 1);
                add->blob_bytes += number(s, 2);
        }
        return r;
}

int index_counts(struct index *x, unsigned max, struct moment since, struct index_counts *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_COUNTS, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, max);
        index_bind_time(x, s, 2, since, INDEX_RECEIVED_DIGITS);
        *ret = (struct index_counts){ 0 };
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const char *newest = index_text(s, 3);
                ret->crashes = number(s, 0);
                ret->sources = number(s, 1);
                ret->crashes_since = number(s, 2);
                snprintf(ret->newest, sizeof(ret->newest), "%s", newest ? newest : "");
        }
        return r;
}

static int each_activity(struct index *x, sqlite3_stmt *s, index_activity_cb cb, void *ud)
{
        int r;
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const struct index_activity row = { .project = index_text(s, 0),
                                                    .install_id = index_text(s, 1),
                                                    .bytes = number(s, 2),
                                                    .lines = number(s, 3),
                                                    .crashes = number(s, 4) };
                r = row.project && row.install_id ? cb(ud, &row) : -ENOMEM;
                if (r != 0)
                        return stop(s, r);
        }
        return r;
}

int index_log_activity(struct index *x, const char *day, unsigned max, index_activity_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_LOG_ACTIVITY, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, day);
        index_bind_int(s, 2, max);
        return each_activity(x, s, cb, ud);
}

int index_crash_activity(struct index *x, struct moment since, unsigned max, index_activity_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_CRASH_ACTIVITY, &s);
        if (r < 0)
                return r;
        index_bind_time(x, s, 1, since, INDEX_RECEIVED_DIGITS);
        index_bind_int(s, 2, max);
        return each_activity(x, s, cb, ud);
}
