-- What the index writer does: transactions, reports, log files, the last use of tokens (storage/index/index_write.c).

-- name: begin
-- plan: none
BEGIN IMMEDIATE

-- name: commit
-- plan: none
COMMIT

-- name: rollback
-- plan: none
ROLLBACK

-- name: savepoint
-- plan: none
-- Around one report of a batch.
SAVEPOINT report

-- name: release
-- plan: none
RELEASE report

-- name: rollback_to
-- plan: none
ROLLBACK TO report

-- name: upsert_source
-- ?1 project, ?2 install_id, ?3 platform, ?4 version, ?5 when something came from it.
-- Platform and version follow the newest report or log line; an empty one says nothing.
INSERT INTO source (project, install_id, platform, version, first_seen_at, last_seen_at)
  VALUES (?1, ?2, ?3, ?4, ?5, ?5)
  ON CONFLICT (project, install_id) DO UPDATE SET
    platform = iif(excluded.platform <> '' AND excluded.last_seen_at >= last_seen_at, excluded.platform, platform),
    version = iif(excluded.version <> '' AND excluded.last_seen_at >= last_seen_at, excluded.version, version),
    first_seen_at = min(first_seen_at, excluded.first_seen_at),
    last_seen_at = max(last_seen_at, excluded.last_seen_at)
  RETURNING id

-- name: upsert_blob
-- ?1 sha256, ?2 len, ?3 created_at.
INSERT INTO blob (sha256, len, created_at) VALUES (?1, ?2, ?3)
  ON CONFLICT (sha256) DO UPDATE SET len = excluded.len WHERE len <> excluded.len

-- name: add_blob
-- As upsert_blob, but a row that exists is kept.
INSERT INTO blob (sha256, len, created_at) VALUES (?1, ?2, ?3)
  ON CONFLICT (sha256) DO NOTHING

-- name: insert_crash
-- ?1 source_id, ?2 the dump's sha256, then the columns in their order.
INSERT INTO crash (source_id, dump_id, dump_sha256, dump_content_encoding, kind, crashed_at, received_at, platform,
                   version, git_sha, profile, target_triple, panic_text, context, metadata, dedup, source_project)
  VALUES (?1, (SELECT id FROM blob WHERE sha256 = ?2), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
          (SELECT project FROM source WHERE id = ?1))

-- name: insert_attachment
-- ?1 crash_id, ?2 position, ?3 key, ?4 filename, ?5 content_type, ?6 content_encoding, ?7 sha256, ?8 len, ?9 dedup.
INSERT INTO attachment (crash_id, position, key, filename, content_type, content_encoding, blob_id, sha256, len, dedup)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT id FROM blob WHERE sha256 = ?7), ?7, ?8, ?9)

-- name: upsert_log_file
-- ?1 source_id, ?2 day, ?3 bytes, ?4 lines more than at the last call. Lines that nobody counted stay uncounted.
INSERT INTO log_file (source_id, day, bytes, lines, source_project)
  VALUES (?1, ?2, ?3, ?4, (SELECT project FROM source WHERE id = ?1))
  ON CONFLICT (source_id, day) DO UPDATE SET
    bytes = iif(compressed, bytes, excluded.bytes),
    lines = lines + excluded.lines

-- name: add_log_file
-- ?1 source_id, ?2 day, ?3 bytes. A row that exists is kept.
INSERT INTO log_file (source_id, day, bytes, lines, source_project)
  VALUES (?1, ?2, ?3, NULL, (SELECT project FROM source WHERE id = ?1))
  ON CONFLICT (source_id, day) DO NOTHING

-- name: correct_log_file
-- ?1 source_id, ?2 day, ?3 bytes, ?4 lines that were not counted. Of a file without a known byte these are all.
UPDATE log_file SET bytes = ?3, lines = iif(bytes = 0, 0, lines) + ?4 WHERE source_id = ?1 AND day = ?2

-- name: mark_compressed
-- ?1 source_id, ?2 day, ?3 bytes.
UPDATE log_file SET bytes = ?3, compressed = 1 WHERE source_id = ?1 AND day = ?2

-- name: mark_plain
-- ?1 source_id, ?2 day, ?3 bytes.
UPDATE log_file SET bytes = ?3, lines = NULL, compressed = 0 WHERE source_id = ?1 AND day = ?2

-- name: upsert_token_use
-- ?1 token_id, ?2 last_used_at. An older time than the row's changes nothing.
INSERT INTO token_use (token_id, last_used_at) VALUES (?1, ?2)
  ON CONFLICT (token_id) DO UPDATE SET last_used_at = max(last_used_at, excluded.last_used_at)
