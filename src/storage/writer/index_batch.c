/* A batch of reports, in four steps: blobs are published (durable under their names, index_publish.c), rows are
 * inserted in one transaction, mirrors get their names (index_publish.c), and what failed reports had published is
 * removed again.
 *
 * A report that is there already is answered like one that was stored; of two equal reports in one batch the second is
 * found inside the transaction. Failure modes: what passes (a full disk, no descriptor, no permission) fails the report
 * that met it, or, where SQLite rolls back or the commit fails, the whole batch, which clients send again; a failed
 * sync or a broken database is final. A mirror that cannot be written is only a warning: its row is durable, and the
 * file is derived from it, by the next start at the latest.
 * */
#include "storage/writer/index_batch.h"

#include <errno.h>
#include <stdlib.h>

#include "storage/index/index_read.h"
#include "storage/index/index_write.h"
#include "storage/writer/index_batch_internal.h"
#include "util/files/failure.h"
#include "util/log.h"

static void entry_done(struct entry *e)
{
        draft_done(&e->mirror);
        free(e->uses);
}

static void batch_done(struct batch *b)
{
        for (size_t i = 0; i < b->n; i++)
                entry_done(&b->entries[i]);
}

bool index_batch_is_final(int error)
{
        return error < 0 && failure_of(FAILURE_WRITE, error) == FAILURE_FINAL;
}

static int insert_report(struct batch *b, struct entry *e)
{
        struct index *index = b->disk->index;
        int64_t id;
        assert(b->durable && e->published == e->report->n_attachments + 1);
        int r = index_has_crash(index, e->report->metadata, e->uses[0].sha256, &id);
        if (r == 0 && id) {
                entry_move(e, ENTRY_REPEAT);
                return 0;
        }
        if (r == 0) {
                struct index_crash crash = entry_crash(e);
                r = index_insert_crash(index, &crash);
        }
        if (r == 0)
                entry_move(e, ENTRY_INDEXED);
        return r;
}

/* A report that fails is undone alone. < 0: the transaction cannot go on. */
static int insert_alone(struct batch *b, struct entry *e)
{
        struct index *index = b->disk->index;
        assert(e->state == ENTRY_PENDING);
        int r = index_savepoint(index);
        if (r < 0)
                return r;
        r = insert_report(b, e);
        if (r == 0)
                return index_release(index);
        entry_fail(e, r);
        return index_batch_is_final(r) || index_rollback_to(index) < 0 ? r : 0;
}

static int insert_in_transaction(struct batch *b, int (*insert)(struct batch *b, struct entry *e))
{
        int r = index_begin(b->disk->index);
        for (size_t i = 0; r == 0 && i < b->n; i++) {
                if (b->entries[i].state == ENTRY_PENDING)
                        r = insert(b, &b->entries[i]);
        }
        if (r == 0)
                r = index_commit(b->disk->index);
        if (r < 0)
                index_rollback(b->disk->index);
        return r;
}

static size_t undo(struct batch *b)
{
        size_t n = 0;
        for (size_t i = 0; i < b->n; i++) {
                struct entry *e = &b->entries[i];
                if (e->state == ENTRY_INDEXED || e->state == ENTRY_REPEAT)
                        entry_move(e, ENTRY_PENDING);
                n += e->state == ENTRY_PENDING;
        }
        return n;
}

/* Savepoints cost a copy of every changed page, and the index rarely refuses a report. So there are none at first, and
 * when a report is refused, everything is done again with savepoints. */
static int insert_all(struct batch *b)
{
        int r = insert_in_transaction(b, insert_report);
        if ((r == -EINVAL || r == -ENOMEM) && undo(b) > 1)
                r = insert_in_transaction(b, insert_alone);
        if (r == 0)
                metrics_count(b->disk->metrics, METRICS_INDEX_COMMITS, 1);
        return r;
}

static bool any_pending(const struct batch *b)
{
        for (size_t i = 0; i < b->n; i++) {
                if (b->entries[i].state == ENTRY_PENDING)
                        return true;
        }
        return false;
}

/* Nothing of this batch was committed. What was there before it still counts as stored. */
static void fail_uncommitted(struct batch *b, int error)
{
        for (size_t i = 0; i < b->n; i++) {
                struct entry *e = &b->entries[i];
                if (e->state != ENTRY_KNOWN && e->state != ENTRY_FAILED)
                        entry_fail(e, error);
        }
}

/* Removes what a report published that no row names. Nobody else publishes or deletes meanwhile. */
static void unpublish(struct batch *b, const struct entry *e)
{
        for (size_t i = 0; i < e->published; i++) {
                bool used = false;
                if (e->uses[i].dedup)
                        continue;
                int r = index_has_blob(b->disk->index, e->uses[i].sha256, &used);
                if (r == 0 && !used)
                        r = blob_unlink(b->disk->blobs, e->uses[i].sha256, NULL);
                if (r == 0 || r == -ENOENT)
                        continue;
                atomic_store(b->disk->untidy, true);
                log_warn("cannot remove a refused report's blob", LOG_STR("sha256", e->uses[i].sha256),
                         LOG_STR("error", strerror(-r)));
        }
}

/* After a final error the blobs stay: the next start may find a commit that failed half-way whole in the WAL, and no
 * row may be without its blob. */
static void conclude(struct batch *b, bool final)
{
        for (size_t i = 0; i < b->n; i++) {
                struct entry *e = &b->entries[i];
                if (!final && (e->state == ENTRY_FAILED || e->state == ENTRY_REPEAT))
                        unpublish(b, e);
                if (e->state == ENTRY_FAILED)
                        continue;
                assert(e->state != ENTRY_PENDING);
                e->report->result = 0;
                e->report->dedup = e->state != ENTRY_INDEXED || e->uses[0].dedup;
                if (e->report->dedup)
                        metrics_count(b->disk->metrics, METRICS_DEDUP_HITS, 1);
        }
}

int index_batch_store(const struct index_batch_disk *disk, struct crash_report *const *reports, size_t n)
{
        _cleanup_(batch_done) struct batch b = { .disk = disk, .n = n };
        assert(n > 0 && n <= INDEX_BATCH_MAX);
        for (size_t i = 0; i < n; i++)
                b.entries[i].report = reports[i];

        int r = index_publish_blobs(&b);
        bool final = r < 0;
        if (r == 0 && any_pending(&b)) {
                r = insert_all(&b);
                final = index_batch_is_final(r);
        }
        if (r < 0) {
                fail_uncommitted(&b, r);
        } else {
                r = index_publish_mirrors(&b);
                final = r < 0;
        }
        conclude(&b, final);
        return final ? r : 0;
}
