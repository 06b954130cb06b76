/* What retention asks of the index: what is too old, how much there is, what nothing refers to, and their deletion; and what reconcile goes
 * through after an unclean stop. All by index, a bounded number of rows at a time. */
#include <errno.h>

#include "storage/index/index_internal.h"

/* A callback that stops early must not leave the statement's snapshot open behind it. */
static int stop(sqlite3_stmt *s, int r)
{
        sqlite3_reset(s);
        return r;
}

static int each_crash(struct index *x, sqlite3_stmt *s, index_crash_cb cb, void *ud)
{
        int r;
        while ((r = index_step(x, s)) == INDEX_ROW) {
                struct index_expired_crash row = {
                        .id = sqlite3_column_int64(s, 0),
                        .project = index_text(s, 1),
                        .install_id = index_text(s, 2),
                        .crashed_at = index_text(s, 3),
                        .dump_sha256 = index_text(s, 4),
                };
                if (!row.project || !row.install_id || !row.crashed_at || !row.dump_sha256)
                        return stop(s, -ENOMEM);
                r = cb(ud, &row);
                if (r != 0)
                        return stop(s, r);
        }
        return r;
}

int index_expired_crashes(struct index *x, struct moment received_before, unsigned max, index_crash_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_EXPIRED_CRASHES, &s);
        if (r < 0)
                return r;
        index_bind_time(x, s, 1, received_before, INDEX_RECEIVED_DIGITS);
        index_bind_int(s, 2, max);
        return each_crash(x, s, cb, ud);
}

int index_crashes_behind(struct index *x, int64_t id, unsigned max, index_crash_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_CRASHES_BEHIND, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        index_bind_int(s, 2, max);
        return each_crash(x, s, cb, ud);
}

static int each_blob(struct index *x, sqlite3_stmt *s, index_blob_cb cb, void *ud)
{
        int r;
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const char *sha256 = index_text(s, 0);
                r = sha256 ? cb(ud, sha256, (uint64_t)sqlite3_column_int64(s, 1)) : -ENOMEM;
                if (r != 0)
                        return stop(s, r);
        }
        return r;
}

int index_orphan_blobs(struct index *x, unsigned max, index_blob_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_ORPHAN_BLOBS, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, max);
        return each_blob(x, s, cb, ud);
}

int index_blobs_behind(struct index *x, const char *sha256, unsigned max, index_blob_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_BLOBS_BEHIND, &s);
        if (r < 0)
                return r;
        index_bind_copy(x, s, 1, sha256);
        index_bind_int(s, 2, max);
        return each_blob(x, s, cb, ud);
}

static int each_log_file(struct index *x, sqlite3_stmt *s, index_log_file_cb cb, void *ud)
{
        int r;
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

int index_expired_log_files(struct index *x, const char *day_before, unsigned max, index_log_file_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_EXPIRED_LOG_FILES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, day_before);
        index_bind_int(s, 2, max);
        return each_log_file(x, s, cb, ud);
}

int index_newest_log_files(struct index *x, const char *day, int64_t source_id, unsigned max, index_log_file_cb cb,
                           void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_NEWEST_LOG_FILES, &s);
        if (r < 0)
                return r;
        index_bind_copy(x, s, 1, day);
        index_bind_int(s, 2, source_id);
        index_bind_int(s, 3, max);
        return each_log_file(x, s, cb, ud);
}

static uint64_t bytes_in(sqlite3_stmt *s, int column)
{
        int64_t bytes = sqlite3_column_int64(s, column);
        return bytes < 0 ? 0 : (uint64_t)bytes;
}

int index_usage(struct index *x, const char *project, struct index_usage *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_USAGE, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, project);
        *ret = (struct index_usage){ 0 };
        while ((r = index_step(x, s)) == INDEX_ROW)
                *ret = (struct index_usage){ .log_bytes = bytes_in(s, 0), .crash_bytes = bytes_in(s, 1) };
        return r;
}

int index_project_crashes(struct index *x, const char *project, unsigned max, index_crash_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_PROJECT_CRASHES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, project);
        index_bind_int(s, 2, max);
        return each_crash(x, s, cb, ud);
}

int index_project_log_files(struct index *x, const char *project, const char *day_before, unsigned max,
                            index_log_file_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_PROJECT_LOG_FILES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, project);
        index_bind_text(s, 2, day_before);
        index_bind_int(s, 3, max);
        return each_log_file(x, s, cb, ud);
}

int index_plain_log_files(struct index *x, const char *day, int64_t source_id, const char *day_before, unsigned max,
                          index_log_file_cb cb, void *ud)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_PLAIN_LOG_FILES, &s);
        if (r < 0)
                return r;
        index_bind_copy(x, s, 1, day);
        index_bind_int(s, 2, source_id);
        index_bind_text(s, 3, day_before);
        index_bind_int(s, 4, max);
        return each_log_file(x, s, cb, ud);
}

int index_delete_crash(struct index *x, int64_t id)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_DELETE_CRASH, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        return index_run(x, s);
}

int index_delete_blob(struct index *x, const char *sha256)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_DELETE_BLOB, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, sha256);
        return index_run(x, s);
}

int index_delete_log_file(struct index *x, int64_t source_id, const char *day)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_DELETE_LOG_FILE, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, source_id);
        index_bind_text(s, 2, day);
        return index_run(x, s);
}
