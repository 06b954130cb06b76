/* Statements over everything, made and thrown away: they run once in a command, never in the daemon's steady state, so
 * they are not among index_statements.c's, which are held to reading by index alone.
 *
 * Recounting asks for each blob by the indexes that deletion uses. A row's figures come from one statement, and triggers
 * change them within the writer's transaction, so that a difference is one, also beside a daemon under load.
 */
#include "storage/index/index_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_check_internal.h"

void index_finalizep(sqlite3_stmt **s)
{
        sqlite3_finalize(*s);
}

int index_prepare_once(struct index *x, const char *sql, sqlite3_stmt **ret)
{
        x->bind_failed = false;
        return sqlite3_prepare_v2(x->db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : index_failed(x, sql);
}

int index_step_once(struct index *x, sqlite3_stmt *s)
{
        if (x->bind_failed)
                return -ENOMEM;
        int r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                return INDEX_ROW;
        return r == SQLITE_DONE ? 0 : index_failed(x, sqlite3_sql(s));
}

int index_execute(struct index *x, const char *sql)
{
        return sqlite3_exec(x->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : index_failed(x, sql);
}

int index_run_with(struct index *x, const char *sql, const char *text)
{
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(x, sql, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, text);
        return index_step_once(x, s);
}

int index_in_transaction(struct index *x, const char *sql)
{
        if (!sqlite3_get_autocommit(x->db))
                return index_execute(x, sql);
        int r = index_begin(x);
        if (r == 0)
                r = index_execute(x, sql);
        if (r == 0)
                r = index_commit(x);
        if (r < 0)
                index_rollback(x);
        return r;
}

/* Columns: what, problem. */
static int each_problem(struct index *x, const char *sql, index_problem_cb cb, void *userdata)
{
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(x, sql, &s);
        while (r == 0 && (r = index_step_once(x, s)) == INDEX_ROW) {
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
        static const char sql[] = "SELECT sha256, len, refs,"
                                  " (SELECT count(*) FROM crash WHERE dump_id = blob.id)"
                                  " + (SELECT count(*) FROM attachment AS a WHERE a.blob_id = blob.id),"
                                  " (SELECT coalesce(sum(uses), 0) FROM blob_use AS u WHERE u.blob_id = blob.id),"
                                  " (SELECT count(*) FROM blob_use AS u WHERE u.blob_id = blob.id AND u.uses <>"
                                  "   (SELECT count(*) FROM crash"
                                  "     WHERE dump_id = u.blob_id AND source_project = u.project)"
                                  "   + (SELECT count(*) FROM attachment AS a CROSS JOIN crash ON crash.id = a.crash_id"
                                  "       WHERE a.blob_id = u.blob_id AND crash.source_project = u.project))"
                                  " FROM blob WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2";
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(x, sql, &s);
        if (r < 0)
                return r;
        index_bind_copy(x, s, 1, sha256);
        index_bind_int(s, 2, max);
        while (r == 0 && (r = index_step_once(x, s)) == INDEX_ROW) {
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
        "  UNION ALL SELECT p.project, 0, blob.len FROM (SELECT DISTINCT blob_id, project FROM uses) AS p"             \
        "   JOIN blob ON blob.id = p.blob_id"                                                                          \
        "  UNION ALL SELECT '', 0, len FROM blob WHERE id IN (SELECT blob_id FROM uses)"                               \
        "  UNION ALL SELECT project, 0, 0 FROM usage"                                                                  \
        " ) GROUP BY project)"
#define USES                                                                                                           \
        "uses (blob_id, project) AS ("                                                                                 \
        " SELECT dump_id, source_project FROM crash"                                                                   \
        " UNION ALL SELECT attachment.blob_id, crash.source_project FROM attachment"                                   \
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

#define BLOB_ID "(SELECT id FROM blob WHERE sha256 = ?1)"

/* Triggers go from refs and uses to usage, as though what was there had been right: so usage is to be recounted after. */
int index_recount_blob(struct index *x, const char *sha256)
{
        static const char *const sql[] = {
                "UPDATE blob SET refs = (SELECT count(*) FROM crash WHERE dump_id = blob.id)"
                " + (SELECT count(*) FROM attachment AS a WHERE a.blob_id = blob.id) WHERE sha256 = ?1",
                "DELETE FROM blob_use WHERE blob_id = " BLOB_ID,
                "INSERT INTO blob_use (blob_id, project, uses) SELECT " BLOB_ID ", project, count(*) FROM"
                " (SELECT source_project AS project FROM crash WHERE dump_id = " BLOB_ID
                "  UNION ALL SELECT crash.source_project FROM attachment AS a CROSS JOIN crash ON crash.id = a.crash_id"
                "  WHERE a.blob_id = " BLOB_ID ") GROUP BY project",
        };
        bool alone = sqlite3_get_autocommit(x->db);
        int r = alone ? index_begin(x) : 0;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(sql); i++)
                r = index_run_with(x, sql[i], sha256);
        if (r == 0 && alone)
                r = index_commit(x);
        if (r < 0 && alone)
                index_rollback(x);
        return r;
}

/* What has to be sorted is as large as all uses are, so that it goes to files, unlike a writer's other statements. (SQLite
 * refuses that inside a transaction of a connection that has temporary tables open, as integrity_check leaves it.) */
int index_recount_usage(struct index *x)
{
        static const char sql[] =
                "WITH " USES ", " COUNTED_USAGE " INSERT INTO usage (project, log_bytes, crash_bytes)"
                " SELECT project, log_bytes, crash_bytes FROM counted WHERE true ON CONFLICT (project)"
                " DO UPDATE SET log_bytes = excluded.log_bytes, crash_bytes = excluded.crash_bytes;"
                "WITH " COUNTED_CRASHES " INSERT INTO crash_count (project, crashes)"
                " SELECT project, crashes FROM counted WHERE true ON CONFLICT (project)"
                " DO UPDATE SET crashes = excluded.crashes";
        sqlite3_exec(x->db, "PRAGMA temp_store = FILE", NULL, NULL, NULL);
        int r = index_in_transaction(x, sql);
        sqlite3_exec(x->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
        return r;
}

int index_find_blob(struct index *x, const char *sha256, uint64_t *ret_len)
{
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(x, "SELECT len FROM blob WHERE sha256 = ?1", &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, sha256);
        r = index_step_once(x, s);
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
        while (r == 0 && (r = index_step_once(x, s)) == INDEX_ROW) {
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
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        unsigned n;
        int r = index_prepare_once(x,
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
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        unsigned n;
        int r = index_prepare_once(
                x, LOG_ROW " WHERE source.project = ?1 AND source.install_id = ?2 AND log_file.day = ?3", &s);
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
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(
                x, "UPDATE log_file SET bytes = ?3, lines = NULL, compressed = 0 WHERE source_id = ?1 AND day = ?2",
                &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, source_id);
        index_bind_text(s, 2, day);
        index_bind_int(s, 3, (int64_t)bytes);
        return index_step_once(x, s);
}

int index_count_all(struct index *x, struct index_totals *ret)
{
        _cleanup_(index_finalizep) sqlite3_stmt *s = NULL;
        int r = index_prepare_once(x,
                                   "SELECT (SELECT count(*) FROM crash), (SELECT count(*) FROM blob),"
                                   " (SELECT count(*) FROM log_file), (SELECT count(*) FROM source)",
                                   &s);
        if (r == 0)
                r = index_step_once(x, s);
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
