#pragma once
/* What retention asks of the index, and deletions. Everything goes by index, a bounded number of rows at a time: at
 * most `max` rows come through the callback. */

#include "storage/index/index.h"

/* Both moments, or days, are themselves left out. */
struct index_expired {
        struct moment received_before, received_after; /* crashes */
        const char *day_before, *day_after;            /* log files */
};
/* Oldest first; held crashes never expire. */
int index_expired_crashes(struct index *x, const struct index_expired *e, unsigned max, index_crash_cb cb, void *ud);
int index_expired_log_files(struct index *x, const struct index_expired *e, unsigned max, index_log_file_cb cb,
                            void *ud);
/* Blobs that nothing uses, in no order that is promised. */
int index_orphan_blobs(struct index *x, unsigned max, index_blob_cb cb, void *ud);
/* Plain ones, in the order of day and source. */
int index_plain_log_files(struct index *x, const struct index_log_file_key *after, const char *day_before, unsigned max,
                          index_log_file_cb cb, void *ud);

/* For caps: a project's oldest crashes that are not held, and its oldest log files. */
int index_project_crashes(struct index *x, const char *project, unsigned max, index_crash_cb cb, void *ud);
int index_project_log_files(struct index *x, const char *project, const char *day_before, unsigned max,
                            index_log_file_cb cb, void *ud);

/* Sources of which nothing is stored any more, with ids after one up to another. */
int index_last_source(struct index *x, int64_t *ret_id); /* 0: there is none */
int index_delete_empty_sources(struct index *x, int64_t after, int64_t up_to, size_t *ret_deleted);

/* Of a row that is not there: 0. */
int index_delete_crash(struct index *x, int64_t id);
int index_delete_blob(struct index *x, const char *sha256); /* only while nothing uses it */
int index_delete_log_file(struct index *x, int64_t source_id, const char *day);
