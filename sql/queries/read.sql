-- Single rows by their keys, and every row a page at a time (storage/index/index_read.c).

-- name: has_crash
-- ?1 project, ?2 install_id, ?3 crashed_at, ?4 the dump's sha256: what makes a report unique.
SELECT crash.id FROM source JOIN crash ON crash.source_id = source.id
 WHERE source.project = ?1 AND source.install_id = ?2 AND crash.crashed_at = ?3
   AND crash.dump_id = (SELECT id FROM blob WHERE sha256 = ?4)

-- name: crash_by_id
-- ?1 id.
SELECT {crash_row} WHERE crash.id = ?1

-- name: read_crash
-- ?1 id. Enough to put the report together again.
SELECT crash.metadata, crash.received_at, crash.dump_sha256, blob.len, crash.dump_content_encoding, crash.dedup
  FROM crash JOIN blob ON blob.id = crash.dump_id WHERE crash.id = ?1

-- name: read_attachments
-- ?1 the crash's id.
SELECT sha256, len, content_encoding, dedup, key, filename, content_type
  FROM attachment WHERE crash_id = ?1 ORDER BY position

-- name: crashes_after
-- ?1 id, ?2 limit.
SELECT {crash_row} WHERE crash.id > ?1 ORDER BY crash.id LIMIT ?2

-- name: find_blob
-- ?1 sha256.
SELECT len FROM blob WHERE sha256 = ?1

-- name: blobs_after
-- ?1 sha256, ?2 limit.
SELECT sha256, len FROM blob WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2

-- name: find_log_file
-- ?1 project, ?2 install_id, ?3 day.
SELECT {log_file_row} WHERE source.project = ?1 AND source.install_id = ?2 AND log_file.day = ?3

-- name: log_files_after
-- ?1 day, ?2 source_id, ?3 limit.
SELECT {log_file_row} WHERE (log_file.day, log_file.source_id) > (?1, ?2)
 ORDER BY log_file.day, log_file.source_id LIMIT ?3

-- name: newest_log_files
-- As log_files_after, but only plain files of the newest day and the day before it, or of which no byte is known.
SELECT {log_file_row} WHERE (log_file.day, log_file.source_id) > (?1, ?2) AND log_file.compressed = 0
   AND (log_file.day >= (SELECT date(max(day), '-1 day') FROM log_file) OR log_file.bytes = 0)
 ORDER BY log_file.day, log_file.source_id LIMIT ?3

-- name: usage
-- ?1 project; '': all together.
SELECT log_bytes, crash_bytes FROM usage WHERE project = ?1
