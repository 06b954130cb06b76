/* Statements over everything, made and thrown away: they run once in a command, never in the daemon's steady state, so
 * they are not among index_statements.c's, which are held to reading by index alone.
 *
 * Recounting asks for each blob by the indexes that deletion uses. A row's figures come from one statement, and triggers
 * change them within the writer's transaction, so that a difference is one, also beside a daemon under load.
 */
#include "storage/crashes/index_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/crashes/index_internal.h"

#define COPY_PAGES 2000 /* a step of the copy */

static void finalizep(sqlite3_stmt **s)
{
        sqlite3_finalize(*s);
}

static int prepare_once(struct index *x, const char *sql, sqlite3_stmt **ret)
{
        x->bind_failed = false;
        return sqlite3_prepare_v2(x->db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : index_failed(x, sql);
}

/* INDEX_ROW, 0, -errno. */
static int step_once(struct index *x, sqlite3_stmt *s)
{
        if (x->bind_failed)
                return -ENOMEM;
        int r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                return INDEX_ROW;
        return r == SQLITE_DONE ? 0 : index_failed(x, sqlite3_sql(s));
}

static int execute(struct index *x, const char *sql)
{
        return sqlite3_exec(x->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : index_failed(x, sql);
}

/* A statement without rows and with one text. */
static int run_with(struct index *x, const char *sql, const char *text)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(x, sql, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, text);
        return step_once(x, s);
}

static int in_transaction(struct index *x, const char *sql)
{
        if (!sqlite3_get_autocommit(x->db))
                return execute(x, sql);
        int r = index_begin(x);
        if (r == 0)
                r = execute(x, sql);
        if (r == 0)
                r = index_commit(x);
        if (r < 0)
                index_rollback(x);
        return r;
}

/* Columns: what, problem. */
static int each_problem(struct index *x, const char *sql, index_problem_cb cb, void *userdata)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(x, sql, &s);
        while (r == 0 && (r = step_once(x, s)) == INDEX_ROW) {
                const char *what = index_text(s, 0), *problem = index_text(s, 1);
                r = what && problem ? cb(userdata, what, problem) : -ENOMEM;
        }
        return r;
}

struct counted_cb {
        index_problem_cb cb;
        void *userdata;
        unsigned n;
};

static int count_and_tell(void *userdata, const char *what, const char *problem)
{
        struct counted_cb *c = userdata;
        c->n++;
        return c->cb(c->userdata, what, problem);
}

/* SQLite before 3.41 takes the whole check for one of a single table when the first entry of its hash of tables is a view.
 * Then it passes over the list of free pages, which it does not when asked for the one table of the schema itself, and
 * over pages that nothing uses, which do no harm. */
#define INTEGRITY(of)                                                                                                  \
        "SELECT 'detritus.db', replace(replace(integrity_check, '*** in database main ***' || char(10), ''),"          \
        " char(10), '; ') FROM pragma_integrity_check(" of ") WHERE integrity_check <> 'ok'"

/* Rows are only looked at where the pages are well. The check looks at CHECK constraints, which call json_valid(): see
 * configure_writer() in index_open.c. */
int index_check_database(struct index *x, index_problem_cb cb, void *userdata)
{
        struct counted_cb counted = { .cb = cb, .userdata = userdata };
        int trusted = 0;
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted);
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
        int r = each_problem(x, INTEGRITY("100"), count_and_tell, &counted);
        if (r == 0 && counted.n == 0)
                r = each_problem(x, INTEGRITY("'sqlite_schema'"), count_and_tell, &counted);
        if (r == 0 && counted.n == 0)
                r = each_problem(x,
                                 "SELECT \"table\", 'a row names a ' || parent || ' that is not there: ' || count(*)"
                                 " FROM pragma_foreign_key_check GROUP BY \"table\", parent",
                                 cb, userdata);
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, trusted, NULL);
        return r;
}

/* CROSS JOIN: left to itself, SQLite would begin with all crashes of the project, for each blob. */
int index_count_blobs(struct index *x, const char *sha256, unsigned max, index_blob_count_cb cb, void *userdata)
{
        static const char sql[] =
                "SELECT sha256, len, refs,"
                " (SELECT count(*) FROM crash WHERE dump_sha256 = blob.sha256)"
                " + (SELECT count(*) FROM attachment AS a WHERE a.sha256 = blob.sha256),"
                " (SELECT coalesce(sum(uses), 0) FROM blob_use AS u WHERE u.sha256 = blob.sha256),"
                " (SELECT count(*) FROM blob_use AS u WHERE u.sha256 = blob.sha256 AND u.uses <>"
                "   (SELECT count(*) FROM crash WHERE dump_sha256 = u.sha256 AND source_project = u.project)"
                "   + (SELECT count(*) FROM attachment AS a CROSS JOIN crash ON crash.id = a.crash_id"
                "       WHERE a.sha256 = u.sha256 AND crash.source_project = u.project))"
                " FROM blob WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2";
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(x, sql, &s);
        if (r < 0)
                return r;
        index_bind_copy(x, s, 1, sha256);
        index_bind_int(s, 2, max);
        while (r == 0 && (r = step_once(x, s)) == INDEX_ROW) {
                struct index_blob_count count = {
                        .sha256 = index_text(s, 0),
                        .len = (uint64_t)sqlite3_column_int64(s, 1),
                        .refs = sqlite3_column_int64(s, 2),
                        .counted = sqlite3_column_int64(s, 3),
                        .in_blob_use = sqlite3_column_int64(s, 4),
                        .wrong_blob_use = sqlite3_column_int64(s, 5),
                };
                r = count.sha256 ? cb(userdata, &count) : -ENOMEM;
        }
        return r;
}

/* A project without a row counts as zero, as it does for caps. '' is all together. */
#define COUNTED_USAGE                                                                                                  \
        "counted (project, log_bytes, crash_bytes) AS ("                                                               \
        " SELECT project, sum(log_bytes), sum(crash_bytes) FROM ("                                                     \
        "  SELECT source_project AS project, bytes AS log_bytes, 0 AS crash_bytes FROM log_file"                       \
        "  UNION ALL SELECT '', bytes, 0 FROM log_file"                                                                \
        "  UNION ALL SELECT p.project, 0, blob.len FROM (SELECT DISTINCT sha256, project FROM uses) AS p"              \
        "   JOIN blob ON blob.sha256 = p.sha256"                                                                       \
        "  UNION ALL SELECT '', 0, len FROM blob WHERE sha256 IN (SELECT sha256 FROM uses)"                            \
        "  UNION ALL SELECT project, 0, 0 FROM usage"                                                                  \
        " ) GROUP BY project)"
#define USES                                                                                                           \
        "uses (sha256, project) AS ("                                                                                  \
        " SELECT dump_sha256, source_project FROM crash"                                                               \
        " UNION ALL SELECT attachment.sha256, crash.source_project FROM attachment"                                    \
        "  JOIN crash ON crash.id = attachment.crash_id)"

#define COUNTED_CRASHES                                                                                                \
        "counted (project, crashes) AS (SELECT project, sum(n) FROM ("                                                 \
        " SELECT source_project AS project, count(*) AS n FROM crash GROUP BY source_project"                          \
        " UNION ALL SELECT '', count(*) FROM crash UNION ALL SELECT project, 0 FROM crash_count) GROUP BY project)"

int index_check_usage(struct index *x, index_problem_cb cb, void *userdata)
{
        static const char sql[] =
                "WITH " USES ", " COUNTED_USAGE
                " SELECT iif(counted.project = '', 'usage of all', 'usage of ' || counted.project),"
                " printf('log_bytes %d, counted %d; crash_bytes %d, counted %d', coalesce(usage.log_bytes, 0),"
                "  counted.log_bytes, coalesce(usage.crash_bytes, 0), counted.crash_bytes)"
                " FROM counted LEFT JOIN usage ON usage.project = counted.project"
                " WHERE coalesce(usage.log_bytes, 0) <> counted.log_bytes"
                " OR coalesce(usage.crash_bytes, 0) <> counted.crash_bytes";
        int r = each_problem(x, sql, cb, userdata);
        return r == 0 ? each_problem(x,
                                     "WITH " COUNTED_CRASHES
                                     " SELECT iif(counted.project = '', 'crash_count of all', 'crash_count of ' ||"
                                     " counted.project), printf('%d, counted %d', coalesce(c.crashes, 0),"
                                     " counted.crashes) FROM counted LEFT JOIN crash_count AS c"
                                     " ON c.project = counted.project WHERE coalesce(c.crashes, 0) <> counted.crashes",
                                     cb, userdata)
                      : r;
}

/* Triggers go from refs and uses to usage, as though what was there had been right: so usage is to be recounted after. */
int index_recount_blob(struct index *x, const char *sha256)
{
        static const char *const sql[] = {
                "UPDATE blob SET refs = (SELECT count(*) FROM crash WHERE dump_sha256 = ?1)"
                " + (SELECT count(*) FROM attachment AS a WHERE a.sha256 = ?1) WHERE sha256 = ?1",
                "DELETE FROM blob_use WHERE sha256 = ?1",
                "INSERT INTO blob_use (sha256, project, uses) SELECT ?1, project, count(*) FROM"
                " (SELECT source_project AS project FROM crash WHERE dump_sha256 = ?1"
                "  UNION ALL SELECT crash.source_project FROM attachment AS a CROSS JOIN crash ON crash.id = a.crash_id"
                "  WHERE a.sha256 = ?1) GROUP BY project",
        };
        bool alone = sqlite3_get_autocommit(x->db);
        int r = alone ? index_begin(x) : 0;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(sql); i++)
                r = run_with(x, sql[i], sha256);
        if (r == 0 && alone)
                r = index_commit(x);
        if (r < 0 && alone)
                index_rollback(x);
        return r;
}

int index_recount_usage(struct index *x)
{
        return in_transaction(x, "WITH " USES ", " COUNTED_USAGE " INSERT INTO usage (project, log_bytes, crash_bytes)"
                                 " SELECT project, log_bytes, crash_bytes FROM counted WHERE true ON CONFLICT (project)"
                                 " DO UPDATE SET log_bytes = excluded.log_bytes, crash_bytes = excluded.crash_bytes;"
                                 "WITH " COUNTED_CRASHES " INSERT INTO crash_count (project, crashes)"
                                 " SELECT project, crashes FROM counted WHERE true ON CONFLICT (project)"
                                 " DO UPDATE SET crashes = excluded.crashes");
}

int index_find_blob(struct index *x, const char *sha256, uint64_t *ret_len)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(x, "SELECT len FROM blob WHERE sha256 = ?1", &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, sha256);
        r = step_once(x, s);
        if (r != INDEX_ROW)
                return r < 0 ? r : -ENOENT;
        *ret_len = (uint64_t)sqlite3_column_int64(s, 0);
        return 0;
}

#define LOG_ROW                                                                                                        \
        "SELECT log_file.source_id, source.project, source.install_id, log_file.day, log_file.bytes,"                  \
        " log_file.compressed FROM log_file JOIN source ON source.id = log_file.source_id"

static int each_log_row(struct index *x, sqlite3_stmt *s, index_log_row_cb cb, void *userdata, unsigned *ret_n)
{
        int r = 0;
        *ret_n = 0;
        while (r == 0 && (r = step_once(x, s)) == INDEX_ROW) {
                struct index_log_row row = {
                        .source_id = sqlite3_column_int64(s, 0),
                        .project = index_text(s, 1),
                        .install_id = index_text(s, 2),
                        .day = index_text(s, 3),
                        .bytes = (uint64_t)sqlite3_column_int64(s, 4),
                        .compressed = sqlite3_column_int(s, 5) != 0,
                };
                r = row.project && row.install_id && row.day ? cb(userdata, &row) : -ENOMEM;
                ++*ret_n;
        }
        return r;
}

int index_log_files_behind(struct index *x, const char *day, int64_t source_id, unsigned max, index_log_row_cb cb,
                           void *userdata)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        unsigned n;
        int r = prepare_once(x,
                             LOG_ROW " WHERE (log_file.day, log_file.source_id) > (?1, ?2)"
                                     " ORDER BY log_file.day, log_file.source_id LIMIT ?3",
                             &s);
        if (r < 0)
                return r;
        index_bind_copy(x, s, 1, day);
        index_bind_int(s, 2, source_id);
        index_bind_int(s, 3, max);
        return each_log_row(x, s, cb, userdata, &n);
}

int index_find_log_file(struct index *x, const struct source *source, const char *day, index_log_row_cb cb,
                        void *userdata)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        unsigned n;
        int r = prepare_once(x, LOG_ROW " WHERE source.project = ?1 AND source.install_id = ?2 AND log_file.day = ?3",
                             &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, source->project);
        index_bind_text(s, 2, source->install_id);
        index_bind_text(s, 3, day);
        r = each_log_row(x, s, cb, userdata, &n);
        return r == 0 && n == 0 ? -ENOENT : r;
}

int index_mark_plain(struct index *x, int64_t source_id, const char *day, uint64_t bytes)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(
                x, "UPDATE log_file SET bytes = ?3, lines = NULL, compressed = 0 WHERE source_id = ?1 AND day = ?2",
                &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, source_id);
        index_bind_text(s, 2, day);
        index_bind_int(s, 3, (int64_t)bytes);
        return step_once(x, s);
}

int index_count_all(struct index *x, struct index_totals *ret)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(x,
                             "SELECT (SELECT count(*) FROM crash), (SELECT count(*) FROM blob),"
                             " (SELECT count(*) FROM log_file), (SELECT count(*) FROM source)",
                             &s);
        if (r == 0)
                r = step_once(x, s);
        if (r != INDEX_ROW)
                return r < 0 ? r : -EPROTO;
        *ret = (struct index_totals){
                .crashes = (uint64_t)sqlite3_column_int64(s, 0),
                .blobs = (uint64_t)sqlite3_column_int64(s, 1),
                .log_files = (uint64_t)sqlite3_column_int64(s, 2),
                .sources = (uint64_t)sqlite3_column_int64(s, 3),
        };
        return 0;
}

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
        int r = execute(x, "BEGIN");
        if (r == 0)
                r = execute(x, "SELECT 1 FROM sqlite_schema LIMIT 1"); /* here the snapshot begins */
        if (r < 0)
                return r;
        if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK)
                r = copy_pages(x, to, progress, userdata);
        else
                r = -EIO;
        sqlite3_close(to);
        execute(x, "COMMIT");
        return r;
}

int index_forget_blob(struct index *x, const char *sha256)
{
        int r = run_with(x,
                         "DELETE FROM crash WHERE dump_sha256 = ?1"
                         " OR id IN (SELECT crash_id FROM attachment WHERE attachment.sha256 = ?1)",
                         sha256);
        return r == 0 ? run_with(x, "DELETE FROM blob WHERE sha256 = ?1", sha256) : r;
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
        return execute(x, "PRAGMA journal_mode = DELETE");
}

static int attach(struct index *x, const char *path)
{
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int r = prepare_once(x, "ATTACH ?1 AS other", &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, path);
        return step_once(x, s);
}

int index_take_over(struct index *x, const char *other_path)
{
        static const char sql[] =
                "UPDATE crash SET (received_at, held) = (SELECT min(o.received_at, crash.received_at),"
                "  max(o.held, crash.held) FROM other.crash AS o"
                "  JOIN other.source AS os ON os.id = o.source_id JOIN source AS s ON s.project = os.project"
                "  AND s.install_id = os.install_id WHERE s.id = crash.source_id AND o.source_id = os.id"
                "  AND o.crashed_at = crash.crashed_at AND o.dump_sha256 = crash.dump_sha256)"
                " WHERE EXISTS (SELECT 1 FROM other.crash AS o JOIN other.source AS os ON os.id = o.source_id"
                "  JOIN source AS s ON s.project = os.project AND s.install_id = os.install_id"
                "  WHERE s.id = crash.source_id AND o.source_id = os.id AND o.crashed_at = crash.crashed_at"
                "  AND o.dump_sha256 = crash.dump_sha256);"
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
                " last_seen_at = max(last_seen_at, excluded.last_seen_at)";
        int r = attach(x, other_path);
        if (r < 0)
                return r;
        r = in_transaction(x, sql);
        execute(x, "DETACH other");
        return r;
}
