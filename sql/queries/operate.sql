-- What operators order: deletions by project or source, holding, and surveys of what a deletion would delete
-- (storage/index/index_operate.c). Surveys sort what would go; they run on a read-only connection.

-- part: source_id
(SELECT id FROM source WHERE project = ?1 AND install_id = ?2)

-- part: going_with_blobs
-- Of the crashes in `gone`: how many they are, and the blobs that nothing else uses.
uses AS (SELECT dump_id AS blob_id FROM gone
         UNION ALL SELECT attachment.blob_id FROM gone JOIN attachment ON attachment.crash_id = gone.id),
counted AS (SELECT blob_id, count(*) AS n FROM uses GROUP BY blob_id)
SELECT (SELECT count(*) FROM gone), count(*), coalesce(sum(blob.len), 0)
  FROM counted JOIN blob ON blob.id = counted.blob_id WHERE blob.refs = counted.n

-- name: set_held
-- ?1 id, ?2 held.
UPDATE crash SET held = ?2 WHERE id = ?1

-- name: purge_project
-- ?1 project, ?3 received_before, ?4 the greatest `held` (0: not those that are), ?5 limit.
SELECT {crash_row} WHERE crash.source_project = ?1 AND crash.received_at < ?3 AND crash.held <= ?4
 ORDER BY crash.received_at LIMIT ?5

-- name: purge_source
-- As purge_project, ?2 install_id.
SELECT {crash_row} WHERE crash.source_id = {source_id} AND crash.received_at < ?3 AND crash.held <= ?4 LIMIT ?5

-- name: source_log_files
-- ?1 project, ?2 install_id, ?3 day_before, ?4 limit. The oldest first.
SELECT {log_file_row} WHERE log_file.source_id = {source_id} AND log_file.day < ?3 ORDER BY log_file.day LIMIT ?4

-- name: project_sources
-- ?1 project, ?2 install_id after which it goes on, ?3 limit.
SELECT install_id FROM source WHERE project = ?1 AND install_id > ?2 ORDER BY install_id LIMIT ?3

-- name: delete_source
-- ?1 project, ?2 install_id. Only when nothing belongs to it any more.
DELETE FROM source WHERE project = ?1 AND install_id = ?2
   AND NOT EXISTS (SELECT 1 FROM crash WHERE crash.source_id = source.id)
   AND NOT EXISTS (SELECT 1 FROM log_file WHERE log_file.source_id = source.id)

-- name: survey_expired
-- plan: sorts
-- ?3 received_before, ?4 the greatest `held`.
WITH gone AS MATERIALIZED (SELECT crash.id, crash.dump_id FROM crash
                            WHERE crash.received_at < ?3 AND crash.held <= ?4),
{going_with_blobs}

-- name: survey_project
-- plan: sorts
-- ?1 project, ?3 received_before, ?5 the least `held` and ?4 the greatest.
WITH gone AS MATERIALIZED (SELECT crash.id, crash.dump_id FROM crash
                            WHERE crash.source_project = ?1 AND crash.received_at < ?3
                              AND crash.held BETWEEN ?5 AND ?4),
{going_with_blobs}

-- name: survey_source
-- plan: sorts
-- As survey_project, ?2 install_id.
WITH gone AS MATERIALIZED (SELECT crash.id, crash.dump_id FROM crash
                            WHERE crash.source_id = {source_id} AND crash.received_at < ?3
                              AND crash.held BETWEEN ?5 AND ?4),
{going_with_blobs}

-- name: survey_orphans
-- plan: sorts
SELECT count(*), coalesce(sum(len), 0) FROM blob WHERE refs = 0

-- name: survey_logs
-- plan: sorts
-- ?3 day_before.
SELECT count(*), coalesce(sum(bytes), 0) FROM log_file WHERE day < ?3

-- name: survey_project_logs
-- plan: sorts
-- ?1 project, ?3 day_before.
SELECT count(*), coalesce(sum(bytes), 0) FROM log_file WHERE source_project = ?1 AND day < ?3

-- name: survey_source_logs
-- plan: sorts
-- ?1 project, ?2 install_id, ?3 day_before.
SELECT count(*), coalesce(sum(bytes), 0) FROM log_file WHERE source_id = {source_id} AND day < ?3
