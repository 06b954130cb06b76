-- Copies of a database, and what one takes over from another, which is attached as `other`
-- (storage/index/index_copy.c).

-- part: same_source
other.source AS os ON os.id = o.source_id
  JOIN source AS s ON s.project = os.project AND s.install_id = os.install_id

-- part: same_crash
other.crash AS o JOIN {same_source}
 WHERE s.id = crash.source_id AND o.source_id = os.id AND o.crashed_at = crash.crashed_at
   AND o.dump_sha256 = crash.dump_sha256

-- name: begin_reading
-- plan: none
BEGIN

-- name: begin_snapshot
-- Here the snapshot of the transaction begins.
SELECT 1 FROM sqlite_schema LIMIT 1

-- name: attach_other
-- plan: none
-- ?1 path.
ATTACH ?1 AS other

-- name: detach_other
-- plan: none
DETACH other

-- name: take_over_crashes
-- plan: scans
-- Those from ?1 to ?2, by id: when they were received, and whether they are held.
UPDATE crash SET (received_at, held) = (SELECT min(o.received_at, crash.received_at), max(o.held, crash.held)
                                          FROM {same_crash})
 WHERE crash.id BETWEEN ?1 AND ?2
   AND EXISTS (SELECT 1 FROM {same_crash} AND (o.received_at < crash.received_at OR o.held > crash.held))

-- name: take_over_lines
-- plan: scans
UPDATE log_file SET lines = (SELECT o.lines FROM other.log_file AS o JOIN {same_source}
                              WHERE s.id = log_file.source_id AND o.day = log_file.day AND o.bytes = log_file.bytes
                                AND o.compressed = log_file.compressed)
 WHERE lines IS NULL

-- name: take_over_sources
-- plan: scans
INSERT INTO source (project, install_id, platform, version, first_seen_at, last_seen_at)
  SELECT project, install_id, platform, version, first_seen_at, last_seen_at FROM other.source WHERE true
  ON CONFLICT (project, install_id) DO UPDATE SET
    platform = iif(excluded.platform <> '' AND (platform = '' OR excluded.last_seen_at >= last_seen_at),
                   excluded.platform, platform),
    version = iif(excluded.version <> '' AND (version = '' OR excluded.last_seen_at >= last_seen_at),
                  excluded.version, version),
    first_seen_at = min(first_seen_at, excluded.first_seen_at),
    last_seen_at = max(last_seen_at, excluded.last_seen_at)

-- name: other_has_tokens
-- Databases from before the first release may not have the table.
SELECT 1 FROM other.sqlite_schema WHERE type = 'table' AND name = 'token_use'

-- name: take_over_tokens
-- plan: scans
INSERT INTO token_use (token_id, last_used_at) SELECT token_id, last_used_at FROM other.token_use WHERE true
  ON CONFLICT (token_id) DO UPDATE SET last_used_at = max(last_used_at, excluded.last_used_at)

-- name: forget_crashes_of_blob
-- ?1 sha256.
DELETE FROM crash WHERE dump_id = (SELECT id FROM blob WHERE sha256 = ?1)
   OR id IN (SELECT crash_id FROM attachment JOIN blob ON blob.id = blob_id WHERE blob.sha256 = ?1)

-- name: forget_blob
-- ?1 sha256.
DELETE FROM blob WHERE sha256 = ?1
