-- Views named for questions, and when each token was used last. docs/sql-cookbook.md asks with them.

CREATE TABLE token_use (
  -- When a token was last shown and found good. Written at its first use and from then on at most once a minute, so a
  -- token in use trails by up to that. A row stays when its token leaves the token file.
  token_id     TEXT NOT NULL PRIMARY KEY CHECK (length(token_id) BETWEEN 1 AND 64),  -- `id` in the token file
  last_used_at TEXT NOT NULL                                                         -- milliseconds
               CHECK (last_used_at GLOB '*T*.*Z' AND length(last_used_at) = 24
                      AND datetime(last_used_at) IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- The few that are held, without a look at the others.
CREATE INDEX crash_held ON crash (held, received_at) WHERE held = 1;

CREATE VIEW crash_title AS
  -- One row per crash, with what it is called: the first line of its panic text; without one, its dump.
  SELECT id, source_project AS project, source_id, platform, version, kind, crashed_at, received_at, held, dump_sha256,
         CASE WHEN panic_text IS NULL OR panic_text = '' THEN 'dump ' || substr(dump_sha256, 1, 12)
              ELSE substr(panic_text, 1, instr(panic_text || char(10), char(10)) - 1) END AS title
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
    JOIN blob ON blob.sha256 = crash.dump_sha256
   GROUP BY crash.dump_sha256
  HAVING count(*) > 1;

CREATE VIEW next_to_expire AS
  -- Crashes in the order in which retention takes them; what is held is not among them. frees_bytes: of its dump, when
  -- nothing else uses that.
  SELECT crash.id, crash.source_project AS project, crash.received_at, crash.version, crash.kind, crash.dump_sha256,
         blob.len AS dump_len, iif(blob.refs = 1, blob.len, 0) AS frees_bytes
    FROM crash
    JOIN blob ON blob.sha256 = crash.dump_sha256
   WHERE crash.held = 0
   ORDER BY crash.received_at;

CREATE VIEW held_crash AS
  -- What retention and caps leave alone, the oldest first.
  SELECT crash.id, crash.source_project AS project, source.install_id, crash.version, crash.kind, crash.received_at,
         crash.dump_sha256, blob.len AS dump_len, crash.panic_text
    FROM crash
    JOIN source ON source.id = crash.source_id
    JOIN blob ON blob.sha256 = crash.dump_sha256
   WHERE crash.held = 1
   ORDER BY crash.received_at;
