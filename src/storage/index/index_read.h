#pragma once
/* Single rows of the index by their keys, and all rows a page at a time. Any `struct index`; short statements. */

#include "storage/index/index.h"

/* Is this report (same source, timestamp, dump hash) there already? *ret_id: its id, 0 when not. */
int index_has_crash(struct index *x, const struct crash_metadata *m, const char *dump_sha256, int64_t *ret_id);
/* Hands out a stored report as it was inserted, for its mirror file; cb's result is returned. -ENOENT. */
typedef int (*index_report_cb)(void *userdata, const struct index_crash *crash);
int index_read_crash(struct index *x, int64_t id, index_report_cb cb, void *userdata);
/* Its row, and whether it is held. cb may be NULL. -ENOENT. */
int index_crash_by_id(struct index *x, int64_t id, index_crash_cb cb, void *userdata, bool *ret_held);

int index_has_blob(struct index *x, const char *sha256, bool *ret);
int index_find_blob(struct index *x, const char *sha256, uint64_t *ret_len); /* -ENOENT */

int index_has_log_file(struct index *x, const struct source *source, const char *day, bool *ret);
int index_find_log_file(struct index *x, const struct source *source, const char *day, index_log_file_cb cb,
                        void *userdata); /* -ENOENT */

/* What a project has stored ("": all together). A blob that several projects use counts for each of them. */
struct index_usage {
        uint64_t log_bytes, crash_bytes;
};
int index_usage(struct index *x, const char *project, struct index_usage *ret);

/* ---- pages ---- */

/* The first `max` rows after a key, in the order of keys. A page without a row is the last. The key's text may change
 * while the callback runs. */
int index_crashes_after(struct index *x, int64_t id, unsigned max, index_crash_cb cb, void *userdata);
int index_blobs_after(struct index *x, const char *sha256, unsigned max, index_blob_cb cb, void *userdata);
int index_log_files_after(struct index *x, const struct index_log_file_key *after, unsigned max, index_log_file_cb cb,
                          void *userdata);
/* Only plain log files of the newest day and the day before it, or of which no byte is known. */
int index_newest_log_files(struct index *x, const struct index_log_file_key *after, unsigned max, index_log_file_cb cb,
                           void *userdata);
