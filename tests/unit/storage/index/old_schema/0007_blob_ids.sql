-- Blobs by number. Hashes come in no order, so with a million of them every tree that is ordered by hash costs a report one
-- more page that no other report needs: read, written to the WAL, written again. There were three, now there is one, that
-- of blob.sha256; what refers to a blob does so by its id, and ids are given in the order in which blobs come.
--
-- The tables that change are made anew, under their names. Until the end foreign keys are off (index_open.c), and names in
-- views and triggers are left as they are.

PRAGMA legacy_alter_table = ON;
ALTER TABLE blob RENAME TO old_blob;
ALTER TABLE crash RENAME TO old_crash;
ALTER TABLE attachment RENAME TO old_attachment;
ALTER TABLE blob_use RENAME TO old_blob_use;

CREATE TABLE blob (
  -- One stored file, dump or attachment: crashes/by-hash/<first 2 digits>/<sha256>.bin, the bytes as they were sent.
  id         INTEGER PRIMARY KEY,
  sha256     TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  len        INTEGER NOT NULL CHECK (len >= 0),             -- bytes on disk
  refs       INTEGER NOT NULL DEFAULT 0 CHECK (refs >= 0),  -- uses as a dump or an attachment; kept by triggers
  created_at TEXT NOT NULL                                  -- milliseconds
             CHECK (created_at GLOB '*T*.*Z' AND length(created_at) = 24
                    AND datetime(created_at) IS NOT NULL),
  UNIQUE (id, sha256)                                       -- for those that refer to it, who tell both
) STRICT;

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
  source_project        TEXT NOT NULL,  -- the source's, here because an index cannot reach into another table
  FOREIGN KEY (dump_id, dump_sha256) REFERENCES blob (id, sha256),
  UNIQUE (source_id, crashed_at, dump_id)
) STRICT;

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

CREATE TABLE blob_use (
  -- Which projects use a blob, and how often. A project's blob counts once for it, however many of its crashes share it.
  blob_id INTEGER NOT NULL REFERENCES blob (id),
  project TEXT NOT NULL,
  uses    INTEGER NOT NULL CHECK (uses >= 0),
  PRIMARY KEY (blob_id, project)
) STRICT, WITHOUT ROWID;

INSERT INTO blob (sha256, len, refs, created_at) SELECT sha256, len, refs, created_at FROM old_blob ORDER BY created_at;
INSERT INTO crash (id, source_id, dump_id, dump_sha256, dump_content_encoding, kind, crashed_at, received_at, platform,
                   version, git_sha, profile, target_triple, panic_text, context, metadata, dedup, held, source_project)
  SELECT c.id, source_id, blob.id, dump_sha256, dump_content_encoding, kind, crashed_at, received_at, platform,
         version, git_sha, profile, target_triple, panic_text, context, metadata, dedup, held, source_project
    FROM old_crash AS c LEFT JOIN blob ON blob.sha256 = c.dump_sha256 ORDER BY c.id;
INSERT INTO attachment (crash_id, position, key, filename, content_type, content_encoding, blob_id, sha256, len, dedup)
  SELECT crash_id, position, key, filename, content_type, content_encoding, blob.id, a.sha256, a.len, dedup
    FROM old_attachment AS a LEFT JOIN blob ON blob.sha256 = a.sha256 ORDER BY crash_id, position;
INSERT INTO blob_use (blob_id, project, uses)
  SELECT blob.id, project, uses FROM old_blob_use AS u LEFT JOIN blob ON blob.sha256 = u.sha256 ORDER BY blob.id, project;

DELETE FROM sqlite_sequence WHERE name = 'crash';
INSERT INTO sqlite_sequence (name, seq) SELECT 'crash', seq FROM sqlite_sequence WHERE name = 'old_crash';

DROP TABLE old_blob_use;
DROP TABLE old_attachment;
DROP TABLE old_crash;
DROP TABLE old_blob;
PRAGMA legacy_alter_table = OFF;

-- What the janitor may delete. A blob is in here for an instant at its birth, and again when its last use is gone.
CREATE INDEX blob_unreferenced ON blob (sha256) WHERE refs = 0;
-- Which crashes use this dump? Also what makes deleting a blob cheap (the foreign key asks).
CREATE INDEX crash_by_dump ON crash (dump_id);
CREATE INDEX attachment_by_blob ON attachment (blob_id);
-- The others as they were (0005, 0006).
CREATE INDEX crash_by_received_at ON crash (received_at, held, source_id);
CREATE INDEX crash_by_project ON crash (source_project, received_at, held, platform, kind, source_id);
CREATE INDEX crash_of_version ON crash (version, received_at, source_project, platform, kind, source_id);
CREATE INDEX crash_of_platform ON crash (platform, received_at, kind, source_id);
CREATE INDEX crash_of_kind ON crash (kind, received_at, source_id);
CREATE INDEX crash_held ON crash (held, received_at) WHERE held = 1;

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
  -- Before the cascade, which comes when nothing tells an attachment's project any more.
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

-- usage: from uses to bytes.

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

-- How many crashes there are (0004, 0005).

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

-- The views that meet blob, now by id.

DROP VIEW crash_overview;
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

DROP VIEW shared_dump;
CREATE VIEW shared_dump AS
  -- Dumps that came more than once: the same report from several installs, or from one at several times.
  SELECT crash.dump_sha256, blob.len, count(*) AS crashes, count(DISTINCT crash.source_id) AS installs,
         count(DISTINCT crash.source_project) AS projects, min(crash.received_at) AS first_received_at,
         max(crash.received_at) AS last_received_at
    FROM crash
    JOIN blob ON blob.id = crash.dump_id
   GROUP BY crash.dump_id
  HAVING count(*) > 1;

DROP VIEW next_to_expire;
CREATE VIEW next_to_expire AS
  -- Crashes in the order in which retention takes them; what is held is not among them. frees_bytes: of its dump, when
  -- nothing else uses that.
  SELECT crash.id, crash.source_project AS project, crash.received_at, crash.version, crash.kind, crash.dump_sha256,
         blob.len AS dump_len, iif(blob.refs = 1, blob.len, 0) AS frees_bytes
    FROM crash
    JOIN blob ON blob.id = crash.dump_id
   WHERE crash.held = 0
   ORDER BY crash.received_at;

DROP VIEW held_crash;
CREATE VIEW held_crash AS
  -- What retention and caps leave alone, the oldest first.
  SELECT crash.id, crash.source_project AS project, source.install_id, crash.version, crash.kind, crash.received_at,
         crash.dump_sha256, blob.len AS dump_len, crash.panic_text
    FROM crash
    JOIN source ON source.id = crash.source_id
    JOIN blob ON blob.id = crash.dump_id
   WHERE crash.held = 1
   ORDER BY crash.received_at;
