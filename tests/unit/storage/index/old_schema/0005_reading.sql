-- What detritusctl asks of a million crashes: the newest of a version, of a platform, of a kind, without a look at the
-- others; and how many crashes a source has, without counting them.

-- Of few values each: a new crash goes to the end of its value's, in a page that the one before it wrote too. There is none
-- for a source's newest, which would write one more page for every crash: the UNIQUE index finds the crashes of a source,
-- and where those are too many to sort, the way through all crashes meets them often.
--
-- Behind the time stand the columns of the other filters: two that are frequent and never meet cost the reading of an
-- index then, and not of a hundred thousand rows. Of several that are frequent the first here is gone along, so each has
-- the ones behind it.
CREATE INDEX crash_of_version ON crash (version, received_at, source_project, platform, kind, source_id);
DROP INDEX crash_by_project;
CREATE INDEX crash_by_project ON crash (source_project, received_at, held, platform, kind, source_id);
CREATE INDEX crash_of_platform ON crash (platform, received_at, kind, source_id);
CREATE INDEX crash_of_kind ON crash (kind, received_at, source_id);
DROP INDEX crash_by_received_at;
CREATE INDEX crash_by_received_at ON crash (received_at, held, source_id);

-- An install_id without its project. Written once for each source.
CREATE INDEX source_by_install_id ON source (install_id);

-- How many crashes of a source are stored; kept by triggers. The row is written at each crash anyway (last_seen_at).
ALTER TABLE source ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
UPDATE source SET crashes = (SELECT count(*) FROM crash WHERE crash.source_id = source.id);

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

DROP VIEW source_overview;
CREATE VIEW source_overview AS
  -- One row per source, the one heard from last first.
  SELECT source.id, source.project, source.install_id, source.platform, source.version, source.first_seen_at,
         source.last_seen_at, source.crashes,
         (SELECT max(crash.crashed_at) FROM crash WHERE crash.source_id = source.id) AS last_crashed_at,
         (SELECT count(*) FROM log_file WHERE log_file.source_id = source.id) AS log_days,
         (SELECT coalesce(sum(log_file.bytes), 0) FROM log_file WHERE log_file.source_id = source.id) AS log_bytes
    FROM source
   ORDER BY source.last_seen_at DESC;
