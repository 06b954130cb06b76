-- What is stored, by project, so that caps need no counting; and the oldest of a project without looking at the others.

-- The source's. Here too, because an index cannot reach into another table; and not called `project`, so that what people
-- ask of crash JOIN source still knows which one is meant.
ALTER TABLE crash ADD COLUMN source_project TEXT NOT NULL DEFAULT '';
ALTER TABLE log_file ADD COLUMN source_project TEXT NOT NULL DEFAULT '';
UPDATE crash SET source_project = (SELECT project FROM source WHERE source.id = crash.source_id);
UPDATE log_file SET source_project = (SELECT project FROM source WHERE source.id = log_file.source_id);

-- Eviction: a project's oldest.
CREATE INDEX crash_by_project ON crash (source_project, received_at, held);
CREATE INDEX log_file_by_project ON log_file (source_project, day);

CREATE TABLE blob_use (
  -- Which projects use a blob, and how often. A project's blob counts once for it, however many of its crashes share it.
  sha256  TEXT NOT NULL REFERENCES blob (sha256),
  project TEXT NOT NULL,
  uses    INTEGER NOT NULL CHECK (uses >= 0),
  PRIMARY KEY (sha256, project)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
  -- Bytes stored, one row a project and one for all together. Kept by triggers.
  project     TEXT NOT NULL PRIMARY KEY,  -- '': all, each blob once
  log_bytes   INTEGER NOT NULL DEFAULT 0, -- of log_file
  crash_bytes INTEGER NOT NULL DEFAULT 0  -- of the blobs that crashes use; those that nothing uses any more do not count
) STRICT, WITHOUT ROWID;

-- What is there already, counted once.
INSERT INTO blob_use (sha256, project, uses)
  SELECT sha256, project, count(*)
    FROM (SELECT dump_sha256 AS sha256, source_project AS project FROM crash
          UNION ALL
          SELECT attachment.sha256, crash.source_project FROM attachment JOIN crash ON crash.id = attachment.crash_id)
   GROUP BY sha256, project;
INSERT INTO usage (project, log_bytes, crash_bytes)
  SELECT project, sum(log_bytes), sum(crash_bytes)
    FROM (SELECT source_project AS project, bytes AS log_bytes, 0 AS crash_bytes FROM log_file
          UNION ALL
          SELECT blob_use.project, 0, blob.len FROM blob_use JOIN blob ON blob.sha256 = blob_use.sha256)
   GROUP BY project;
INSERT INTO usage (project, log_bytes, crash_bytes)
  VALUES ('', (SELECT coalesce(sum(bytes), 0) FROM log_file), (SELECT coalesce(sum(len), 0) FROM blob WHERE refs > 0));

-- A project's first log file or blob makes its row.

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

-- Uses by project.

CREATE TRIGGER crash_inserted_use AFTER INSERT ON crash BEGIN
  INSERT INTO blob_use (sha256, project, uses) VALUES (NEW.dump_sha256, NEW.source_project, 1)
    ON CONFLICT (sha256, project) DO UPDATE SET uses = uses + 1;
END;
CREATE TRIGGER crash_deleting BEFORE DELETE ON crash BEGIN
  -- Before the cascade, which comes when nothing tells an attachment's project any more.
  DELETE FROM attachment WHERE crash_id = OLD.id;
END;
CREATE TRIGGER crash_deleted_use AFTER DELETE ON crash BEGIN
  UPDATE blob_use SET uses = uses - 1 WHERE sha256 = OLD.dump_sha256 AND project = OLD.source_project;
END;
CREATE TRIGGER crash_dump_changed_use AFTER UPDATE OF dump_sha256 ON crash BEGIN
  UPDATE blob_use SET uses = uses - 1 WHERE sha256 = OLD.dump_sha256 AND project = OLD.source_project;
  INSERT INTO blob_use (sha256, project, uses) VALUES (NEW.dump_sha256, NEW.source_project, 1)
    ON CONFLICT (sha256, project) DO UPDATE SET uses = uses + 1;
END;
CREATE TRIGGER attachment_inserted_use AFTER INSERT ON attachment BEGIN
  INSERT INTO blob_use (sha256, project, uses) SELECT NEW.sha256, source_project, 1 FROM crash WHERE id = NEW.crash_id
    ON CONFLICT (sha256, project) DO UPDATE SET uses = uses + 1;
END;
CREATE TRIGGER attachment_deleted_use AFTER DELETE ON attachment BEGIN
  UPDATE blob_use SET uses = uses - 1
   WHERE sha256 = OLD.sha256 AND project = (SELECT source_project FROM crash WHERE id = OLD.crash_id);
END;
CREATE TRIGGER attachment_blob_changed_use AFTER UPDATE OF sha256 ON attachment BEGIN
  UPDATE blob_use SET uses = uses - 1
   WHERE sha256 = OLD.sha256 AND project = (SELECT source_project FROM crash WHERE id = OLD.crash_id);
  INSERT INTO blob_use (sha256, project, uses) SELECT NEW.sha256, source_project, 1 FROM crash WHERE id = NEW.crash_id
    ON CONFLICT (sha256, project) DO UPDATE SET uses = uses + 1;
END;

-- From uses to bytes.

CREATE TRIGGER blob_use_inserted AFTER INSERT ON blob_use BEGIN
  INSERT INTO usage (project, crash_bytes) SELECT NEW.project, len FROM blob WHERE sha256 = NEW.sha256
    ON CONFLICT (project) DO UPDATE SET crash_bytes = crash_bytes + excluded.crash_bytes;
END;
CREATE TRIGGER blob_use_ended AFTER UPDATE OF uses ON blob_use WHEN NEW.uses = 0 BEGIN
  DELETE FROM blob_use WHERE sha256 = NEW.sha256 AND project = NEW.project;
  UPDATE usage SET crash_bytes = crash_bytes - (SELECT len FROM blob WHERE sha256 = NEW.sha256)
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
   WHERE (project = '' AND NEW.refs > 0) OR project IN (SELECT project FROM blob_use WHERE sha256 = NEW.sha256);
END;
