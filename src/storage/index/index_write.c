/* What the index writer does to the index: transactions, reports, log files.
 *
 * A report is inserted in the order that the foreign keys ask for: its source (made or brought up to date), its blobs,
 * the crash, its attachments; triggers count the references. Failure modes: a row that the schema refuses (-EINVAL,
 * that report alone), a full disk (-ENOSPC), and whatever else SQLite cannot do.
 */
#include "storage/index/index_write.h"

#include <errno.h>

#include "storage/index/index_internal.h"

void index_write_take(struct index *x)
{
        assert(x->writable);
        thread_owner_take(&x->owner);
}

void index_write_release(struct index *x)
{
        thread_owner_release(&x->owner);
}

/* ---- transactions ---- */

/* On some errors (a full disk, a bad sector) SQLite rolls the whole transaction back by itself, so none of these
 * that end one may assert that it is still open: https://www.sqlite.org/lang_transaction.html */

int index_begin(struct index *x)
{
        assert(!index_in_transaction(x));
        return index_run(x, INDEX_BEGIN, NO_ARGS);
}

int index_commit(struct index *x)
{
        if (!index_in_transaction(x))
                return -ECANCELED;
        return index_run(x, INDEX_COMMIT, NO_ARGS);
}

void index_rollback(struct index *x)
{
        if (index_in_transaction(x))
                index_run(x, INDEX_ROLLBACK, NO_ARGS);
        assert(!index_in_transaction(x));
}

int index_savepoint(struct index *x)
{
        assert(index_in_transaction(x));
        return index_run(x, INDEX_SAVEPOINT, NO_ARGS);
}

int index_release(struct index *x)
{
        assert(index_in_transaction(x));
        return index_run(x, INDEX_RELEASE, NO_ARGS);
}

int index_rollback_to(struct index *x)
{
        if (!index_in_transaction(x))
                return -ECANCELED;
        int r = index_run(x, INDEX_ROLLBACK_TO, NO_ARGS);
        return r < 0 ? r : index_run(x, INDEX_RELEASE, NO_ARGS);
}

/* ---- reports ---- */

static int take_id(void *userdata, sqlite3_stmt *row)
{
        *(int64_t *)userdata = sqlite3_column_int64(row, 0);
        return 0;
}

/* The statement runs to its end: only then is the row there. */
static int upsert_source(struct index *x, const struct source *source, const char *platform, const char *version,
                         struct moment seen_at, int64_t *ret_id)
{
        int64_t id = 0;
        int r = index_each(x, INDEX_UPSERT_SOURCE,
                           ARGS(arg_text(source->project), arg_text(source->install_id), arg_text(platform),
                                arg_text(version), arg_received(seen_at)),
                           take_id, &id);
        if (r == 0)
                *ret_id = id;
        return r == 0 && id == 0 ? -EPROTO : r;
}

static int put_blob(struct index *x, enum index_statement how, const char *sha256, uint64_t len, struct moment at)
{
        return index_run(x, how, ARGS(arg_text(sha256), arg_int((int64_t)len), arg_received(at)));
}

static int insert_crash_row(struct index *x, const struct index_crash *crash, int64_t source_id)
{
        const struct crash_metadata *m = crash->metadata;
        return index_run(x, INDEX_INSERT_CRASH,
                         ARGS(arg_int(source_id), arg_text(crash->dump.sha256), arg_text(crash->dump.content_encoding),
                              arg_text(m->kind), arg_crashed(m->timestamp), arg_received(crash->received_at),
                              arg_text(m->platform), arg_text(m->version), arg_text(m->git_sha), arg_text(m->profile),
                              arg_text(m->target_triple), arg_text(m->panic_text), arg_text(m->context),
                              arg_text(m->json), arg_int(crash->dump.dedup)));
}

static int insert_attachment(struct index *x, int64_t crash_id, size_t position, const struct index_blob_use *use)
{
        return index_run(x, INDEX_INSERT_ATTACHMENT,
                         ARGS(arg_int(crash_id), arg_int((int64_t)position), arg_text(use->key),
                              arg_text(use->filename), arg_text(use->content_type), arg_text(use->content_encoding),
                              arg_text(use->sha256), arg_int((int64_t)use->len), arg_int(use->dedup)));
}

int index_insert_crash(struct index *x, const struct index_crash *crash)
{
        const struct crash_metadata *m = crash->metadata;
        int64_t source_id;
        assert(index_in_transaction(x));
        int r = upsert_source(x, &m->source, m->platform, m->version, crash->received_at, &source_id);
        if (r == 0)
                r = put_blob(x, INDEX_UPSERT_BLOB, crash->dump.sha256, crash->dump.len, crash->received_at);
        if (r == 0)
                r = insert_crash_row(x, crash, source_id);
        int64_t crash_id = sqlite3_last_insert_rowid(x->db);
        for (size_t i = 0; r == 0 && i < crash->n_attachments; i++) {
                const struct index_blob_use *use = &crash->attachments[i];
                r = put_blob(x, INDEX_UPSERT_BLOB, use->sha256, use->len, crash->received_at);
                if (r == 0)
                        r = insert_attachment(x, crash_id, i, use);
        }
        return r;
}

int index_add_blob(struct index *x, const char *sha256, uint64_t len, struct moment created_at)
{
        return put_blob(x, INDEX_ADD_BLOB, sha256, len, created_at);
}

/* ---- log files and tokens ---- */

int index_upsert_log_file(struct index *x, const struct index_log_file_totals *t)
{
        int64_t source_id;
        int r = upsert_source(x, t->source, t->platform, t->version, t->seen_at, &source_id);
        return r != 0 ? r
                      : index_run(x, INDEX_UPSERT_LOG_FILE,
                                  ARGS(arg_int(source_id), arg_text(t->day), arg_int((int64_t)t->bytes),
                                       arg_int((int64_t)t->lines_more)));
}

static int set_bytes(struct index *x, enum index_statement how, int64_t source_id, const char *day, uint64_t bytes)
{
        return index_run(x, how, ARGS(arg_int(source_id), arg_text(day), arg_int((int64_t)bytes)));
}

int index_add_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                       struct moment seen_at)
{
        int64_t source_id;
        int r = upsert_source(x, source, "", "", seen_at, &source_id);
        return r != 0 ? r : set_bytes(x, INDEX_ADD_LOG_FILE, source_id, day, bytes);
}

int index_add_compressed_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                                  struct moment seen_at)
{
        int64_t source_id;
        int r = upsert_source(x, source, "", "", seen_at, &source_id);
        if (r == 0)
                r = set_bytes(x, INDEX_ADD_LOG_FILE, source_id, day, bytes);
        return r != 0 ? r : index_mark_compressed(x, source_id, day, bytes);
}

int index_correct_log_file(struct index *x, int64_t source_id, const char *day, uint64_t bytes, uint64_t lines_more)
{
        return index_run(
                x, INDEX_CORRECT_LOG_FILE,
                ARGS(arg_int(source_id), arg_text(day), arg_int((int64_t)bytes), arg_int((int64_t)lines_more)));
}

int index_mark_compressed(struct index *x, int64_t source_id, const char *day, uint64_t bytes)
{
        return set_bytes(x, INDEX_MARK_COMPRESSED, source_id, day, bytes);
}

int index_mark_plain(struct index *x, int64_t source_id, const char *day, uint64_t bytes)
{
        return set_bytes(x, INDEX_MARK_PLAIN, source_id, day, bytes);
}

int index_upsert_token_use(struct index *x, const char *token_id, struct moment at)
{
        return index_run(x, INDEX_UPSERT_TOKEN_USE, ARGS(arg_text(token_id), arg_received(at)));
}
