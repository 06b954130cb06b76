/* What people and the mirror read from the index. A stored report is put together again from its metadata and its rows;
 * people's rows are made into JSON by SQLite itself, so that one query serves tables and scripts alike. */
#include <errno.h>
#include <string.h>

#include "storage/index/index_internal.h"
#include "util/log.h"

#define SHOWN_CRASHES_MAX 10   /* of a source */
#define ATTACHMENTS_MAX 100000 /* of one report; far above what an upload may have */

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
static int read_dump(sqlite3_stmt *s, struct stored_report *report)
{
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

static int read_attachment(sqlite3_stmt *s, struct stored_report *report)
{
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

static int read_report(struct index *x, int64_t id, struct stored_report *report)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_READ_CRASH, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        r = index_step(x, s);
        if (r != INDEX_ROW)
                return r < 0 ? r : -ENOENT;
        r = read_dump(s, report);
        sqlite3_reset(s);
        if (r == 0)
                r = index_prepare(x, INDEX_READ_ATTACHMENTS, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        while ((r = index_step(x, s)) == INDEX_ROW) {
                r = read_attachment(s, report);
                if (r < 0) {
                        sqlite3_reset(s);
                        return r;
                }
        }
        return r;
}

int index_read_crash(struct index *x, int64_t id, index_report_cb cb, void *userdata)
{
        struct stored_report report = { 0 };
        int r = read_report(x, id, &report);
        if (r == 0)
                r = cb(userdata, &report.crash);
        stored_report_done(&report);
        return r;
}

int index_hand_out(struct index *x, enum index_statement which, int64_t id, index_json_cb cb, void *userdata)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, which, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, id);
        if (which == INDEX_SHOW_SOURCE)
                index_bind_int(s, 2, SHOWN_CRASHES_MAX);
        r = index_step(x, s);
        if (r != INDEX_ROW)
                return r < 0 ? r : -ENOENT;
        const char *text = index_text(s, 0);
        _cleanup_(freep) char *json = text ? strdup(text) : NULL;
        sqlite3_reset(s);
        return json ? cb(userdata, json) : -ENOMEM;
}

int index_show_crash(struct index *x, int64_t id, index_json_cb cb, void *userdata)
{
        return index_hand_out(x, INDEX_SHOW_CRASH, id, cb, userdata);
}

int index_show_source(struct index *x, int64_t id, index_json_cb cb, void *userdata)
{
        return index_hand_out(x, INDEX_SHOW_SOURCE, id, cb, userdata);
}

int index_take_ids(struct index *x, sqlite3_stmt *s, int64_t *ret_ids, size_t *ret_n)
{
        size_t n = 0;
        int r;
        while ((r = index_step(x, s)) == INDEX_ROW)
                ret_ids[n++] = sqlite3_column_int64(s, 0);
        if (r == 0)
                *ret_n = n;
        return r;
}

int index_find_crashes(struct index *x, const char *hash_prefix, size_t max, int64_t *ret_ids, size_t *ret_n)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_FIND_CRASHES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, hash_prefix);
        index_bind_int(s, 2, (int64_t)max);
        return index_take_ids(x, s, ret_ids, ret_n);
}

int index_find_sources(struct index *x, const char *project, const char *install_id, size_t max, int64_t *ret_ids,
                       size_t *ret_n)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_FIND_SOURCES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, install_id);
        index_bind_text(s, 2, project);
        index_bind_int(s, 3, (int64_t)max);
        return index_take_ids(x, s, ret_ids, ret_n);
}

int index_token_uses(struct index *x, index_token_use_cb cb, void *userdata)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_TOKEN_USES, &s);
        if (r < 0)
                return r;
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const char *id = index_text(s, 0), *at = index_text(s, 1);
                r = id && at ? cb(userdata, id, at) : -ENOMEM;
                if (r != 0)
                        break;
        }
        sqlite3_reset(s);
        return r;
}
