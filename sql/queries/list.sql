-- Lists for people (storage/index/index_list.c, index_list_sources.c).
--
-- Lists of crashes show the newest receipt first. Each walk goes along one index; ?1 is what the index begins with. The
-- other filters are looked at entry by entry, in the index where it has their columns; a filter that is NULL costs
-- nothing. INDEXED BY, because without statistics the planner cannot know which of two filters leaves less;
-- index_list.c does.

-- part: filters
-- ?5 project, ?6 version, ?7 platform, ?8 kind, ?9 install_id.
(?5 IS NULL OR crash.source_project = ?5) AND (?6 IS NULL OR crash.version = ?6)
   AND (?7 IS NULL OR crash.platform = ?7) AND (?8 IS NULL OR crash.kind = ?8)
   AND (?9 IS NULL OR crash.source_id IN (SELECT id FROM source WHERE install_id = ?9))

-- part: walked
-- ?10: is panic_text wanted?
crash.id, crash.received_at, iif(?10, crash.panic_text, NULL)

-- part: within
-- From ?2 to (?3, ?4), a received_at and an id; the row at (?3, ?4) itself is out.
crash.received_at >= ?2 AND crash.received_at <= ?3 AND (crash.received_at < ?3 OR crash.id < ?4) AND {filters}
 ORDER BY crash.received_at DESC, crash.id DESC

-- part: of_install
source_id IN (SELECT id FROM source WHERE install_id = ?1 AND (?5 IS NULL OR project = ?5))

-- name: walk_by_time
SELECT {walked} FROM crash INDEXED BY crash_by_received_at WHERE ?1 IS NULL AND {within}

-- name: walk_by_project
SELECT {walked} FROM crash INDEXED BY crash_by_project WHERE crash.source_project = ?1 AND {within}

-- name: walk_by_version
SELECT {walked} FROM crash INDEXED BY crash_of_version WHERE crash.version = ?1 AND {within}

-- name: walk_by_platform
SELECT {walked} FROM crash INDEXED BY crash_of_platform WHERE crash.platform = ?1 AND {within}

-- name: walk_by_kind
SELECT {walked} FROM crash INDEXED BY crash_of_kind WHERE crash.kind = ?1 AND {within}

-- name: walk_by_install
-- plan: sorts
-- Only when they are few.
SELECT {walked} FROM crash INDEXED BY sqlite_autoindex_crash_1 WHERE crash.{of_install} AND {within}

-- name: count_by_project
-- How many are between ?2 and ?3, at most ?4; so are the next ones.
SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY crash_by_project
                       WHERE source_project = ?1 AND received_at >= ?2 AND received_at <= ?3 LIMIT ?4)

-- name: count_by_version
SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY crash_of_version
                       WHERE version = ?1 AND received_at >= ?2 AND received_at <= ?3 LIMIT ?4)

-- name: count_by_platform
SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY crash_of_platform
                       WHERE platform = ?1 AND received_at >= ?2 AND received_at <= ?3 LIMIT ?4)

-- name: count_by_kind
SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY crash_of_kind
                       WHERE kind = ?1 AND received_at >= ?2 AND received_at <= ?3 LIMIT ?4)

-- name: count_by_install
-- Of any time. ?5 project.
SELECT count(*) FROM (SELECT 1 FROM crash INDEXED BY sqlite_autoindex_crash_1 WHERE {of_install} LIMIT ?4)

-- name: new_crashes
-- ?1 id after which it goes on, ?2 limit, ?3 since, ?4 until, the filters, ?10 what panic_text must have.
SELECT crash.id FROM crash NOT INDEXED
 WHERE crash.id > ?1 AND crash.received_at >= ?3 AND crash.received_at < ?4 AND {filters}
   AND (?10 IS NULL OR instr(lower(crash.panic_text), lower(?10)) > 0)
 ORDER BY crash.id LIMIT ?2

-- name: newest_crash
SELECT coalesce(max(id), 0) FROM crash

-- name: data_version
-- plan: none
PRAGMA data_version

-- name: list_crash
-- ?1 id. One row of a list.
SELECT json_object('id', id, 'project', project, 'install_id', install_id, 'platform', platform, 'version', version,
                   'kind', kind, 'crashed_at', crashed_at, 'received_at', received_at, 'dump_sha256', dump_sha256,
                   'dump_len', dump_len, 'attachments', attachments, 'panic_text', panic_text,
                   'held', json(iif(held, 'true', 'false')))
  FROM crash_overview WHERE id = ?1

-- name: show_crash
-- ?1 id. Everything that is known of a crash.
SELECT json_object('id', o.id, 'project', o.project, 'install_id', o.install_id, 'platform', o.platform,
         'version', o.version, 'kind', o.kind, 'crashed_at', o.crashed_at, 'received_at', o.received_at,
         'git_sha', crash.git_sha, 'profile', crash.profile, 'target_triple', crash.target_triple,
         'held', json(iif(o.held, 'true', 'false')),
         'dump', json_object('sha256', o.dump_sha256, 'len', o.dump_len,
           'content_encoding', crash.dump_content_encoding,
           'path', 'crashes/by-hash/' || substr(o.dump_sha256, 1, 2) || '/' || o.dump_sha256 || '.bin',
           'dedup', json(iif(crash.dedup, 'true', 'false'))),
         'attachments', (SELECT json_group_array(json_object('key', a.key, 'filename', a.filename,
             'content_type', a.content_type, 'content_encoding', a.content_encoding, 'sha256', a.sha256, 'len', a.len,
             'path', 'crashes/by-hash/' || substr(a.sha256, 1, 2) || '/' || a.sha256 || '.bin',
             'dedup', json(iif(a.dedup, 'true', 'false'))))
           FROM (SELECT * FROM attachment WHERE attachment.crash_id = ?1 ORDER BY position) AS a),
         'panic_text', o.panic_text, 'context', json(crash.context))
  FROM crash_overview AS o JOIN crash ON crash.id = o.id WHERE o.id = ?1

-- name: find_crashes
-- plan: sorts
-- ?1 how the dump's sha256 begins, ?2 limit. Those of one dump are few.
SELECT crash.id FROM blob JOIN crash ON crash.dump_id = blob.id
 WHERE blob.sha256 >= ?1 AND blob.sha256 < ?1 || 'g' ORDER BY crash.id DESC LIMIT ?2

-- name: list_sources
-- plan: sorts
-- ?1 project (NULL: any), ?2 last_seen_at and ?3 id after which it goes on, ?4 limit. There is one row a source.
SELECT json_object('id', id, 'project', project, 'install_id', install_id, 'platform', platform, 'version', version,
         'first_seen_at', first_seen_at, 'last_seen_at', last_seen_at, 'crashes', crashes,
         'last_crashed_at', (SELECT max(crashed_at) FROM crash WHERE crash.source_id = s.id),
         'log_days', (SELECT count(*) FROM log_file WHERE log_file.source_id = s.id),
         'log_bytes', (SELECT coalesce(sum(bytes), 0) FROM log_file WHERE log_file.source_id = s.id)),
       id, last_seen_at
  FROM (SELECT * FROM source WHERE (?1 IS NULL OR project = ?1) AND (last_seen_at, id) < (?2, ?3)
         ORDER BY last_seen_at DESC, id DESC LIMIT ?4) AS s

-- name: show_source
-- ?1 id, ?2 how many of its crashes are shown.
SELECT json_object('id', id, 'project', project, 'install_id', install_id, 'platform', platform, 'version', version,
         'first_seen_at', first_seen_at, 'last_seen_at', last_seen_at, 'crashes', crashes,
         'newest_crashes', (SELECT json_group_array(json_object('id', c.id, 'kind', c.kind, 'version', c.version,
             'crashed_at', c.crashed_at, 'panic_text', c.panic_text))
           FROM (SELECT * FROM crash WHERE source_id = ?1 ORDER BY crashed_at DESC LIMIT ?2) AS c),
         'log_files', (SELECT json_group_array(json_object('day', f.day, 'bytes', f.bytes, 'lines', f.lines,
             'compressed', json(iif(f.compressed, 'true', 'false'))))
           FROM (SELECT * FROM log_file WHERE source_id = ?1 ORDER BY day DESC) AS f))
  FROM source WHERE id = ?1

-- name: find_sources
-- ?1 install_id, ?2 project (NULL: any), ?3 limit.
SELECT id FROM source WHERE install_id = ?1 AND (?2 IS NULL OR project = ?2) ORDER BY id LIMIT ?3

-- name: token_uses
SELECT token_id, last_used_at FROM token_use ORDER BY token_id

-- name: counts
-- ?1 the most that is counted of what has no counter, ?2 since.
SELECT (SELECT crashes FROM crash_count WHERE project = ''),
       (SELECT count(*) FROM (SELECT 1 FROM source ORDER BY project, install_id LIMIT ?1)),
       (SELECT count(*) FROM (SELECT 1 FROM crash WHERE received_at >= ?2 ORDER BY received_at LIMIT ?1)),
       (SELECT max(received_at) FROM crash)

-- name: log_activity
-- ?1 day, ?2 limit.
SELECT source.project, source.install_id, log_file.bytes, log_file.lines, 0
  FROM log_file JOIN source ON source.id = log_file.source_id WHERE log_file.day = ?1 LIMIT ?2

-- name: crash_activity
-- plan: sorts
-- ?1 since, ?2 how many of the newest crashes are looked at.
SELECT source.project, source.install_id, 0, 0, count(*)
  FROM (SELECT source_id FROM crash WHERE received_at >= ?1 ORDER BY received_at DESC LIMIT ?2) AS c
  JOIN source ON source.id = c.source_id GROUP BY c.source_id
