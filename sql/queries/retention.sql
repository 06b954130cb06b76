-- What retention asks for, and deletions (storage/index/index_retention.c).

-- name: expired_crashes
-- ?1 received_before, ?2 received_after, ?3 limit. The oldest first; held crashes never expire.
SELECT {crash_row} WHERE crash.received_at < ?1 AND crash.received_at > ?2 AND crash.held = 0 ORDER BY crash.received_at LIMIT ?3

-- name: project_crashes
-- ?1 project, ?2 limit. The oldest first, without those that are held.
SELECT {crash_row} WHERE crash.source_project = ?1 AND crash.held = 0 ORDER BY crash.received_at LIMIT ?2

-- name: orphan_blobs
-- ?1 limit.
SELECT sha256, len FROM blob WHERE refs = 0 LIMIT ?1

-- name: expired_log_files
-- ?1 day_before, ?2 day_after, ?3 limit.
SELECT {log_file_row} WHERE log_file.day < ?1 AND log_file.day > ?2 ORDER BY log_file.day LIMIT ?3

-- name: project_log_files
-- ?1 project, ?2 day_before, ?3 limit. The oldest first.
SELECT {log_file_row} WHERE log_file.source_project = ?1 AND log_file.day < ?2 ORDER BY log_file.day LIMIT ?3

-- name: plain_log_files
-- ?1 day and ?2 source_id after which it goes on, ?3 day_before, ?4 limit.
SELECT {log_file_row} WHERE log_file.compressed = 0 AND (log_file.day, log_file.source_id) > (?1, ?2)
   AND log_file.day < ?3
 ORDER BY log_file.day, log_file.source_id LIMIT ?4

-- name: last_source
SELECT coalesce(max(id), 0) FROM source

-- name: delete_empty_sources
-- ?1 id after which it looks, ?2 the last id it looks at.
DELETE FROM source WHERE id > ?1 AND id <= ?2 AND crashes = 0
   AND NOT EXISTS (SELECT 1 FROM crash WHERE crash.source_id = source.id)
   AND NOT EXISTS (SELECT 1 FROM log_file WHERE log_file.source_id = source.id)

-- name: delete_crash
-- ?1 id. Triggers delete the attachments and count the references.
DELETE FROM crash WHERE id = ?1

-- name: delete_blob
-- ?1 sha256.
DELETE FROM blob WHERE sha256 = ?1 AND refs = 0

-- name: delete_log_file
-- ?1 source_id, ?2 day.
DELETE FROM log_file WHERE source_id = ?1 AND day = ?2
