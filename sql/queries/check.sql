-- What verify asks, and what repairs a database (storage/index/index_check.c). Those with "plan: scans" read everything
-- once, in a command.

-- part: integrity
SELECT 'detritus.db', replace(replace(integrity_check, '*** in database main ***' || char(10), ''), char(10), '; ')

-- part: uses
-- Each use of a blob, by the project of the crash that uses it.
uses (blob_id, project) AS (
  SELECT dump_id, source_project FROM crash
  UNION ALL
  SELECT attachment.blob_id, crash.source_project FROM attachment JOIN crash ON crash.id = attachment.crash_id)

-- part: counted_usage
-- `usage` as it should be. A project without a row counts as zero, as it does for caps; '' is all together.
counted (project, log_bytes, crash_bytes) AS (
  SELECT project, sum(log_bytes), sum(crash_bytes) FROM (
    SELECT source_project AS project, bytes AS log_bytes, 0 AS crash_bytes FROM log_file
    UNION ALL SELECT '', bytes, 0 FROM log_file
    UNION ALL SELECT p.project, 0, blob.len FROM (SELECT DISTINCT blob_id, project FROM uses) AS p
                JOIN blob ON blob.id = p.blob_id
    UNION ALL SELECT '', 0, len FROM blob WHERE id IN (SELECT blob_id FROM uses)
    UNION ALL SELECT project, 0, 0 FROM usage
  ) GROUP BY project)

-- part: counted_crashes
-- `crash_count` as it should be.
counted (project, crashes) AS (
  SELECT project, sum(n) FROM (
    SELECT source_project AS project, count(*) AS n FROM crash GROUP BY source_project
    UNION ALL SELECT '', count(*) FROM crash
    UNION ALL SELECT project, 0 FROM crash_count
  ) GROUP BY project)

-- part: blob_id
(SELECT id FROM blob WHERE sha256 = ?1)

-- name: page_count
PRAGMA page_count

-- name: check_integrity
-- plan: scans
{integrity} FROM pragma_integrity_check(100) WHERE integrity_check <> 'ok'

-- name: check_schema_integrity
-- plan: scans
-- SQLite before 3.41 takes the whole check for one of a single table when the first entry of its hash of tables is a
-- view. Then it leaves out the list of free pages, which it does not when asked for the one table of the schema itself,
-- and pages that nothing uses, which do no harm.
{integrity} FROM pragma_integrity_check('sqlite_schema') WHERE integrity_check <> 'ok'

-- name: check_foreign_keys
-- plan: scans
SELECT "table", 'a row names a ' || parent || ' that is not there: ' || count(*)
  FROM pragma_foreign_key_check GROUP BY "table", parent

-- name: check_usage
-- plan: scans
WITH {uses}, {counted_usage}
SELECT iif(counted.project = '', 'usage of all', 'usage of ' || counted.project),
       printf('log_bytes %d, counted %d; crash_bytes %d, counted %d', coalesce(usage.log_bytes, 0), counted.log_bytes,
              coalesce(usage.crash_bytes, 0), counted.crash_bytes)
  FROM counted LEFT JOIN usage ON usage.project = counted.project
 WHERE coalesce(usage.log_bytes, 0) <> counted.log_bytes OR coalesce(usage.crash_bytes, 0) <> counted.crash_bytes

-- name: check_crash_count
-- plan: scans
WITH {counted_crashes}
SELECT iif(counted.project = '', 'crash_count of all', 'crash_count of ' || counted.project),
       printf('%d, counted %d', coalesce(c.crashes, 0), counted.crashes)
  FROM counted LEFT JOIN crash_count AS c ON c.project = counted.project
 WHERE coalesce(c.crashes, 0) <> counted.crashes

-- name: count_blobs
-- ?1 sha256 after which it goes on, ?2 limit. CROSS JOIN: left to itself, SQLite would begin with all crashes of the
-- project, for each blob.
SELECT sha256, len, refs,
       (SELECT count(*) FROM crash WHERE dump_id = blob.id)
         + (SELECT count(*) FROM attachment AS a WHERE a.blob_id = blob.id),
       (SELECT coalesce(sum(uses), 0) FROM blob_use AS u WHERE u.blob_id = blob.id),
       (SELECT count(*) FROM blob_use AS u WHERE u.blob_id = blob.id AND u.uses <>
          (SELECT count(*) FROM crash WHERE dump_id = u.blob_id AND source_project = u.project)
          + (SELECT count(*) FROM attachment AS a CROSS JOIN crash ON crash.id = a.crash_id
              WHERE a.blob_id = u.blob_id AND crash.source_project = u.project))
  FROM blob WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2

-- name: recount_refs
-- ?1 sha256.
UPDATE blob SET refs = (SELECT count(*) FROM crash WHERE dump_id = blob.id)
                       + (SELECT count(*) FROM attachment AS a WHERE a.blob_id = blob.id)
 WHERE sha256 = ?1

-- name: forget_uses
-- ?1 sha256.
DELETE FROM blob_use WHERE blob_id = {blob_id}

-- name: recount_uses
-- plan: sorts
-- ?1 sha256.
INSERT INTO blob_use (blob_id, project, uses)
  SELECT {blob_id}, project, count(*) FROM (
    SELECT source_project AS project FROM crash WHERE dump_id = {blob_id}
    UNION ALL
    SELECT crash.source_project FROM attachment AS a CROSS JOIN crash ON crash.id = a.crash_id
     WHERE a.blob_id = {blob_id}
  ) GROUP BY project

-- name: recount_usage
-- plan: scans
WITH {uses}, {counted_usage}
INSERT INTO usage (project, log_bytes, crash_bytes) SELECT project, log_bytes, crash_bytes FROM counted WHERE true
  ON CONFLICT (project) DO UPDATE SET log_bytes = excluded.log_bytes, crash_bytes = excluded.crash_bytes

-- name: recount_crashes
-- plan: scans
WITH {counted_crashes}
INSERT INTO crash_count (project, crashes) SELECT project, crashes FROM counted WHERE true
  ON CONFLICT (project) DO UPDATE SET crashes = excluded.crashes

-- name: count_all
-- plan: scans
SELECT (SELECT count(*) FROM crash), (SELECT count(*) FROM blob), (SELECT count(*) FROM log_file),
       (SELECT count(*) FROM source)
