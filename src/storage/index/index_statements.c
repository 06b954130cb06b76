/* Every statement this program runs on the index. A test explains each of them and refuses one that reads a whole
 * table. */
#include "storage/index/index_internal.h"

/* Crashes that would go, and the blobs that nothing else uses. */
#define SURVEY(which)                                                                                                  \
        "WITH gone AS MATERIALIZED (SELECT crash.id, crash.dump_id FROM crash WHERE " which "),"                       \
        " uses AS (SELECT dump_id AS blob_id FROM gone"                                                                \
        "  UNION ALL SELECT attachment.blob_id FROM gone JOIN attachment ON attachment.crash_id = gone.id),"           \
        " counted AS (SELECT blob_id, count(*) AS n FROM uses GROUP BY blob_id)"                                       \
        " SELECT (SELECT count(*) FROM gone), count(*), coalesce(sum(blob.len), 0)"                                    \
        " FROM counted JOIN blob ON blob.id = counted.blob_id WHERE blob.refs = counted.n"

#define SOURCE_ID "(SELECT id FROM source WHERE project = ?1 AND install_id = ?2)"

/* Lists of crashes, the newest receipt first. Each walk goes along one index; ?1 is what it is the index of. The rest of
 * the filters are looked at entry by entry, in the index where it has their columns; those that are NULL cost nothing. INDEXED BY, because
 * without statistics the planner cannot know which of two filters leaves less; index_list.c does.
 *
 * ?2 .. (?3, ?4): between which (received_at, id); the latter itself is out. ?10: is panic_text wanted? */
#define WALK_FILTERS                                                                                                   \
        " AND (?5 IS NULL OR crash.source_project = ?5) AND (?6 IS NULL OR crash.version = ?6)"                        \
        " AND (?7 IS NULL OR crash.platform = ?7) AND (?8 IS NULL OR crash.kind = ?8)"                                 \
        " AND (?9 IS NULL OR crash.source_id IN (SELECT id FROM source WHERE install_id = ?9))"
#define WALK(index, which)                                                                                             \
        "SELECT crash.id, crash.received_at, iif(?10, crash.panic_text, NULL) FROM crash INDEXED BY " index            \
        " WHERE " which " AND crash.received_at >= ?2 AND crash.received_at <= ?3"                                     \
        " AND (crash.received_at < ?3 OR crash.id < ?4)" WALK_FILTERS                                                  \
        " ORDER BY crash.received_at DESC, crash.id DESC"
/* How many are between, but no more than ?4. */
#define COUNT(index, which)                                                                                            \
        "SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY " index " WHERE " which                                  \
        " AND received_at >= ?2 AND received_at <= ?3 LIMIT ?4)"
#define OF_INSTALL "source_id IN (SELECT id FROM source WHERE install_id = ?1 AND (?5 IS NULL OR project = ?5))"

const char *const index_statements[INDEX_STATEMENT_MAX_] = {
        [INDEX_BEGIN] = "BEGIN IMMEDIATE",
        [INDEX_COMMIT] = "COMMIT",
        [INDEX_ROLLBACK] = "ROLLBACK",
        [INDEX_SAVEPOINT] = "SAVEPOINT report",
        [INDEX_RELEASE] = "RELEASE report",
        [INDEX_ROLLBACK_TO] = "ROLLBACK TO report",

        [INDEX_HAS_CRASH] = "SELECT crash.id FROM source JOIN crash ON crash.source_id = source.id"
                            " WHERE source.project = ?1 AND source.install_id = ?2"
                            " AND crash.crashed_at = ?3"
                            " AND crash.dump_id = (SELECT id FROM blob WHERE sha256 = ?4)",

        /* platform and version follow the newest news; an empty one is no news */
        [INDEX_UPSERT_SOURCE] =
                "INSERT INTO source (project, install_id, platform, version, first_seen_at, last_seen_at)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?5)"
                " ON CONFLICT (project, install_id) DO UPDATE SET"
                " platform = iif(excluded.platform <> '' AND excluded.last_seen_at >= last_seen_at,"
                "                excluded.platform, platform),"
                " version = iif(excluded.version <> '' AND excluded.last_seen_at >= last_seen_at,"
                "               excluded.version, version),"
                " first_seen_at = min(first_seen_at, excluded.first_seen_at),"
                " last_seen_at = max(last_seen_at, excluded.last_seen_at)"
                " RETURNING id",
        [INDEX_UPSERT_BLOB] = "INSERT INTO blob (sha256, len, created_at) VALUES (?1, ?2, ?3)"
                              " ON CONFLICT (sha256) DO UPDATE SET len = excluded.len WHERE len <> excluded.len",
        [INDEX_INSERT_CRASH] =
                "INSERT INTO crash (source_id, dump_id, dump_sha256, dump_content_encoding, kind, crashed_at,"
                " received_at, platform, version, git_sha, profile, target_triple, panic_text, context, metadata,"
                " dedup, source_project)"
                " VALUES (?1, (SELECT id FROM blob WHERE sha256 = ?2), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
                " ?12, ?13, ?14, ?15, (SELECT project FROM source WHERE id = ?1))",
        [INDEX_INSERT_ATTACHMENT] =
                "INSERT INTO attachment (crash_id, position, key, filename, content_type, content_encoding, blob_id,"
                " sha256, len, dedup)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT id FROM blob WHERE sha256 = ?7), ?7, ?8, ?9)",
        [INDEX_HAS_BLOB] = "SELECT 1 FROM blob WHERE sha256 = ?1",
        [INDEX_ADD_BLOB] = "INSERT INTO blob (sha256, len, created_at) VALUES (?1, ?2, ?3)"
                           " ON CONFLICT (sha256) DO NOTHING",

        [INDEX_UPSERT_LOG_FILE] =
                "INSERT INTO log_file (source_id, day, bytes, lines, source_project) VALUES (?1, ?2, ?3, ?4,"
                " (SELECT project FROM source WHERE id = ?1))"
                " ON CONFLICT (source_id, day) DO UPDATE SET bytes = iif(compressed, bytes, excluded.bytes),"
                " lines = lines + excluded.lines",
        [INDEX_HAS_LOG_FILE] = "SELECT 1 FROM source JOIN log_file ON log_file.source_id = source.id"
                               " WHERE source.project = ?1 AND source.install_id = ?2 AND log_file.day = ?3",
        [INDEX_ADD_LOG_FILE] =
                "INSERT INTO log_file (source_id, day, bytes, lines, source_project) VALUES (?1, ?2, ?3, NULL,"
                " (SELECT project FROM source WHERE id = ?1))"
                " ON CONFLICT (source_id, day) DO NOTHING",
        [INDEX_CORRECT_LOG_FILE] = "UPDATE log_file SET bytes = ?3, lines = iif(bytes = 0, 0, lines) + ?4"
                                   " WHERE source_id = ?1 AND day = ?2",
        [INDEX_MARK_COMPRESSED] = "UPDATE log_file SET bytes = ?3, compressed = 1 WHERE source_id = ?1 AND day = ?2",
        [INDEX_UPSERT_TOKEN_USE] = "INSERT INTO token_use (token_id, last_used_at) VALUES (?1, ?2)"
                                   " ON CONFLICT (token_id) DO UPDATE SET"
                                   " last_used_at = max(last_used_at, excluded.last_used_at)",
        [INDEX_PLAIN_LOG_FILES] =
                "SELECT log_file.source_id, source.project, source.install_id, log_file.day, log_file.bytes"
                " FROM log_file JOIN source ON source.id = log_file.source_id"
                " WHERE log_file.compressed = 0 AND (log_file.day, log_file.source_id) > (?1, ?2) AND log_file.day < ?3"
                " ORDER BY log_file.day, log_file.source_id LIMIT ?4",

        [INDEX_EXPIRED_CRASHES] =
                "SELECT crash.id, source.project, source.install_id, crash.crashed_at, crash.dump_sha256"
                " FROM crash JOIN source ON source.id = crash.source_id"
                " WHERE crash.received_at < ?1 AND crash.held = 0 ORDER BY crash.received_at LIMIT ?2",
        [INDEX_ORPHAN_BLOBS] = "SELECT sha256, len FROM blob WHERE refs = 0 LIMIT ?1",
        [INDEX_EXPIRED_LOG_FILES] =
                "SELECT log_file.source_id, source.project, source.install_id, log_file.day, log_file.bytes"
                " FROM log_file JOIN source ON source.id = log_file.source_id"
                " WHERE log_file.day < ?1 ORDER BY log_file.day LIMIT ?2",
        [INDEX_USAGE] = "SELECT log_bytes, crash_bytes FROM usage WHERE project = ?1",
        [INDEX_PROJECT_CRASHES] =
                "SELECT crash.id, crash.source_project, source.install_id, crash.crashed_at,"
                " crash.dump_sha256 FROM crash JOIN source ON source.id = crash.source_id"
                " WHERE crash.source_project = ?1 AND crash.held = 0 ORDER BY crash.received_at LIMIT ?2",
        [INDEX_PROJECT_LOG_FILES] =
                "SELECT log_file.source_id, log_file.source_project, source.install_id, log_file.day,"
                " log_file.bytes FROM log_file JOIN source ON source.id = log_file.source_id"
                " WHERE log_file.source_project = ?1 AND log_file.day < ?2 ORDER BY log_file.day LIMIT ?3",
        [INDEX_DELETE_CRASH] = "DELETE FROM crash WHERE id = ?1",
        [INDEX_DELETE_BLOB] = "DELETE FROM blob WHERE sha256 = ?1 AND refs = 0",
        [INDEX_DELETE_LOG_FILE] = "DELETE FROM log_file WHERE source_id = ?1 AND day = ?2",

        [INDEX_CRASHES_BEHIND] =
                "SELECT crash.id, source.project, source.install_id, crash.crashed_at, crash.dump_sha256"
                " FROM crash JOIN source ON source.id = crash.source_id WHERE crash.id > ?1 ORDER BY crash.id LIMIT ?2",
        [INDEX_BLOBS_BEHIND] = "SELECT sha256, len FROM blob WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2",
        [INDEX_NEWEST_LOG_FILES] =
                "SELECT log_file.source_id, source.project, source.install_id, log_file.day, log_file.bytes"
                " FROM log_file JOIN source ON source.id = log_file.source_id"
                " WHERE (log_file.day, log_file.source_id) > (?1, ?2) AND log_file.compressed = 0"
                " AND (log_file.day >= (SELECT date(max(day), '-1 day') FROM log_file) OR log_file.bytes = 0)"
                " ORDER BY log_file.day, log_file.source_id LIMIT ?3",

        [INDEX_READ_CRASH] = "SELECT crash.metadata, crash.received_at, crash.dump_sha256, blob.len,"
                             " crash.dump_content_encoding, crash.dedup"
                             " FROM crash JOIN blob ON blob.id = crash.dump_id WHERE crash.id = ?1",
        [INDEX_READ_ATTACHMENTS] = "SELECT sha256, len, content_encoding, dedup, key, filename, content_type"
                                   " FROM attachment WHERE crash_id = ?1 ORDER BY position",

        [INDEX_WALK_BY_TIME] = WALK("crash_by_received_at", "?1 IS NULL"),
        [INDEX_WALK_BY_PROJECT] = WALK("crash_by_project", "crash.source_project = ?1"),
        [INDEX_WALK_BY_VERSION] = WALK("crash_of_version", "crash.version = ?1"),
        [INDEX_WALK_BY_PLATFORM] = WALK("crash_of_platform", "crash.platform = ?1"),
        [INDEX_WALK_BY_KIND] = WALK("crash_of_kind", "crash.kind = ?1"),
        [INDEX_WALK_BY_INSTALL] = WALK("sqlite_autoindex_crash_1", "crash." OF_INSTALL), /* sorted: only when few */
        [INDEX_COUNT_BY_PROJECT] = COUNT("crash_by_project", "source_project = ?1"),
        [INDEX_COUNT_BY_VERSION] = COUNT("crash_of_version", "version = ?1"),
        [INDEX_COUNT_BY_PLATFORM] = COUNT("crash_of_platform", "platform = ?1"),
        [INDEX_COUNT_BY_KIND] = COUNT("crash_of_kind", "kind = ?1"),
        [INDEX_COUNT_BY_INSTALL] = "SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY sqlite_autoindex_crash_1"
                                   " WHERE " OF_INSTALL " LIMIT ?4)",
        [INDEX_NEW_CRASHES] = "SELECT crash.id FROM crash NOT INDEXED WHERE crash.id > ?1 AND crash.received_at >= ?3"
                              " AND crash.received_at < ?4" WALK_FILTERS
                              " AND (?10 IS NULL OR instr(lower(crash.panic_text), lower(?10)) > 0)"
                              " ORDER BY crash.id LIMIT ?2",
        [INDEX_NEWEST_CRASH] = "SELECT coalesce(max(id), 0) FROM crash",
        [INDEX_DATA_VERSION] = "PRAGMA data_version",
        [INDEX_LIST_CRASH] =
                "SELECT json_object('id', id, 'project', project, 'install_id', install_id, 'platform', platform,"
                " 'version', version, 'kind', kind, 'crashed_at', crashed_at, 'received_at', received_at,"
                " 'dump_sha256', dump_sha256, 'dump_len', dump_len, 'attachments', attachments,"
                " 'panic_text', panic_text, 'held', json(iif(held, 'true', 'false')))"
                " FROM crash_overview WHERE id = ?1",
        [INDEX_SHOW_CRASH] =
                "SELECT json_object('id', o.id, 'project', o.project, 'install_id', o.install_id,"
                " 'platform', o.platform, 'version', o.version, 'kind', o.kind, 'crashed_at', o.crashed_at,"
                " 'received_at', o.received_at, 'git_sha', crash.git_sha, 'profile', crash.profile,"
                " 'target_triple', crash.target_triple, 'held', json(iif(o.held, 'true', 'false')),"
                " 'dump', json_object('sha256', o.dump_sha256, 'len', o.dump_len,"
                "   'content_encoding', crash.dump_content_encoding,"
                "   'path', 'crashes/by-hash/' || substr(o.dump_sha256, 1, 2) || '/' || o.dump_sha256 || '.bin',"
                "   'dedup', json(iif(crash.dedup, 'true', 'false'))),"
                " 'attachments', (SELECT json_group_array(json_object('key', a.key, 'filename', a.filename,"
                "   'content_type', a.content_type, 'content_encoding', a.content_encoding, 'sha256', a.sha256,"
                "   'len', a.len, 'path', 'crashes/by-hash/' || substr(a.sha256, 1, 2) || '/' || a.sha256 || '.bin',"
                "   'dedup', json(iif(a.dedup, 'true', 'false'))))"
                "   FROM (SELECT * FROM attachment WHERE attachment.crash_id = ?1 ORDER BY position) AS a),"
                " 'panic_text', o.panic_text, 'context', json(crash.context))"
                " FROM crash_overview AS o JOIN crash ON crash.id = o.id WHERE o.id = ?1",
        [INDEX_FIND_CRASHES] = "SELECT crash.id FROM blob JOIN crash ON crash.dump_id = blob.id"
                               " WHERE blob.sha256 >= ?1 AND blob.sha256 < ?1 || 'g' ORDER BY crash.id DESC LIMIT ?2",

        [INDEX_CRASH_BY_ID] =
                "SELECT crash.id, source.project, source.install_id, crash.crashed_at, crash.dump_sha256, crash.held"
                " FROM crash JOIN source ON source.id = crash.source_id WHERE crash.id = ?1",
        [INDEX_SET_HELD] = "UPDATE crash SET held = ?2 WHERE id = ?1",
        [INDEX_PURGE_PROJECT] = "SELECT crash.id, crash.source_project, source.install_id, crash.crashed_at,"
                                " crash.dump_sha256 FROM crash JOIN source ON source.id = crash.source_id"
                                " WHERE crash.source_project = ?1 AND crash.received_at < ?3 AND crash.held <= ?4"
                                " ORDER BY crash.received_at LIMIT ?5",
        [INDEX_PURGE_SOURCE] =
                "SELECT crash.id, crash.source_project, source.install_id, crash.crashed_at,"
                " crash.dump_sha256 FROM crash JOIN source ON source.id = crash.source_id"
                " WHERE crash.source_id = " SOURCE_ID " AND crash.received_at < ?3 AND crash.held <= ?4 LIMIT ?5",
        [INDEX_SOURCE_LOG_FILES] =
                "SELECT log_file.source_id, log_file.source_project, source.install_id, log_file.day,"
                " log_file.bytes FROM log_file JOIN source ON source.id = log_file.source_id"
                " WHERE log_file.source_id = " SOURCE_ID " AND log_file.day < ?3 ORDER BY log_file.day LIMIT ?4",
        [INDEX_PROJECT_SOURCES] = "SELECT install_id FROM source WHERE project = ?1 AND install_id > ?2"
                                  " ORDER BY install_id LIMIT ?3",
        [INDEX_DELETE_SOURCE] = "DELETE FROM source WHERE project = ?1 AND install_id = ?2"
                                " AND NOT EXISTS (SELECT 1 FROM crash WHERE crash.source_id = source.id)"
                                " AND NOT EXISTS (SELECT 1 FROM log_file WHERE log_file.source_id = source.id)",
        [INDEX_COUNTS] = "SELECT (SELECT crashes FROM crash_count WHERE project = ''),"
                         " (SELECT count(*) FROM (SELECT 1 FROM source ORDER BY project, install_id LIMIT ?1)),"
                         " (SELECT count(*) FROM (SELECT 1 FROM crash WHERE received_at >= ?2"
                         "   ORDER BY received_at LIMIT ?1)),"
                         " (SELECT max(received_at) FROM crash)",

        [INDEX_LOG_ACTIVITY] = "SELECT source.project, source.install_id, log_file.bytes, log_file.lines, 0"
                               " FROM log_file JOIN source ON source.id = log_file.source_id"
                               " WHERE log_file.day = ?1 LIMIT ?2",
        [INDEX_CRASH_ACTIVITY] =
                "SELECT source.project, source.install_id, 0, 0, count(*)"
                " FROM (SELECT source_id FROM crash WHERE received_at >= ?1 ORDER BY received_at DESC LIMIT ?2) AS c"
                " JOIN source ON source.id = c.source_id GROUP BY c.source_id",

        [INDEX_SURVEY_EXPIRED] = SURVEY("crash.received_at < ?3 AND crash.held <= ?4"),
        [INDEX_SURVEY_PROJECT] =
                SURVEY("crash.source_project = ?1 AND crash.received_at < ?3 AND crash.held BETWEEN ?5 AND ?4"),
        [INDEX_SURVEY_SOURCE] =
                SURVEY("crash.source_id = " SOURCE_ID " AND crash.received_at < ?3 AND crash.held BETWEEN ?5 AND ?4"),
        [INDEX_SURVEY_ORPHANS] = "SELECT 0, count(*), coalesce(sum(len), 0) FROM blob WHERE refs = 0",
        [INDEX_SURVEY_LOGS] = "SELECT count(*), coalesce(sum(bytes), 0) FROM log_file WHERE day < ?3",
        [INDEX_SURVEY_PROJECT_LOGS] = "SELECT count(*), coalesce(sum(bytes), 0) FROM log_file"
                                      " WHERE source_project = ?1 AND day < ?3",
        [INDEX_SURVEY_SOURCE_LOGS] = "SELECT count(*), coalesce(sum(bytes), 0) FROM log_file"
                                     " WHERE source_id = " SOURCE_ID " AND day < ?3",

        [INDEX_LIST_SOURCES] =
                "SELECT json_object('id', id, 'project', project, 'install_id', install_id, 'platform', platform,"
                " 'version', version, 'first_seen_at', first_seen_at, 'last_seen_at', last_seen_at,"
                " 'crashes', crashes, 'last_crashed_at',"
                "   (SELECT max(crashed_at) FROM crash WHERE crash.source_id = s.id),"
                " 'log_days', (SELECT count(*) FROM log_file WHERE log_file.source_id = s.id),"
                " 'log_bytes', (SELECT coalesce(sum(bytes), 0) FROM log_file WHERE log_file.source_id = s.id)),"
                " id, last_seen_at"
                " FROM (SELECT * FROM source WHERE (?1 IS NULL OR project = ?1) AND (last_seen_at, id) < (?2, ?3)"
                "        ORDER BY last_seen_at DESC, id DESC LIMIT ?4) AS s",
        [INDEX_SHOW_SOURCE] =
                "SELECT json_object('id', id, 'project', project, 'install_id', install_id, 'platform', platform,"
                " 'version', version, 'first_seen_at', first_seen_at, 'last_seen_at', last_seen_at,"
                " 'crashes', crashes, 'newest_crashes',"
                "   (SELECT json_group_array(json_object('id', c.id, 'kind', c.kind, 'version', c.version,"
                "     'crashed_at', c.crashed_at, 'panic_text', c.panic_text))"
                "     FROM (SELECT * FROM crash WHERE source_id = ?1 ORDER BY crashed_at DESC LIMIT ?2) AS c),"
                " 'log_files', (SELECT json_group_array(json_object('day', f.day, 'bytes', f.bytes, 'lines', f.lines,"
                "     'compressed', json(iif(f.compressed, 'true', 'false'))))"
                "     FROM (SELECT * FROM log_file WHERE source_id = ?1 ORDER BY day DESC) AS f))"
                " FROM source WHERE id = ?1",
        [INDEX_FIND_SOURCES] = "SELECT id FROM source WHERE install_id = ?1 AND (?2 IS NULL OR project = ?2)"
                               " ORDER BY id LIMIT ?3",
        [INDEX_TOKEN_USES] = "SELECT token_id, last_used_at FROM token_use ORDER BY token_id",
};
