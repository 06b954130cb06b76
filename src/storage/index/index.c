/* What the index writer does to the index: transactions, reports, log files.
 *
 * A report is inserted in the order that the foreign keys ask for: its source (made or brought up to date), its blobs,
 * the crash, its attachments; triggers count the references. Failure modes: a row that the schema refuses (-EINVAL,
 * that report alone), a full disk (-ENOSPC), and whatever else SQLite cannot do.
 */
#include "storage/index/index.h"

#include <errno.h>

#include "storage/index/index_internal.h"

static int run_plain(struct index *x, enum index_statement which)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, which, &s);
        return r < 0 ? r : index_run(x, s);
}

int index_begin(struct index *x)
{
        return run_plain(x, INDEX_BEGIN);
}

int index_commit(struct index *x)
{
        return run_plain(x, INDEX_COMMIT);
}

/* On some errors (a full disk among them) SQLite has rolled back by itself:
 * https://www.sqlite.org/lang_transaction.html */
void index_rollback(struct index *x)
{
        if (!sqlite3_get_autocommit(x->db))
                run_plain(x, INDEX_ROLLBACK);
}

int index_savepoint(struct index *x)
{
        return run_plain(x, INDEX_SAVEPOINT);
}

int index_release(struct index *x)
{
        return run_plain(x, INDEX_RELEASE);
}

int index_rollback_to(struct index *x)
{
        if (sqlite3_get_autocommit(x->db))
                return -ECANCELED;
        int r = run_plain(x, INDEX_ROLLBACK_TO);
        return r < 0 ? r : run_plain(x, INDEX_RELEASE);
}

int index_has_crash(struct index *x, const struct crash_metadata *m, const char *dump_sha256, int64_t *ret_id)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_HAS_CRASH, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, m->source.project);
        index_bind_text(s, 2, m->source.install_id);
        index_bind_time(x, s, 3, m->timestamp, INDEX_CRASHED_DIGITS);
        index_bind_text(s, 4, dump_sha256);
        r = index_step(x, s);
        if (r < 0)
                return r;
        *ret_id = r == INDEX_ROW ? sqlite3_column_int64(s, 0) : 0;
        sqlite3_reset(s);
        return 0;
}

/* Is there a row? s is bound. */
static int exists(struct index *x, sqlite3_stmt *s, bool *ret)
{
        int r = index_step(x, s);
        if (r < 0)
                return r;
        sqlite3_reset(s);
        *ret = r == INDEX_ROW;
        return 0;
}

static int upsert_source(struct index *x, const struct source *source, const char *platform, const char *version,
                         struct moment seen_at, int64_t *ret_id)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_UPSERT_SOURCE, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, source->project);
        index_bind_text(s, 2, source->install_id);
        index_bind_text(s, 3, platform);
        index_bind_text(s, 4, version);
        index_bind_time(x, s, 5, seen_at, INDEX_RECEIVED_DIGITS);
        r = index_step(x, s);
        if (r != INDEX_ROW)
                return r < 0 ? r : -EPROTO;
        int64_t id = sqlite3_column_int64(s, 0);
        r = index_run(x, s);
        if (r < 0)
                return r;
        *ret_id = id;
        return 0;
}

static int put_blob(struct index *x, enum index_statement how, const char *sha256, uint64_t len, struct moment at)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, how, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, sha256);
        index_bind_int(s, 2, (int64_t)len);
        index_bind_time(x, s, 3, at, INDEX_RECEIVED_DIGITS);
        return index_run(x, s);
}

static int insert_crash_row(struct index *x, const struct index_crash *crash, int64_t source_id)
{
        const struct crash_metadata *m = crash->metadata;
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_INSERT_CRASH, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, source_id);
        index_bind_text(s, 2, crash->dump.sha256);
        index_bind_text(s, 3, crash->dump.content_encoding);
        index_bind_text(s, 4, m->kind);
        index_bind_time(x, s, 5, m->timestamp, INDEX_CRASHED_DIGITS);
        index_bind_time(x, s, 6, crash->received_at, INDEX_RECEIVED_DIGITS);
        index_bind_text(s, 7, m->platform);
        index_bind_text(s, 8, m->version);
        index_bind_text(s, 9, m->git_sha);
        index_bind_text(s, 10, m->profile);
        index_bind_text(s, 11, m->target_triple);
        index_bind_text(s, 12, m->panic_text);
        index_bind_text(s, 13, m->context);
        index_bind_text(s, 14, m->json);
        index_bind_int(s, 15, crash->dump.dedup);
        return index_run(x, s);
}

static int insert_attachment(struct index *x, int64_t crash_id, size_t position, const struct index_blob_use *use)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_INSERT_ATTACHMENT, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, crash_id);
        index_bind_int(s, 2, (int64_t)position);
        index_bind_text(s, 3, use->key);
        index_bind_text(s, 4, use->filename);
        index_bind_text(s, 5, use->content_type);
        index_bind_text(s, 6, use->content_encoding);
        index_bind_text(s, 7, use->sha256);
        index_bind_int(s, 8, (int64_t)use->len);
        index_bind_int(s, 9, use->dedup);
        return index_run(x, s);
}

int index_insert_crash(struct index *x, const struct index_crash *crash)
{
        const struct crash_metadata *m = crash->metadata;
        int64_t source_id;
        int r = upsert_source(x, &m->source, m->platform, m->version, crash->received_at, &source_id);
        if (r == 0)
                r = put_blob(x, INDEX_UPSERT_BLOB, crash->dump.sha256, crash->dump.len, crash->received_at);
        if (r == 0)
                r = insert_crash_row(x, crash, source_id);
        if (r < 0)
                return r;
        int64_t crash_id = sqlite3_last_insert_rowid(x->db);
        for (size_t i = 0; i < crash->n_attachments; i++) {
                const struct index_blob_use *use = &crash->attachments[i];
                r = put_blob(x, INDEX_UPSERT_BLOB, use->sha256, use->len, crash->received_at);
                if (r == 0)
                        r = insert_attachment(x, crash_id, i, use);
                if (r < 0)
                        return r;
        }
        return 0;
}

int index_has_blob(struct index *x, const char *sha256, bool *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_HAS_BLOB, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, sha256);
        return exists(x, s, ret);
}

int index_add_blob(struct index *x, const char *sha256, uint64_t len, struct moment created_at)
{
        return put_blob(x, INDEX_ADD_BLOB, sha256, len, created_at);
}

static int put_log_file(struct index *x, enum index_statement how, int64_t source_id, const char *day, uint64_t bytes,
                        uint64_t lines)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, how, &s);
        if (r < 0)
                return r;
        index_bind_int(s, 1, source_id);
        index_bind_text(s, 2, day);
        index_bind_int(s, 3, (int64_t)bytes);
        if (how == INDEX_UPSERT_LOG_FILE || how == INDEX_CORRECT_LOG_FILE)
                index_bind_int(s, 4, (int64_t)lines);
        return index_run(x, s);
}

int index_upsert_log_file(struct index *x, const struct source *source, const char *platform, const char *version,
                          const char *day, uint64_t bytes, uint64_t lines_more, struct moment seen_at)
{
        int64_t source_id;
        int r = upsert_source(x, source, platform, version, seen_at, &source_id);
        return r < 0 ? r : put_log_file(x, INDEX_UPSERT_LOG_FILE, source_id, day, bytes, lines_more);
}

int index_has_log_file(struct index *x, const struct source *source, const char *day, bool *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_HAS_LOG_FILE, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, source->project);
        index_bind_text(s, 2, source->install_id);
        index_bind_text(s, 3, day);
        return exists(x, s, ret);
}

int index_add_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                       struct moment seen_at)
{
        int64_t source_id;
        int r = upsert_source(x, source, "", "", seen_at, &source_id);
        return r < 0 ? r : put_log_file(x, INDEX_ADD_LOG_FILE, source_id, day, bytes, 0);
}

int index_correct_log_file(struct index *x, int64_t source_id, const char *day, uint64_t bytes, uint64_t lines_more)
{
        return put_log_file(x, INDEX_CORRECT_LOG_FILE, source_id, day, bytes, lines_more);
}

int index_mark_compressed(struct index *x, int64_t source_id, const char *day, uint64_t bytes)
{
        return put_log_file(x, INDEX_MARK_COMPRESSED, source_id, day, bytes, 0);
}

int index_add_compressed_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                                  struct moment seen_at)
{
        int64_t source_id;
        int r = upsert_source(x, source, "", "", seen_at, &source_id);
        if (r == 0)
                r = put_log_file(x, INDEX_ADD_LOG_FILE, source_id, day, bytes, 0);
        return r < 0 ? r : index_mark_compressed(x, source_id, day, bytes);
}

int index_upsert_token_use(struct index *x, const char *token_id, struct moment at)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_UPSERT_TOKEN_USE, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, token_id);
        index_bind_time(x, s, 2, at, INDEX_RECEIVED_DIGITS);
        return index_run(x, s);
}
