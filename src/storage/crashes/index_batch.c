/* A batch of reports, in four steps: blobs published (durable under their names), rows inserted in one transaction with
 * a savepoint each, mirrors written, and what failed reports had published removed again.
 *
 * A report that is there already is answered like one that was stored; of two alike in one batch the second is found
 * inside the transaction. Failure modes: a full disk fails the report that met it, or, where SQLite rolls back or the
 * commit fails, the whole batch, which clients send again; a failed sync or a broken database is final. A mirror that
 * cannot be written is only a warning: its row is durable, and the file is derived from it, at the next start at last.
 */
#include "storage/crashes/index_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "storage/crashes/mirror.h"
#include "storage/space.h"
#include "util/log.h"

enum entry_state {
        ENTRY_PENDING,
        ENTRY_INDEXED,
        ENTRY_KNOWN,  /* in the index before this batch */
        ENTRY_REPEAT, /* of an earlier report in this batch */
        ENTRY_FAILED,
};

struct entry {
        struct crash_report *report;
        enum entry_state state;
        int64_t known_id;
        struct index_blob_use *uses; /* the dump, then the attachments */
        size_t published;            /* so many of them have a name */
};

struct batch {
        const struct index_batch_disk *disk;
        size_t n;
        struct entry entries[INDEX_BATCH_MAX];
};

static void batch_done(struct batch *b)
{
        for (size_t i = 0; i < b->n; i++)
                free(b->entries[i].uses);
}

bool index_batch_is_final(int error)
{
        return error == -EIO || error == -EPROTO || error == -EROFS;
}

bool index_batch_is_full(int error)
{
        return error == -ENOSPC || error == -EDQUOT;
}

static void fail(struct entry *e, int error)
{
        e->state = ENTRY_FAILED;
        e->report->result = error;
}

static struct index_crash crash_of(const struct entry *e)
{
        return (struct index_crash){
                .metadata = e->report->metadata,
                .received_at = e->report->received_at,
                .dump = e->uses[0],
                .n_attachments = e->report->n_attachments,
                .attachments = e->uses + 1,
        };
}

static int publish(struct entry *e, struct crash_file *file)
{
        struct index_blob_use *use = &e->uses[e->published];
        *use = (struct index_blob_use){
                .sha256 = blob_writer_sha256(file->blob),
                .len = blob_writer_len(file->blob),
                .content_encoding = file->content_encoding,
                .key = file->key,
                .filename = file->filename,
                .content_type = file->content_type,
        };
        int r = blob_writer_publish(file->blob, &use->dedup);
        if (r == 0)
                e->published++;
        return r;
}

static int publish_report(struct batch *b, struct entry *e)
{
        struct crash_report *report = e->report;
        int r = index_has_crash(b->disk->index, report->metadata, blob_writer_sha256(report->dump.blob), &e->known_id);
        if (r < 0)
                return r;
        if (e->known_id) {
                e->state = ENTRY_KNOWN;
                return 0;
        }
        e->uses = calloc(report->n_attachments + 1, sizeof(*e->uses));
        if (!e->uses)
                return -ENOMEM;
        r = publish(e, &report->dump);
        for (size_t i = 0; r == 0 && i < report->n_attachments; i++)
                r = publish(e, &report->attachments[i]);
        return r;
}

/* < 0: final. */
static int publish_all(struct batch *b)
{
        for (size_t i = 0; i < b->n; i++) {
                int r = publish_report(b, &b->entries[i]);
                if (r < 0)
                        fail(&b->entries[i], r);
                if (index_batch_is_final(r))
                        return r;
        }
        return 0;
}

/* < 0: the transaction is of no use any more. */
static int insert_report(struct batch *b, struct entry *e)
{
        struct index *index = b->disk->index;
        int64_t id;
        int r = index_savepoint(index);
        if (r < 0)
                return r;
        r = index_has_crash(index, e->report->metadata, e->uses[0].sha256, &id);
        if (r == 0 && id) {
                e->state = ENTRY_REPEAT;
                return index_release(index);
        }
        if (r == 0) {
                struct index_crash crash = crash_of(e);
                r = index_insert_crash(index, &crash);
        }
        if (r == 0) {
                e->state = ENTRY_INDEXED;
                return index_release(index);
        }
        fail(e, r);
        return index_batch_is_final(r) || index_rollback_to(index) < 0 ? r : 0;
}

static int insert_all(struct batch *b)
{
        int r = index_begin(b->disk->index);
        for (size_t i = 0; r == 0 && i < b->n; i++) {
                if (b->entries[i].state == ENTRY_PENDING)
                        r = insert_report(b, &b->entries[i]);
        }
        if (r == 0)
                r = index_commit(b->disk->index);
        if (r < 0) {
                index_rollback(b->disk->index);
                return r;
        }
        metrics_count(b->disk->metrics, METRICS_INDEX_COMMITS, 1);
        return 0;
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
                        fail(e, error);
        }
}

static int write_mirror(void *userdata, const struct index_crash *crash)
{
        const struct batch *b = userdata;
        int r = mirror_write(b->disk->datadir_fd, crash);
        if (r < 0) {
                atomic_store(b->disk->untidy, true);
                log_warn("cannot write a crash's JSON file; the crash itself is stored",
                         LOG_STR("project", crash->metadata->source.project), LOG_STR("dump", crash->dump.sha256),
                         LOG_STR("error", strerror(-r)));
        }
        if (index_batch_is_full(r))
                space_saw_full(b->disk->space);
        return index_batch_is_final(r) ? r : 0;
}

/* A report sent again brings back a mirror that is missing, from what the index has. */
static int repair_mirror(struct batch *b, const struct entry *e)
{
        const struct crash_report *report = e->report;
        char path[MIRROR_PATH_SIZE];
        mirror_path(&report->metadata->source, report->metadata->timestamp, blob_writer_sha256(report->dump.blob),
                    path);
        if (faccessat(b->disk->datadir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
                return 0;
        int r = index_read_crash(b->disk->index, e->known_id, write_mirror, b);
        return index_batch_is_final(r) ? r : 0;
}

/* < 0: final; the rows are durable all the same. */
static int mirror_all(struct batch *b)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < b->n; i++) {
                struct entry *e = &b->entries[i];
                if (e->state == ENTRY_INDEXED) {
                        struct index_crash crash = crash_of(e);
                        r = write_mirror(b, &crash);
                } else if (e->state == ENTRY_KNOWN) {
                        r = repair_mirror(b, e);
                }
        }
        return r;
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

/* After a final error the blobs stay: a commit that failed half way may yet be found whole in the WAL at the next start,
 * and no row may be without its blob. */
static void conclude(struct batch *b, bool final)
{
        for (size_t i = 0; i < b->n; i++) {
                struct entry *e = &b->entries[i];
                if (!final && (e->state == ENTRY_FAILED || e->state == ENTRY_REPEAT))
                        unpublish(b, e);
                if (e->state == ENTRY_FAILED)
                        continue;
                e->report->result = 0;
                e->report->dedup = e->state != ENTRY_INDEXED || e->uses[0].dedup;
                if (e->report->dedup)
                        metrics_count(b->disk->metrics, METRICS_DEDUP_HITS, 1);
        }
}

int index_batch_store(const struct index_batch_disk *disk, struct crash_report *const *reports, size_t n)
{
        _cleanup_(batch_done) struct batch b = { .disk = disk, .n = n };
        for (size_t i = 0; i < n; i++)
                b.entries[i].report = reports[i];

        int r = publish_all(&b);
        if (r == 0 && any_pending(&b))
                r = insert_all(&b);
        if (r < 0)
                fail_uncommitted(&b, r);
        else
                r = mirror_all(&b);
        bool final = index_batch_is_final(r);
        conclude(&b, final);
        return final ? r : 0;
}
