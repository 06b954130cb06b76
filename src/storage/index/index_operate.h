#pragma once
/* What operators order: purges of a project or a source, holding, and surveys of what a deletion would delete. */

#include "storage/index/index.h"

/* Which crashes or log files: those of a project, of one source of it, or all that are older than something. */
struct index_scope {
        const char *project;    /* NULL: all; then neither of the next two */
        const char *install_id; /* NULL: all of the project */
        bool held_too;
        struct moment received_before; /* crashes */
        const char *day_before;        /* log files */
};

int index_set_held(struct index *x, int64_t id, bool held);
/* Of a project or a source, at most `max`, in no order that is promised. */
int index_purge_crashes(struct index *x, const struct index_scope *scope, unsigned max, index_crash_cb cb, void *ud);
int index_purge_log_files(struct index *x, const struct index_scope *scope, unsigned max, index_log_file_cb cb,
                          void *ud);
/* The install ids of a project after one, in order. */
typedef int (*index_text_cb)(void *userdata, const char *text);
int index_project_sources(struct index *x, const char *project, const char *install_id, unsigned max, index_text_cb cb,
                          void *ud);
/* When neither crashes nor log files belong to it any more; *ret_deleted says whether. */
int index_delete_source(struct index *x, const char *project, const char *install_id, bool *ret_deleted);

/* What a deletion would delete. Reads all rows in question, for a read-only index: the index writer must not wait for
 * that. */
struct index_survey {
        uint64_t crashes, blobs, blob_bytes, log_files, log_bytes;
        uint64_t held; /* crashes of the scope that stay because they are held */
};
int index_survey(struct index *x, const struct index_scope *scope, struct index_survey *ret);
/* Adds the blobs that nothing uses. */
int index_survey_orphans(struct index *x, struct index_survey *add);
