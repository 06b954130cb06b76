-- How many crashes there are, so that a look at a million of them need not count them.

CREATE TABLE crash_count (
  -- One row a project and one for all together. Kept by triggers.
  project TEXT NOT NULL PRIMARY KEY,  -- '': all
  crashes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is there already, counted once.
INSERT INTO crash_count (project, crashes) SELECT source_project, count(*) FROM crash GROUP BY source_project;
INSERT INTO crash_count (project, crashes) VALUES ('', (SELECT count(*) FROM crash));

CREATE TRIGGER crash_inserted_count AFTER INSERT ON crash BEGIN
  INSERT INTO crash_count (project, crashes) VALUES (NEW.source_project, 1)
    ON CONFLICT (project) DO UPDATE SET crashes = crashes + 1;
  UPDATE crash_count SET crashes = crashes + 1 WHERE project = '';
END;
CREATE TRIGGER crash_deleted_count AFTER DELETE ON crash BEGIN
  UPDATE crash_count SET crashes = crashes - 1 WHERE project IN ('', OLD.source_project);
END;
