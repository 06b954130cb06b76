-- What statements of several files have in common. A part stands in a statement as {its name}.

-- part: crash_row
crash.id, source.project, source.install_id, crash.crashed_at, crash.dump_sha256, crash.held
  FROM crash JOIN source ON source.id = crash.source_id

-- part: log_file_row
log_file.source_id, source.project, source.install_id, log_file.day, log_file.bytes, log_file.compressed
  FROM log_file JOIN source ON source.id = log_file.source_id
