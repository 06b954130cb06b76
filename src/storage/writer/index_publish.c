/* A batch's files. A name must not stand for less than the whole file, nor a row for a name that may be lost; so the
 * contents of blobs and mirrors are synced first, then the blobs get their names, and these are synced; then come the
 * rows (index_batch.c), and after them the mirrors' names. Nobody waits for those: a mirror that a power cut takes away
 * is written again from its row by the next start (reconcile.h), and an orderly stop syncs everything (clean_stop.h).
 *
 * A few files are synced one by one. For more, each of the two steps is one syncfs(2), whatever there is to sync: it
 * costs about as much as one fdatasync(2), and other people's dirty pages on the file system (docs/adr/0008).
 *
 * Failure modes: what passes fails the reports that met it; a failed sync is final. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "storage/space/denied.h"
#include "storage/space/space.h"
#include "storage/writer/index_batch_internal.h"
#include "util/files/durable.h"
#include "util/files/failure.h"
#include "util/log.h"

#define SYNC_EACH_MAX 4 /* files */

static struct crash_file *file_of(const struct entry *e, size_t i)
{
        return i == 0 ? &e->report->dump : &e->report->attachments[i - 1];
}

static size_t files_of(const struct entry *e)
{
        return e->report->n_attachments + 1;
}

static void report_name(const struct batch *b, const char *sha256, int error)
{
        char path[BLOB_PATH_SIZE];
        if (error >= 0)
                return;
        blob_path(sha256, path);
        denied_report(b->disk->troubles, b->disk->datadir_fd, DENIED_CRASHES, path, error);
}

static int look_at(const struct batch *b, struct entry *e)
{
        e->uses = calloc(files_of(e), sizeof(*e->uses));
        if (!e->uses)
                return -ENOMEM;
        int r = 0;
        for (size_t i = 0; r == 0 && i < files_of(e); i++) {
                const struct crash_file *file = file_of(e, i);
                e->uses[i] = (struct index_blob_use){
                        .sha256 = blob_writer_sha256(file->blob),
                        .len = blob_writer_len(file->blob),
                        .content_encoding = file->content_encoding,
                        .key = file->key,
                        .filename = file->filename,
                        .content_type = file->content_type,
                };
                r = blob_writer_is_stored(file->blob, &e->uses[i].dedup);
                report_name(b, e->uses[i].sha256, r);
        }
        return r;
}

/* What fails here fails the report, which costs nothing yet; the mirror's name needs neither space nor a descriptor. */
static int draft_mirror(struct batch *b, struct entry *e)
{
        struct index_crash crash = entry_crash(e);
        int r = mirror_draft(blob_store_drafts(b->disk->blobs), &crash, &e->mirror);
        if (r < 0)
                denied_report(b->disk->troubles, b->disk->datadir_fd, DENIED_CRASHES, "tmp", r);
        return r;
}

static int prepare(struct batch *b, struct entry *e)
{
        const struct crash_report *report = e->report;
        int r = index_has_crash(b->disk->index, report->metadata, blob_writer_sha256(report->dump.blob), &e->known_id);
        if (r < 0)
                return r;
        if (e->known_id) {
                entry_move(e, ENTRY_KNOWN);
                return 0;
        }
        r = look_at(b, e);
        return r < 0 ? r : draft_mirror(b, e);
}

static int sync_contents(struct entry *e)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < files_of(e); i++)
                r = e->uses[i].dedup ? 0 : blob_writer_sync(file_of(e, i)->blob);
        return r == 0 && e->mirror.dir ? durable_sync(e->mirror.fd) : r;
}

/* The mirror's content has the dedup that was foreseen. When it came out differently, the mirror is written again. */
static int link_blobs(struct batch *b, struct entry *e)
{
        int r = 0;
        assert(e->published == 0 && !b->durable);
        for (size_t i = 0; i < files_of(e); i++) {
                bool existed;
                r = blob_writer_link(file_of(e, i)->blob, &existed);
                report_name(b, e->uses[i].sha256, r);
                if (r < 0)
                        break;
                e->published++;
                if (existed != e->uses[i].dedup) {
                        e->uses[i].dedup = existed;
                        draft_done(&e->mirror);
                }
        }
        return r;
}

static int sync_names(struct batch *b, struct entry *e)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < files_of(e); i++)
                r = blob_sync_name(b->disk->blobs, e->uses[i].sha256);
        return r;
}

static int drop_pages(_unused_ struct batch *b, struct entry *e)
{
        for (size_t i = 0; i < files_of(e); i++)
                blob_writer_drop_pages(file_of(e, i)->blob);
        return 0;
}

/* Does step with each report that is pending. < 0: final, for that kind of call. */
static int each_pending(struct batch *b, enum failure_call call, int (*step)(struct batch *b, struct entry *e))
{
        for (size_t i = 0; i < b->n; i++) {
                struct entry *e = &b->entries[i];
                int r = e->state == ENTRY_PENDING ? step(b, e) : 0;
                if (r < 0)
                        entry_fail(e, r);
                if (r < 0 && failure_of(call, r) == FAILURE_FINAL)
                        return r;
        }
        return 0;
}

static int sync_each_contents(_unused_ struct batch *b, struct entry *e)
{
        return sync_contents(e);
}

/* One for all that are pending. < 0: final. */
static int sync_all(struct batch *b)
{
        int r = draft_sync_all(blob_store_drafts(b->disk->blobs));
        for (size_t i = 0; r < 0 && i < b->n; i++) {
                if (b->entries[i].state == ENTRY_PENDING)
                        entry_fail(&b->entries[i], r);
        }
        return r;
}

static size_t count_files(const struct batch *b)
{
        size_t n = 0;
        for (size_t i = 0; i < b->n; i++) {
                if (b->entries[i].state == ENTRY_PENDING)
                        n += files_of(&b->entries[i]) + 1;
        }
        return n;
}

int index_publish_blobs(struct batch *b)
{
        int r = each_pending(b, FAILURE_WRITE, prepare);
        size_t n = count_files(b);
        if (r < 0 || n == 0)
                return r;
        b->together = n > SYNC_EACH_MAX || draft_owes_sync(blob_store_drafts(b->disk->blobs));
        r = b->together ? sync_all(b) : each_pending(b, FAILURE_SYNC, sync_each_contents);
        if (r == 0)
                r = each_pending(b, FAILURE_NAME, link_blobs);
        if (r == 0 && count_files(b) > 0)
                r = b->together ? sync_all(b) : each_pending(b, FAILURE_SYNC, sync_names);
        b->durable = r == 0;
        return r == 0 ? each_pending(b, FAILURE_NAME, drop_pages) : r;
}

/* ---- mirrors ---- */

/* Reports a mirror that failed. < 0: final. */
static int report(const struct batch *b, const struct index_crash *crash, enum failure_call call, int error)
{
        const struct crash_metadata *m = crash->metadata;
        char path[MIRROR_PATH_SIZE];
        if (error == 0)
                return 0;
        atomic_store(b->disk->untidy, true);
        mirror_path(&m->source, m->timestamp, crash->dump.sha256, path);
        log_warn("cannot write a crash's JSON file; the crash itself is stored, and the next start writes the file",
                 LOG_STR("path", path), LOG_STR("error", strerror(-error)));
        if (failure_is_full(error))
                space_saw_full(b->disk->space);
        return failure_of(call, error) == FAILURE_FINAL ? error : 0;
}

static int write_mirror(void *userdata, const struct index_crash *crash)
{
        const struct batch *b = userdata;
        return report(b, crash, FAILURE_WRITE, mirror_write(b->disk->datadir_fd, crash));
}

static int link_mirror(struct batch *b, struct entry *e)
{
        struct index_crash crash = entry_crash(e);
        return e->mirror.dir ? report(b, &crash, FAILURE_NAME, mirror_link(&e->mirror, &crash))
                             : write_mirror(b, &crash);
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

int index_publish_mirrors(struct batch *b)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < b->n; i++) {
                struct entry *e = &b->entries[i];
                if (e->state == ENTRY_INDEXED)
                        r = link_mirror(b, e);
                else if (e->state == ENTRY_KNOWN)
                        r = repair_mirror(b, e);
        }
        return r;
}
