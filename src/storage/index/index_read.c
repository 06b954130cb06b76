/* Single rows, and pages of all rows. A stored report is put together again from its metadata and its rows, for its
 * mirror file. */
#include "storage/index/index_read.h"

#include <errno.h>
#include <string.h>

#include "storage/index/index_internal.h"
#include "util/log.h"

#define ATTACHMENTS_MAX 100000 /* of one report; far above what an upload may have */

/* ---- crashes ---- */

int index_has_crash(struct index *x, const struct crash_metadata *m, const char *dump_sha256, int64_t *ret_id)
{
        int64_t id = 0;
        int r = index_number(x, INDEX_HAS_CRASH,
                             ARGS(arg_text(m->source.project), arg_text(m->source.install_id),
                                  arg_crashed(m->timestamp), arg_text(dump_sha256)),
                             &id);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret_id = id;
        return 0;
}

struct one_crash {
        index_crash_cb cb;
        void *userdata;
        bool *held;
};

static int hand_out_one(void *userdata, const struct index_crash_row *row)
{
        const struct one_crash *one = userdata;
        *one->held = row->held;
        return one->cb ? one->cb(one->userdata, row) : 0;
}

int index_crash_by_id(struct index *x, int64_t id, index_crash_cb cb, void *userdata, bool *ret_held)
{
        struct one_crash one = { cb, userdata, ret_held };
        return index_first_crash(x, INDEX_CRASH_BY_ID, ARGS(arg_int(id)), hand_out_one, &one);
}

int index_crashes_after(struct index *x, int64_t id, unsigned max, index_crash_cb cb, void *userdata)
{
        return index_each_crash(x, INDEX_CRASHES_AFTER, ARGS(arg_int(id), arg_int(max)), cb, userdata);
}

/* ---- a report, whole ---- */

/* A report read from the database; its strings are its own. */
struct stored_report {
        struct crash_metadata *metadata;
        struct index_crash crash;
        struct index_blob_use *attachments;
};

static void blob_use_done(struct index_blob_use *use)
{
        free((char *)use->sha256);
        free((char *)use->content_encoding);
        free((char *)use->key);
        free((char *)use->filename);
        free((char *)use->content_type);
}

static void stored_report_done(struct stored_report *report)
{
        blob_use_done(&report->crash.dump);
        for (size_t i = 0; i < report->crash.n_attachments; i++)
                blob_use_done(&report->attachments[i]);
        free(report->attachments);
        crash_metadata_free(report->metadata);
}

/* NULL stays NULL; false on ENOMEM. */
static bool copy_text(sqlite3_stmt *s, int column, const char **ret)
{
        if (sqlite3_column_type(s, column) == SQLITE_NULL)
                return true;
        const char *text = index_text(s, column);
        *ret = text ? strdup(text) : NULL;
        return *ret;
}

static int parse_stored_metadata(sqlite3_stmt *s, struct crash_metadata **ret)
{
        struct refusal refusal = { 0 };
        const char *text = index_text(s, 0);
        if (!text)
                return -ENOMEM;
        int r = crash_metadata_parse((const uint8_t *)text, strlen(text), ATTACHMENTS_MAX, ret, &refusal);
        if (r > 0) {
                log_error("a crash in the index has metadata that cannot be read", LOG_STR("reason", refusal.message));
                return -EINVAL;
        }
        return r;
}

/* The row of INDEX_READ_CRASH. */
static int take_dump(void *userdata, sqlite3_stmt *s)
{
        struct stored_report *report = userdata;
        struct index_blob_use *dump = &report->crash.dump;
        int r = parse_stored_metadata(s, &report->metadata);
        if (r < 0)
                return r;
        const char *received = index_text(s, 1);
        if (!received || !copy_text(s, 2, &dump->sha256) || !copy_text(s, 4, &dump->content_encoding))
                return -ENOMEM;
        if (clock_parse_rfc3339(received, strlen(received), &report->crash.received_at) != 0)
                return -EINVAL;
        dump->len = (uint64_t)sqlite3_column_int64(s, 3);
        dump->dedup = sqlite3_column_int(s, 5) != 0;
        report->crash.metadata = report->metadata;
        return 0;
}

/* A row of INDEX_READ_ATTACHMENTS. */
static int take_attachment(void *userdata, sqlite3_stmt *s)
{
        struct stored_report *report = userdata;
        size_t n = report->crash.n_attachments;
        struct index_blob_use *uses = reallocarray(report->attachments, n + 1, sizeof(*uses));
        if (!uses)
                return -ENOMEM;
        report->crash.attachments = report->attachments = uses;
        report->crash.n_attachments = n + 1;
        struct index_blob_use *use = &uses[n];
        *use = (struct index_blob_use){
                .len = (uint64_t)sqlite3_column_int64(s, 1),
                .dedup = sqlite3_column_int(s, 3) != 0,
        };
        return copy_text(s, 0, &use->sha256) && copy_text(s, 2, &use->content_encoding) && copy_text(s, 4, &use->key) &&
                               copy_text(s, 5, &use->filename) && copy_text(s, 6, &use->content_type)
                       ? 0
                       : -ENOMEM;
}

int index_read_crash(struct index *x, int64_t id, index_report_cb cb, void *userdata)
{
        struct stored_report report = { 0 };
        int r = index_first(x, INDEX_READ_CRASH, ARGS(arg_int(id)), take_dump, &report);
        if (r == 0)
                r = index_each(x, INDEX_READ_ATTACHMENTS, ARGS(arg_int(id)), take_attachment, &report);
        if (r == 0)
                r = cb(userdata, &report.crash);
        stored_report_done(&report);
        return r;
}

/* ---- blobs ---- */

int index_has_blob(struct index *x, const char *sha256, bool *ret)
{
        return index_exists(x, INDEX_FIND_BLOB, ARGS(arg_text(sha256)), ret);
}

int index_find_blob(struct index *x, const char *sha256, uint64_t *ret_len)
{
        int64_t len;
        int r = index_number(x, INDEX_FIND_BLOB, ARGS(arg_text(sha256)), &len);
        if (r == 0)
                *ret_len = (uint64_t)len;
        return r;
}

int index_blobs_after(struct index *x, const char *sha256, unsigned max, index_blob_cb cb, void *userdata)
{
        return index_each_blob(x, INDEX_BLOBS_AFTER, ARGS(arg_copy(sha256), arg_int(max)), cb, userdata);
}

/* ---- log files ---- */

int index_has_log_file(struct index *x, const struct source *source, const char *day, bool *ret)
{
        return index_exists(x, INDEX_FIND_LOG_FILE,
                            ARGS(arg_text(source->project), arg_text(source->install_id), arg_text(day)), ret);
}

int index_find_log_file(struct index *x, const struct source *source, const char *day, index_log_file_cb cb,
                        void *userdata)
{
        return index_first_log_file(x, INDEX_FIND_LOG_FILE,
                                    ARGS(arg_text(source->project), arg_text(source->install_id), arg_text(day)), cb,
                                    userdata);
}

int index_log_files_after(struct index *x, const struct index_log_file_key *after, unsigned max, index_log_file_cb cb,
                          void *userdata)
{
        return index_each_log_file(x, INDEX_LOG_FILES_AFTER,
                                   ARGS(arg_copy(after->day), arg_int(after->source_id), arg_int(max)), cb, userdata);
}

int index_newest_log_files(struct index *x, const struct index_log_file_key *after, unsigned max, index_log_file_cb cb,
                           void *userdata)
{
        return index_each_log_file(x, INDEX_NEWEST_LOG_FILES,
                                   ARGS(arg_copy(after->day), arg_int(after->source_id), arg_int(max)), cb, userdata);
}

/* ---- usage ---- */

static int take_usage(void *userdata, sqlite3_stmt *s)
{
        struct index_usage *usage = userdata;
        usage->log_bytes = index_count(s, 0);
        usage->crash_bytes = index_count(s, 1);
        return 0;
}

int index_usage(struct index *x, const char *project, struct index_usage *ret)
{
        *ret = (struct index_usage){ 0 };
        return index_each(x, INDEX_USAGE, ARGS(arg_text(project)), take_usage, ret);
}
