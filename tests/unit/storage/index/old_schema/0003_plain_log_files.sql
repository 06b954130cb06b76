-- Compression: the plain files that are left, without a look at those that are compressed.
CREATE INDEX log_file_plain ON log_file (day, source_id) WHERE compressed = 0;
