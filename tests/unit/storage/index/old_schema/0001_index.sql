-- detritus.db, the index of crashes, blobs, sources and log files. It is made to be opened: `sqlite3 -readonly
-- detritus.db` works beside a running daemon, and `.schema` shows the comments below. Names here are stable; later
-- versions only add columns. Only the daemon writes.
--
-- Times are UTC in RFC 3339 with a fixed number of fraction digits, so that the order of the texts is the order in time
-- and `>=`, `max()` and ORDER BY do what they say. Compare with a prefix: received_at >= '2026-05-19T08'.

CREATE TABLE source (
  -- One installation of one project: whoever sends logs or crashes.
  id            INTEGER PRIMARY KEY,
  project       TEXT NOT NULL CHECK (length(project) BETWEEN 1 AND 128
                                     AND project NOT GLOB '*[^A-Za-z0-9._@+:~-]*' AND project NOT GLOB '.*'),
  install_id    TEXT NOT NULL CHECK (length(install_id) BETWEEN 1 AND 128
                                     AND install_id NOT GLOB '*[^A-Za-z0-9._@+:~-]*' AND install_id NOT GLOB '.*'),
  platform      TEXT NOT NULL,  -- as last seen; '' when nothing has told it yet
  version       TEXT NOT NULL,  -- as last seen; '' likewise
  first_seen_at TEXT NOT NULL   -- milliseconds: 2026-05-19T08:30:00.000Z
                CHECK (first_seen_at GLOB '*T*.*Z' AND length(first_seen_at) = 24
                       AND datetime(first_seen_at) IS NOT NULL),
  last_seen_at  TEXT NOT NULL   -- milliseconds
                CHECK (last_seen_at GLOB '*T*.*Z' AND length(last_seen_at) = 24
                       AND datetime(last_seen_at) IS NOT NULL),
  UNIQUE (project, install_id)
) STRICT;

CREATE TABLE blob (
  -- One stored file, dump or attachment: crashes/by-hash/<first 2 digits>/<sha256>.bin, the bytes as they were sent.
  sha256     TEXT NOT NULL PRIMARY KEY CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  len        INTEGER NOT NULL CHECK (len >= 0),             -- bytes on disk
  refs       INTEGER NOT NULL DEFAULT 0 CHECK (refs >= 0),  -- uses as a dump or an attachment; kept by triggers
  created_at TEXT NOT NULL                                  -- milliseconds
             CHECK (created_at GLOB '*T*.*Z' AND length(created_at) = 24
                    AND datetime(created_at) IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- What the janitor may delete. A blob is in here for an instant at its birth, and again when its last use is gone.
CREATE INDEX blob_unreferenced ON blob (sha256) WHERE refs = 0;

CREATE TABLE crash (
  -- One crash report. The same source, crashed_at and dump are the same report, however often it is sent.
  id                    INTEGER PRIMARY KEY AUTOINCREMENT,  -- what detritusctl calls it; never used again
  source_id             INTEGER NOT NULL REFERENCES source (id),
  dump_sha256           TEXT NOT NULL REFERENCES blob (sha256),
  dump_content_encoding TEXT,           -- of the part as sent ('zstd', 'gzip', …); NULL: none
  kind                  TEXT NOT NULL CHECK (kind IN ('Minidump', 'PanicTarball', 'RustcIce')),
  crashed_at            TEXT NOT NULL   -- by the client's clock, nanoseconds: 2026-05-19T08:30:00.000000000Z
                        CHECK (crashed_at GLOB '*T*.*Z' AND length(crashed_at) = 30
                               AND datetime(crashed_at) IS NOT NULL),
  received_at           TEXT NOT NULL   -- by our clock, milliseconds; retention counts from here
                        CHECK (received_at GLOB '*T*.*Z' AND length(received_at) = 24
                               AND datetime(received_at) IS NOT NULL),
  platform              TEXT NOT NULL,  -- of the program that crashed, as are the next four
  version               TEXT NOT NULL,
  git_sha               TEXT NOT NULL,
  profile               TEXT NOT NULL,
  target_triple         TEXT NOT NULL,
  panic_text            TEXT,           -- NULL: none was sent
  context               TEXT NOT NULL CHECK (json_valid(context)),   -- JSON: context ->> '$.key' works
  metadata              TEXT NOT NULL CHECK (json_valid(metadata)),  -- JSON: all that the client said, unknown keys too
  dedup                 INTEGER NOT NULL CHECK (dedup IN (0, 1)),    -- 1: the dump's blob was there before
  held                  INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),  -- 1: never expires
  UNIQUE (source_id, crashed_at, dump_sha256)
) STRICT;

-- Retention and "the newest first". held rides along so that held crashes cost retention no row look-up.
CREATE INDEX crash_by_received_at ON crash (received_at, held);
-- Which crashes use this dump? Also what makes deleting a blob cheap (the foreign key asks).
CREATE INDEX crash_by_dump ON crash (dump_sha256);

CREATE TABLE attachment (
  -- A further file of a crash report.
  crash_id         INTEGER NOT NULL REFERENCES crash (id) ON DELETE CASCADE,
  position         INTEGER NOT NULL CHECK (position >= 0),  -- 0, 1, ... in the order they were sent
  key              TEXT NOT NULL,
  filename         TEXT,            -- NULL: none was declared
  content_type     TEXT NOT NULL,
  content_encoding TEXT,            -- as dump_content_encoding
  sha256           TEXT NOT NULL REFERENCES blob (sha256),
  len              INTEGER NOT NULL CHECK (len >= 0),
  dedup            INTEGER NOT NULL CHECK (dedup IN (0, 1)),
  PRIMARY KEY (crash_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachment_by_blob ON attachment (sha256);

CREATE TABLE log_file (
  -- One day of one source's log lines: logs/<project>/<install_id>/<day>.ndjson. Kept up every few seconds, so the
  -- newest day's figures trail the file a little.
  source_id  INTEGER NOT NULL REFERENCES source (id),
  day        TEXT NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'),  -- UTC day of receipt
  bytes      INTEGER NOT NULL CHECK (bytes >= 0),
  lines      INTEGER CHECK (lines >= 0),  -- NULL: the file is older than this database, nobody counted
  compressed INTEGER NOT NULL DEFAULT 0 CHECK (compressed IN (0, 1)),
  PRIMARY KEY (source_id, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX log_file_by_day ON log_file (day);

-- blob.refs: every use counts one. Triggers keep it, so that no code path and no hand at the prompt can forget.

CREATE TRIGGER crash_inserted AFTER INSERT ON crash BEGIN
  UPDATE blob SET refs = refs + 1 WHERE sha256 = NEW.dump_sha256;
END;
CREATE TRIGGER crash_deleted AFTER DELETE ON crash BEGIN
  UPDATE blob SET refs = refs - 1 WHERE sha256 = OLD.dump_sha256;
END;
CREATE TRIGGER crash_dump_changed AFTER UPDATE OF dump_sha256 ON crash BEGIN
  UPDATE blob SET refs = refs - 1 WHERE sha256 = OLD.dump_sha256;
  UPDATE blob SET refs = refs + 1 WHERE sha256 = NEW.dump_sha256;
END;
CREATE TRIGGER attachment_inserted AFTER INSERT ON attachment BEGIN
  UPDATE blob SET refs = refs + 1 WHERE sha256 = NEW.sha256;
END;
CREATE TRIGGER attachment_deleted AFTER DELETE ON attachment BEGIN
  UPDATE blob SET refs = refs - 1 WHERE sha256 = OLD.sha256;
END;
CREATE TRIGGER attachment_blob_changed AFTER UPDATE OF sha256 ON attachment BEGIN
  UPDATE blob SET refs = refs - 1 WHERE sha256 = OLD.sha256;
  UPDATE blob SET refs = refs + 1 WHERE sha256 = NEW.sha256;
END;

-- Views for people.

CREATE VIEW crash_overview AS
  -- One row per crash, the newest receipt first.
  SELECT crash.id, source.project, source.install_id, crash.platform, crash.version, crash.kind, crash.crashed_at,
         crash.received_at, crash.dump_sha256, blob.len AS dump_len,
         (SELECT count(*) FROM attachment WHERE attachment.crash_id = crash.id) AS attachments,
         crash.panic_text, crash.held
    FROM crash
    JOIN source ON source.id = crash.source_id
    JOIN blob ON blob.sha256 = crash.dump_sha256
   ORDER BY crash.received_at DESC;

CREATE VIEW crash_by_version AS
  -- How each version of each project does; the version that crashed last comes first.
  SELECT source.project, crash.version, count(*) AS crashes, count(DISTINCT crash.source_id) AS installs,
         count(DISTINCT crash.dump_sha256) AS dumps, min(crash.crashed_at) AS first_crashed_at,
         max(crash.crashed_at) AS last_crashed_at
    FROM crash
    JOIN source ON source.id = crash.source_id
   GROUP BY source.project, crash.version
   ORDER BY source.project, last_crashed_at DESC;

CREATE VIEW top_crashes AS
  -- What crashes most: reports alike in the first line of their panic text; without one, in their dump.
  SELECT source.project, crash.kind,
         CASE WHEN crash.panic_text IS NULL OR crash.panic_text = '' THEN 'dump ' || substr(crash.dump_sha256, 1, 12)
              ELSE substr(crash.panic_text, 1, instr(crash.panic_text || char(10), char(10)) - 1) END AS title,
         count(*) AS crashes, count(DISTINCT crash.source_id) AS installs,
         count(DISTINCT crash.version) AS versions, min(crash.crashed_at) AS first_crashed_at,
         max(crash.crashed_at) AS last_crashed_at, max(crash.id) AS newest_id
    FROM crash
    JOIN source ON source.id = crash.source_id
   GROUP BY source.project, crash.kind, title
   ORDER BY crashes DESC, last_crashed_at DESC;

CREATE VIEW source_overview AS
  -- One row per source, the one heard from last first.
  SELECT source.id, source.project, source.install_id, source.platform, source.version, source.first_seen_at,
         source.last_seen_at,
         (SELECT count(*) FROM crash WHERE crash.source_id = source.id) AS crashes,
         (SELECT max(crash.crashed_at) FROM crash WHERE crash.source_id = source.id) AS last_crashed_at,
         (SELECT count(*) FROM log_file WHERE log_file.source_id = source.id) AS log_days,
         (SELECT coalesce(sum(log_file.bytes), 0) FROM log_file WHERE log_file.source_id = source.id) AS log_bytes
    FROM source
   ORDER BY source.last_seen_at DESC;

CREATE VIEW orphan_blob AS
  -- Blobs that nothing refers to any more: the janitor's next cycle deletes them.
  SELECT sha256, len, created_at, 'crashes/by-hash/' || substr(sha256, 1, 2) || '/' || sha256 || '.bin' AS path
    FROM blob
   WHERE refs = 0
   ORDER BY sha256;
