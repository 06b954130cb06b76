/* Copies of a database, and what one takes over from another. */
#include <errno.h>

#include "storage/index/index_check.h"
#include "storage/index/index_check_internal.h"

#define COPY_PAGES 2000     /* a step of the copy */
#define TAKE_OVER_IDS 10000 /* in one statement */

/* In a read transaction of its own, the source stays as it was at the first step, and the copy never begins anew. */
static int copy_pages(struct index *x, sqlite3 *to, index_progress progress, void *userdata)
{
        sqlite3_backup *b = sqlite3_backup_init(to, "main", x->db, "main");
        if (!b)
                return -ENOMEM;
        int r;
        while ((r = sqlite3_backup_step(b, COPY_PAGES)) == SQLITE_OK) {
                uint64_t all = (uint64_t)sqlite3_backup_pagecount(b);
                if (progress)
                        progress(userdata, all - (uint64_t)sqlite3_backup_remaining(b), all);
        }
        sqlite3_backup_finish(b);
        if (r == SQLITE_DONE)
                return 0;
        return (r & 0xFF) == SQLITE_FULL ? -ENOSPC : (r & 0xFF) == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

int index_copy_to(struct index *x, const char *path, index_progress progress, void *userdata)
{
        sqlite3 *to = NULL;
        int r = index_execute(x, "BEGIN");
        if (r == 0)
                r = index_execute(x, "SELECT 1 FROM sqlite_schema LIMIT 1"); /* here the snapshot begins */
        if (r < 0)
                return r;
        if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK)
                r = copy_pages(x, to, progress, userdata);
        else
                r = -EIO;
        sqlite3_close(to);
        index_execute(x, "COMMIT");
        return r;
}

int index_forget_blob(struct index *x, const char *sha256)
{
        int r = index_run_with(
                x,
                "DELETE FROM crash WHERE dump_id = (SELECT id FROM blob WHERE sha256 = ?1) OR id IN (SELECT"
                " crash_id FROM attachment JOIN blob ON blob.id = blob_id WHERE blob.sha256 = ?1)",
                sha256);
        return r == 0 ? index_run_with(x, "DELETE FROM blob WHERE sha256 = ?1", sha256) : r;
}

int index_checkpoint_whole(struct index *x)
{
        return sqlite3_wal_checkpoint_v2(x->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK
                       ? 0
                       : index_failed(x, "checkpoint");
}

int index_leave_wal(struct index *x)
{
        x->writable = false; /* no checkpoint when it is closed: there is nothing left to do */
        return index_execute(x, "PRAGMA journal_mode = DELETE");
}

static int attach(struct index *x, const char *path)
{
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(x, "ATTACH ?1 AS other", &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, path);
        return index_step_once(x, s);
}

/* By ranges of ids: what a statement that fails would put back is kept in memory. */
static int take_over_crashes(struct index *x)
{
        static const char sql[] =
                "UPDATE crash SET (received_at, held) = (SELECT min(o.received_at, crash.received_at),"
                "  max(o.held, crash.held) FROM other.crash AS o"
                "  JOIN other.source AS os ON os.id = o.source_id JOIN source AS s ON s.project = os.project"
                "  AND s.install_id = os.install_id WHERE s.id = crash.source_id AND o.source_id = os.id"
                "  AND o.crashed_at = crash.crashed_at AND o.dump_sha256 = crash.dump_sha256)"
                " WHERE crash.id BETWEEN ?1 AND ?2 AND EXISTS (SELECT 1 FROM other.crash AS o"
                "  JOIN other.source AS os ON os.id = o.source_id JOIN source AS s ON s.project = os.project"
                "  AND s.install_id = os.install_id WHERE s.id = crash.source_id AND o.source_id = os.id"
                "  AND o.crashed_at = crash.crashed_at AND o.dump_sha256 = crash.dump_sha256"
                "  AND (o.received_at < crash.received_at OR o.held > crash.held))";
        _cleanup_(index_finalizep) sqlite3_stmt *last = NULL, *update = NULL;
        int r = index_prepare_once(x, "SELECT coalesce(max(id), 0) FROM crash", &last);
        if (r == 0 && (r = index_step_once(x, last)) == INDEX_ROW)
                r = index_prepare_once(x, sql, &update);
        int64_t end = r == 0 ? sqlite3_column_int64(last, 0) : 0;
        for (int64_t id = 1; r == 0 && id <= end; id += TAKE_OVER_IDS) {
                index_bind_int(update, 1, id);
                index_bind_int(update, 2, id + TAKE_OVER_IDS - 1);
                r = index_step_once(x, update);
                sqlite3_reset(update);
        }
        return r;
}

static int take_over_rest(struct index *x)
{
        return index_execute(
                x,
                "UPDATE log_file SET lines = (SELECT o.lines FROM other.log_file AS o"
                "  JOIN other.source AS os ON os.id = o.source_id JOIN source AS s ON s.project = os.project"
                "  AND s.install_id = os.install_id WHERE s.id = log_file.source_id AND o.day = log_file.day"
                "  AND o.bytes = log_file.bytes AND o.compressed = log_file.compressed) WHERE lines IS NULL;"
                "INSERT INTO source (project, install_id, platform, version, first_seen_at, last_seen_at)"
                " SELECT project, install_id, platform, version, first_seen_at, last_seen_at FROM other.source"
                " WHERE true ON CONFLICT (project, install_id) DO UPDATE SET"
                " platform = iif(excluded.platform <> '' AND (platform = '' OR excluded.last_seen_at >= last_seen_at),"
                "                excluded.platform, platform),"
                " version = iif(excluded.version <> '' AND (version = '' OR excluded.last_seen_at >= last_seen_at),"
                "               excluded.version, version),"
                " first_seen_at = min(first_seen_at, excluded.first_seen_at),"
                " last_seen_at = max(last_seen_at, excluded.last_seen_at)");
}

int index_take_over(struct index *x, const char *copy_path)
{
        int r = attach(x, copy_path);
        if (r < 0)
                return r;
        r = index_begin(x);
        if (r == 0)
                r = take_over_crashes(x);
        if (r == 0)
                r = take_over_rest(x);
        if (r == 0)
                r = index_commit(x);
        if (r < 0)
                index_rollback(x);
        index_execute(x, "DETACH other");
        return r;
}
