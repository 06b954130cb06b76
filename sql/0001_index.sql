-- detritus.db, the index of crashes, blobs, sources and log files. It is made to be opened: `sqlite3 -readonly
-- detritus.db` works beside a running daemon, and `.schema` shows the comments below. Names here are stable; later
-- versions only add columns. Only the daemon writes.
--
-- Times are UTC in RFC 3339 with a fixed number of fraction digits, so that the order of the texts is the order in time
-- and `>=`, `max()` and ORDER BY do what they say. Compare with a prefix: received_at >= '2026-05-19T08'.
--
-- Several columns are kept by triggers, so that no code path and no hand at the prompt can forget them. They save a
-- look at rows that may be a million.

CREATE TABLE source (
  -- One installation of one project: whoever sends logs or crashes.
  id            INTEGER PRIMARY KEY,
  project       TEXT NOT NULL CHECK (length(project) BETWEEN 1 AND 128
                                     AND project NOT GLOB '*[^A-Za-z0-9._@+:~-]*' AND project NOT GLOB '.*'),
  install_id    TEXT NOT NULL CHECK (length(install_id) BETWEEN 1 AND 128
                                     AND install_id NOT GLOB '*[^A-Za-z0-9._@+:~-]*' AND install_id NOT GLOB '.*'),
  platform      TEXT NOT NULL,  -- as last seen; '' when nothing has said it yet
  version       TEXT NOT NULL,  -- as last seen; '' likewise
  first_seen_at TEXT NOT NULL   -- milliseconds: 2026-05-19T08:30:00.000Z
                CHECK (first_seen_at GLOB '*T*.*Z' AND length(first_seen_at) = 24
                       AND datetime(first_seen_at) IS NOT NULL),
  last_seen_at  TEXT NOT NULL   -- milliseconds
                CHECK (last_seen_at GLOB '*T*.*Z' AND length(last_seen_at) = 24
                       AND datetime(last_seen_at) IS NOT NULL),
  crashes       INTEGER NOT NULL DEFAULT 0,  -- how many are stored; kept by triggers
  UNIQUE (project, install_id)
) STRICT;

-- An install_id without its project. Written once for each source.
CREATE INDEX source_by_install_id ON source (install_id);

CREATE TABLE blob (
  -- One stored file, dump or attachment: crashes/by-hash/<first 2 digits>/<sha256>.bin, the bytes as they were sent.
  -- What refers to a blob does so by its id. Hashes come in no order: each further tree in the order of hashes would
  -- cost every report a page that no other report needs, read, written to the WAL and written again. Ids come in the
  -- order in which blobs do.
  id         INTEGER PRIMARY KEY,
  sha256     TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  len        INTEGER NOT NULL CHECK (len >= 0),             -- bytes on disk
  refs       INTEGER NOT NULL DEFAULT 0 CHECK (refs >= 0),  -- uses as a dump or an attachment; kept by triggers
  created_at TEXT NOT NULL                                  -- milliseconds
             CHECK (created_at GLOB '*T*.*Z' AND length(created_at) = 24
                    AND datetime(created_at) IS NOT NULL),
  UNIQUE (id, sha256)                                       -- for what refers to a blob, which has both
) STRICT;

-- What the janitor may delete. A blob is in here for an instant at its birth, and again when its last use is gone.
CREATE INDEX blob_unreferenced ON blob (sha256) WHERE refs = 0;

CREATE TABLE crash (
  -- One crash report. The same source, crashed_at and dump are the same report, however often it is sent.
  id                    INTEGER PRIMARY KEY AUTOINCREMENT,  -- what detritusctl calls it; never used again
  source_id             INTEGER NOT NULL REFERENCES source (id),
  dump_id               INTEGER NOT NULL,  -- blob.id; who asks for a dump's crashes asks by this
  dump_sha256           TEXT NOT NULL,     -- of the same blob
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
  source_project        TEXT NOT NULL,  -- the source's, here because an index cannot reach into another table; and not
                                        -- called `project`, which in crash JOIN source is the source's
  FOREIGN KEY (dump_id, dump_sha256) REFERENCES blob (id, sha256),
  UNIQUE (source_id, crashed_at, dump_id)
) STRICT;

-- Which crashes use this dump? Also what makes deleting a blob cheap (the foreign key asks).
CREATE INDEX crash_by_dump ON crash (dump_id);
-- The few that are held, without a look at the others.
CREATE INDEX crash_held ON crash (held, received_at) WHERE held = 1;
-- Retention, and "the newest first". held rides along so that held crashes cost retention no row look-up.
CREATE INDEX crash_by_received_at ON crash (received_at, held, source_id);
-- Caps, and a project's newest.
CREATE INDEX crash_by_project ON crash (source_project, received_at, held, platform, kind, source_id);
-- The newest of a version, of a platform, of a kind, without a look at the others. Of few values each: a new crash goes
-- to the end of its value's part, in a page that the one before it wrote too. There is none for a source's newest,
-- which would write one more page for every crash: the UNIQUE index finds the crashes of a source, and where those are
-- too many to sort, the way through all crashes meets them often.
--
-- After the time stand the columns of the other filters: two that are frequent and never meet cost the reading of an
-- index then, and not of a hundred thousand rows. Of several that are frequent the first here is gone along, so each
-- has the ones after it.
CREATE INDEX crash_of_version ON crash (version, received_at, source_project, platform, kind, source_id);
CREATE INDEX crash_of_platform ON crash (platform, received_at, kind, source_id);
CREATE INDEX crash_of_kind ON crash (kind, received_at, source_id);

CREATE TABLE attachment (
  -- A further file of a crash report.
  crash_id         INTEGER NOT NULL REFERENCES crash (id) ON DELETE CASCADE,
  position         INTEGER NOT NULL CHECK (position >= 0),  -- 0, 1, ... in the order they were sent
  key              TEXT NOT NULL,
  filename         TEXT,              -- NULL: none was declared
  content_type     TEXT NOT NULL,
  content_encoding TEXT,              -- as dump_content_encoding
  blob_id          INTEGER NOT NULL,  -- blob.id
  sha256           TEXT NOT NULL,     -- of the same blob
  len              INTEGER NOT NULL CHECK (len >= 0),
  dedup            INTEGER NOT NULL CHECK (dedup IN (0, 1)),
  FOREIGN KEY (blob_id, sha256) REFERENCES blob (id, sha256),
  PRIMARY KEY (crash_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachment_by_blob ON attachment (blob_id);

CREATE TABLE log_file (
  -- One day of one source's log lines: logs/<project>/<install_id>/<day>.ndjson. Kept up every few seconds, so the
  -- newest day's figures trail the file a little.
  source_id      INTEGER NOT NULL REFERENCES source (id),
  day            TEXT NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'),  -- UTC day of receipt
  bytes          INTEGER NOT NULL CHECK (bytes >= 0),
  lines          INTEGER CHECK (lines >= 0),  -- NULL: the file is older than this database, nobody counted
  compressed     INTEGER NOT NULL DEFAULT 0 CHECK (compressed IN (0, 1)),
  source_project TEXT NOT NULL,               -- as in crash
  PRIMARY KEY (source_id, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX log_file_by_day ON log_file (day);
CREATE INDEX log_file_by_project ON log_file (source_project, day);
-- Compression: the plain files that are left, without a look at those that are compressed.
CREATE INDEX log_file_plain ON log_file (day, source_id) WHERE compressed = 0;

CREATE TABLE blob_use (
  -- Which projects use a blob, and how often. A project's blob counts once for it, however many of its crashes share
  -- it. Kept by triggers.
  blob_id INTEGER NOT NULL REFERENCES blob (id),
  project TEXT NOT NULL,
  uses    INTEGER NOT NULL CHECK (uses >= 0),
  PRIMARY KEY (blob_id, project)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
  -- Bytes stored, one row a project and one for all together, so that caps need no counting. Kept by triggers.
  project     TEXT NOT NULL PRIMARY KEY,  -- '': all, each blob once
  log_bytes   INTEGER NOT NULL DEFAULT 0, -- of log_file
  crash_bytes INTEGER NOT NULL DEFAULT 0  -- of the blobs that crashes use; those that nothing uses do not count
) STRICT, WITHOUT ROWID;

CREATE TABLE crash_count (
  -- How many crashes there are, one row a project and one for all together. Kept by triggers.
  project TEXT NOT NULL PRIMARY KEY,  -- '': all
  crashes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token_use (
  -- When a token was last shown and found good. Written at its first use and from then on at most once a minute, so a
  -- token in use trails by up to that. A row stays when its token leaves the token file.
  token_id     TEXT NOT NULL PRIMARY KEY CHECK (length(token_id) BETWEEN 1 AND 64),  -- `id` in the token file
  last_used_at TEXT NOT NULL                                                         -- milliseconds
               CHECK (last_used_at GLOB '*T*.*Z' AND length(last_used_at) = 24
                      AND datetime(last_used_at) IS NOT NULL)
) STRICT, WITHOUT ROWID;

INSERT INTO usage (project) VALUES ('');
INSERT INTO crash_count (project, crashes) VALUES ('', 0);

-- blob.refs: every use counts one.

CREATE TRIGGER crash_inserted AFTER INSERT ON crash BEGIN
  UPDATE blob SET refs = refs + 1 WHERE id = NEW.dump_id;
END;
CREATE TRIGGER crash_deleted AFTER DELETE ON crash BEGIN
  UPDATE blob SET refs = refs - 1 WHERE id = OLD.dump_id;
END;
CREATE TRIGGER crash_dump_changed AFTER UPDATE OF dump_id ON crash BEGIN
  UPDATE blob SET refs = refs - 1 WHERE id = OLD.dump_id;
  UPDATE blob SET refs = refs + 1 WHERE id = NEW.dump_id;
END;
CREATE TRIGGER attachment_inserted AFTER INSERT ON attachment BEGIN
  UPDATE blob SET refs = refs + 1 WHERE id = NEW.blob_id;
END;
CREATE TRIGGER attachment_deleted AFTER DELETE ON attachment BEGIN
  UPDATE blob SET refs = refs - 1 WHERE id = OLD.blob_id;
END;
CREATE TRIGGER attachment_blob_changed AFTER UPDATE OF blob_id ON attachment BEGIN
  UPDATE blob SET refs = refs - 1 WHERE id = OLD.blob_id;
  UPDATE blob SET refs = refs + 1 WHERE id = NEW.blob_id;
END;

-- blob_use: uses by project.

CREATE TRIGGER crash_inserted_use AFTER INSERT ON crash BEGIN
  INSERT INTO blob_use (blob_id, project, uses) VALUES (NEW.dump_id, NEW.source_project, 1)
    ON CONFLICT (blob_id, project) DO UPDATE SET uses = uses + 1;
END;
CREATE TRIGGER crash_deleting BEFORE DELETE ON crash BEGIN
  -- Before the cascade, which comes when nothing says any more which project an attachment is of.
  DELETE FROM attachment WHERE crash_id = OLD.id;
END;
CREATE TRIGGER crash_deleted_use AFTER DELETE ON crash BEGIN
  UPDATE blob_use SET uses = uses - 1 WHERE blob_id = OLD.dump_id AND project = OLD.source_project;
END;
CREATE TRIGGER crash_dump_changed_use AFTER UPDATE OF dump_id ON crash BEGIN
  UPDATE blob_use SET uses = uses - 1 WHERE blob_id = OLD.dump_id AND project = OLD.source_project;
  INSERT INTO blob_use (blob_id, project, uses) VALUES (NEW.dump_id, NEW.source_project, 1)
    ON CONFLICT (blob_id, project) DO UPDATE SET uses = uses + 1;
END;
CREATE TRIGGER attachment_inserted_use AFTER INSERT ON attachment BEGIN
  INSERT INTO blob_use (blob_id, project, uses) SELECT NEW.blob_id, source_project, 1 FROM crash WHERE id = NEW.crash_id
    ON CONFLICT (blob_id, project) DO UPDATE SET uses = uses + 1;
END;
CREATE TRIGGER attachment_deleted_use AFTER DELETE ON attachment BEGIN
  UPDATE blob_use SET uses = uses - 1
   WHERE blob_id = OLD.blob_id AND project = (SELECT source_project FROM crash WHERE id = OLD.crash_id);
END;
CREATE TRIGGER attachment_blob_changed_use AFTER UPDATE OF blob_id ON attachment BEGIN
  UPDATE blob_use SET uses = uses - 1
   WHERE blob_id = OLD.blob_id AND project = (SELECT source_project FROM crash WHERE id = OLD.crash_id);
  INSERT INTO blob_use (blob_id, project, uses) SELECT NEW.blob_id, source_project, 1 FROM crash WHERE id = NEW.crash_id
    ON CONFLICT (blob_id, project) DO UPDATE SET uses = uses + 1;
END;

-- usage. A project's first log file or blob makes its row.

CREATE TRIGGER log_file_inserted AFTER INSERT ON log_file BEGIN
  INSERT INTO usage (project, log_bytes) VALUES (NEW.source_project, NEW.bytes)
    ON CONFLICT (project) DO UPDATE SET log_bytes = log_bytes + excluded.log_bytes;
  UPDATE usage SET log_bytes = log_bytes + NEW.bytes WHERE project = '';
END;
CREATE TRIGGER log_file_deleted AFTER DELETE ON log_file BEGIN
  UPDATE usage SET log_bytes = log_bytes - OLD.bytes WHERE project IN ('', OLD.source_project);
END;
CREATE TRIGGER log_file_bytes_changed AFTER UPDATE OF bytes ON log_file BEGIN
  UPDATE usage SET log_bytes = log_bytes + NEW.bytes - OLD.bytes WHERE project IN ('', NEW.source_project);
END;
CREATE TRIGGER blob_use_inserted AFTER INSERT ON blob_use BEGIN
  INSERT INTO usage (project, crash_bytes) SELECT NEW.project, len FROM blob WHERE id = NEW.blob_id
    ON CONFLICT (project) DO UPDATE SET crash_bytes = crash_bytes + excluded.crash_bytes;
END;
CREATE TRIGGER blob_use_ended AFTER UPDATE OF uses ON blob_use WHEN NEW.uses = 0 BEGIN
  DELETE FROM blob_use WHERE blob_id = NEW.blob_id AND project = NEW.project;
  UPDATE usage SET crash_bytes = crash_bytes - (SELECT len FROM blob WHERE id = NEW.blob_id)
   WHERE project = NEW.project;
END;
CREATE TRIGGER blob_taken_up AFTER UPDATE OF refs ON blob WHEN OLD.refs = 0 AND NEW.refs > 0 BEGIN
  UPDATE usage SET crash_bytes = crash_bytes + NEW.len WHERE project = '';
END;
CREATE TRIGGER blob_let_go AFTER UPDATE OF refs ON blob WHEN OLD.refs > 0 AND NEW.refs = 0 BEGIN
  UPDATE usage SET crash_bytes = crash_bytes - NEW.len WHERE project = '';
END;
CREATE TRIGGER blob_len_changed AFTER UPDATE OF len ON blob WHEN OLD.len <> NEW.len BEGIN
  UPDATE usage SET crash_bytes = crash_bytes + NEW.len - OLD.len
   WHERE (project = '' AND NEW.refs > 0) OR project IN (SELECT project FROM blob_use WHERE blob_id = NEW.id);
END;

-- How many crashes there are.

CREATE TRIGGER crash_inserted_count AFTER INSERT ON crash BEGIN
  INSERT INTO crash_count (project, crashes) VALUES (NEW.source_project, 1)
    ON CONFLICT (project) DO UPDATE SET crashes = crashes + 1;
  UPDATE crash_count SET crashes = crashes + 1 WHERE project = '';
END;
CREATE TRIGGER crash_deleted_count AFTER DELETE ON crash BEGIN
  UPDATE crash_count SET crashes = crashes - 1 WHERE project IN ('', OLD.source_project);
END;
CREATE TRIGGER crash_inserted_source AFTER INSERT ON crash BEGIN
  UPDATE source SET crashes = crashes + 1 WHERE id = NEW.source_id;
END;
CREATE TRIGGER crash_deleted_source AFTER DELETE ON crash BEGIN
  UPDATE source SET crashes = crashes - 1 WHERE id = OLD.source_id;
END;
CREATE TRIGGER crash_source_changed AFTER UPDATE OF source_id ON crash BEGIN
  UPDATE source SET crashes = crashes - 1 WHERE id = OLD.source_id;
  UPDATE source SET crashes = crashes + 1 WHERE id = NEW.source_id;
END;

-- Views for people; docs/sql-cookbook.md asks with them.

CREATE VIEW crash_overview AS
  -- One row per crash, the newest receipt first.
  SELECT crash.id, source.project, source.install_id, crash.platform, crash.version, crash.kind, crash.crashed_at,
         crash.received_at, crash.dump_sha256, blob.len AS dump_len,
         (SELECT count(*) FROM attachment WHERE attachment.crash_id = crash.id) AS attachments,
         crash.panic_text, crash.held
    FROM crash
    JOIN source ON source.id = crash.source_id
    JOIN blob ON blob.id = crash.dump_id
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
  -- What crashes most: reports of the same title (see crash_title).
  SELECT source.project, crash_title.kind, crash_title.title, count(*) AS crashes,
         count(DISTINCT crash_title.source_id) AS installs, count(DISTINCT crash_title.version) AS versions,
         min(crash_title.crashed_at) AS first_crashed_at, max(crash_title.crashed_at) AS last_crashed_at,
         max(crash_title.id) AS newest_id
    FROM crash_title
    JOIN source ON source.id = crash_title.source_id
   GROUP BY source.project, crash_title.kind, crash_title.title
   ORDER BY crashes DESC, last_crashed_at DESC;

CREATE VIEW source_overview AS
  -- One row per source, the one heard from last first.
  SELECT source.id, source.project, source.install_id, source.platform, source.version, source.first_seen_at,
         source.last_seen_at, source.crashes,
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

CREATE VIEW crash_title AS
  -- One row per crash, with what it is called: the first line of its panic text; without one, its dump. Of Rust's
  -- "thread 'main' panicked at src/x.rs:1:2:" and the message on the next line, the thread and the place in the file do
  -- not count: "src/x.rs: the message".
  SELECT id, source_project AS project, source_id, platform, version, kind, crashed_at, received_at, held, dump_sha256,
         CASE WHEN crash.panic_text IS NULL OR crash.panic_text = '' THEN 'dump ' || substr(crash.dump_sha256, 1, 12)
              WHEN crash.panic_text GLOB 'thread ''*'' *panicked at *:[0-9]*:[0-9]*:' || char(10) || '*'
              THEN rtrim(substr(crash.panic_text, instr(crash.panic_text, ' panicked at ') + 13,
                                instr(crash.panic_text, char(10)) - instr(crash.panic_text, ' panicked at ') - 13),
                         ':0123456789') || ': '
                   || substr(crash.panic_text, instr(crash.panic_text, char(10)) + 1,
                             instr(substr(crash.panic_text, instr(crash.panic_text, char(10)) + 1) || char(10), char(10)) - 1)
              WHEN crash.panic_text GLOB 'thread ''*'' *panicked at *'
              THEN rtrim(substr(crash.panic_text, instr(crash.panic_text, ' panicked at ') + 13,
                                instr(crash.panic_text || char(10), char(10)) - instr(crash.panic_text, ' panicked at ') - 13),
                         ':0123456789')
              ELSE substr(crash.panic_text, 1, instr(crash.panic_text || char(10), char(10)) - 1) END AS title
    FROM crash;

CREATE VIEW version_health AS
  -- How each version does on the installs that run it now: how many there are, how many of them it crashed on.
  SELECT source.project, source.version, count(*) AS installs, count(crashed.source_id) AS crashed_installs,
         coalesce(sum(crashed.crashes), 0) AS crashes,
         round(100.0 * (count(*) - count(crashed.source_id)) / count(*), 2) AS crash_free_percent
    FROM source
    LEFT JOIN (SELECT source_id, version, count(*) AS crashes FROM crash GROUP BY source_id, version) AS crashed
           ON crashed.source_id = source.id AND crashed.version = source.version
   GROUP BY source.project, source.version
   ORDER BY source.project, installs DESC;

CREATE VIEW storage_by_project AS
  -- Who fills the disk. A blob that several projects use counts for each of them.
  SELECT project, log_bytes, crash_bytes, log_bytes + crash_bytes AS bytes
    FROM usage
   WHERE project <> ''
   ORDER BY bytes DESC;

CREATE VIEW log_volume_by_day AS
  -- Log lines as they came in, the newest day first. lines is NULL where nobody counted; bytes are those on disk.
  SELECT day, source_project AS project, count(*) AS sources, sum(lines) AS lines, sum(bytes) AS bytes,
         sum(compressed) AS compressed_files
    FROM log_file
   GROUP BY day, source_project
   ORDER BY day DESC, project;

CREATE VIEW silent_source AS
  -- Sources by how long nothing has come from them, the longest first.
  SELECT id, project, install_id, platform, version, last_seen_at,
         round(julianday('now') - julianday(last_seen_at), 1) AS silent_days
    FROM source
   ORDER BY last_seen_at;

CREATE VIEW shared_dump AS
  -- Dumps that came more than once: the same report from several installs, or from one at several times.
  SELECT crash.dump_sha256, blob.len, count(*) AS crashes, count(DISTINCT crash.source_id) AS installs,
         count(DISTINCT crash.source_project) AS projects, min(crash.received_at) AS first_received_at,
         max(crash.received_at) AS last_received_at
    FROM crash
    JOIN blob ON blob.id = crash.dump_id
   GROUP BY crash.dump_id
  HAVING count(*) > 1;

CREATE VIEW next_to_expire AS
  -- Crashes in the order in which retention takes them; what is held is not among them. frees_bytes: of its dump, when
  -- nothing else uses that.
  SELECT crash.id, crash.source_project AS project, crash.received_at, crash.version, crash.kind, crash.dump_sha256,
         blob.len AS dump_len, iif(blob.refs = 1, blob.len, 0) AS frees_bytes
    FROM crash
    JOIN blob ON blob.id = crash.dump_id
   WHERE crash.held = 0
   ORDER BY crash.received_at;

CREATE VIEW held_crash AS
  -- What retention and caps leave alone, the oldest first.
  SELECT crash.id, crash.source_project AS project, source.install_id, crash.version, crash.kind, crash.received_at,
         crash.dump_sha256, blob.len AS dump_len, crash.panic_text
    FROM crash
    JOIN source ON source.id = crash.source_id
    JOIN blob ON blob.id = crash.dump_id
   WHERE crash.held = 1
   ORDER BY crash.received_at;
