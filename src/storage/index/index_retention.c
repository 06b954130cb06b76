/* What retention asks of the index: what is too old, what is beyond a cap, what nothing refers to; and deletions. */
#include "storage/index/index_retention.h"

#include "storage/index/index_internal.h"

int index_expired_crashes(struct index *x, const struct index_expired *e, unsigned max, index_crash_cb cb, void *ud)
{
        return index_each_crash(x, INDEX_EXPIRED_CRASHES,
                                ARGS(arg_received(e->received_before), arg_received(e->received_after), arg_int(max)),
                                cb, ud);
}

int index_expired_log_files(struct index *x, const struct index_expired *e, unsigned max, index_log_file_cb cb,
                            void *ud)
{
        return index_each_log_file(x, INDEX_EXPIRED_LOG_FILES,
                                   ARGS(arg_text(e->day_before), arg_text(e->day_after), arg_int(max)), cb, ud);
}

int index_orphan_blobs(struct index *x, unsigned max, index_blob_cb cb, void *ud)
{
        return index_each_blob(x, INDEX_ORPHAN_BLOBS, ARGS(arg_int(max)), cb, ud);
}

int index_plain_log_files(struct index *x, const struct index_log_file_key *after, const char *day_before, unsigned max,
                          index_log_file_cb cb, void *ud)
{
        return index_each_log_file(
                x, INDEX_PLAIN_LOG_FILES,
                ARGS(arg_copy(after->day), arg_int(after->source_id), arg_text(day_before), arg_int(max)), cb, ud);
}

int index_project_crashes(struct index *x, const char *project, unsigned max, index_crash_cb cb, void *ud)
{
        return index_each_crash(x, INDEX_PROJECT_CRASHES, ARGS(arg_text(project), arg_int(max)), cb, ud);
}

int index_project_log_files(struct index *x, const char *project, const char *day_before, unsigned max,
                            index_log_file_cb cb, void *ud)
{
        return index_each_log_file(x, INDEX_PROJECT_LOG_FILES,
                                   ARGS(arg_text(project), arg_text(day_before), arg_int(max)), cb, ud);
}

int index_last_source(struct index *x, int64_t *ret_id)
{
        return index_number(x, INDEX_LAST_SOURCE, NO_ARGS, ret_id);
}

int index_delete_empty_sources(struct index *x, int64_t after, int64_t up_to, size_t *ret_deleted)
{
        int r = index_run(x, INDEX_DELETE_EMPTY_SOURCES, ARGS(arg_int(after), arg_int(up_to)));
        if (r == 0)
                *ret_deleted = (size_t)sqlite3_changes(x->db);
        return r;
}

int index_delete_crash(struct index *x, int64_t id)
{
        return index_run(x, INDEX_DELETE_CRASH, ARGS(arg_int(id)));
}

int index_delete_blob(struct index *x, const char *sha256)
{
        return index_run(x, INDEX_DELETE_BLOB, ARGS(arg_text(sha256)));
}

int index_delete_log_file(struct index *x, int64_t source_id, const char *day)
{
        return index_run(x, INDEX_DELETE_LOG_FILE, ARGS(arg_int(source_id), arg_text(day)));
}
