-- Makes a table again that others refer to, and a column.
PRAGMA legacy_alter_table = ON;
ALTER TABLE source RENAME TO old_source;
CREATE TABLE source (
  id INTEGER PRIMARY KEY, project TEXT NOT NULL, install_id TEXT NOT NULL, platform TEXT NOT NULL, version TEXT NOT NULL,
  first_seen_at TEXT NOT NULL, last_seen_at TEXT NOT NULL, crashes INTEGER NOT NULL DEFAULT 0, note TEXT,
  UNIQUE (project, install_id)
) STRICT;
INSERT INTO source SELECT *, 'kept' FROM old_source;
DROP TABLE old_source;
PRAGMA legacy_alter_table = OFF;
CREATE INDEX source_by_install_id ON source (install_id);
