/* For each JSON file of a crash that is not here: copies its blobs, hashing each on the way, then the file itself,
 * under its name and with its time.
 *
 * Many files wait for the disk together. The files of a batch are written without names and synced. The blobs get their
 * names, and these are synced. Then the JSON files get their names. So no name stands for less than the whole file, and
 * no JSON file names blobs that a power cut can take away. The caller syncs the names of the last batch.
 *
 * A blob whose bytes do not match its name is not taken, and neither are the crashes that need it: each is reported. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "storage/crashes/mirror_batch.h"
#include "storage/index/index_read.h"
#include "storage/store/adopt_report.h"
#include "upkeep/import_internal.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define READ_BYTES ((size_t)256 << 10)

struct batch {
        struct import *i;
        struct blob_store *store;
        size_t n_blobs, n_blobs_max;
        struct blob_writer **blobs;
        struct mirror_batch mirrors;
        struct error why; /* a blob cannot be taken */
};

/* *ret_read: what failed, when it was the reading. */
static int receive(int fd, struct blob_writer *w, int *ret_read)
{
        _cleanup_(freep) uint8_t *block = malloc(READ_BYTES);
        if (!block)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(fd, block, READ_BYTES);
                if (n < 0)
                        return *ret_read = -errno;
                int r = n > 0 ? blob_writer_write(w, block, (size_t)n) : blob_writer_finish(w);
                if (r < 0 || n == 0)
                        return r;
        }
}

static void drop_blobs(struct batch *b, size_t from)
{
        while (b->n_blobs > from)
                blob_writer_free(b->blobs[--b->n_blobs]);
}

static void drop_all(struct batch *b)
{
        drop_blobs(b, 0);
        mirror_batch_done(&b->mirrors);
}

static int give_names(struct batch *b)
{
        struct draft_dir *drafts = blob_store_drafts(b->store);
        bool existed;
        int r = draft_sync_all(drafts);
        for (size_t n = 0; r == 0 && n < b->n_blobs; n++)
                r = blob_writer_link(b->blobs[n], &existed);
        if (r == 0 && b->n_blobs > 0)
                r = draft_sync_all(drafts);
        return r < 0 ? r : mirror_batch_link(&b->mirrors);
}

static int publish(struct batch *b)
{
        size_t crashes = b->mirrors.n;
        int r = crashes > 0 ? give_names(b) : 0;
        for (size_t n = 0; r == 0 && n < b->n_blobs; n++)
                b->i->counts.blob_bytes += blob_writer_len(b->blobs[n]);
        if (r == 0) {
                b->i->counts.blobs += b->n_blobs;
                b->i->counts.crashes += crashes;
        }
        drop_all(b);
        return r;
}

static int keep_blob(struct batch *b, struct blob_writer *w)
{
        if (b->n_blobs == b->n_blobs_max) {
                size_t max = b->n_blobs_max * 2 + IMPORT_BATCH_FILES;
                struct blob_writer **blobs = reallocarray(b->blobs, max, sizeof(struct blob_writer *));
                if (!blobs)
                        return -ENOMEM;
                b->blobs = blobs;
                b->n_blobs_max = max;
        }
        b->blobs[b->n_blobs++] = w;
        return 0;
}

/* Is the blob in this batch, or here already? */
static bool has_blob(const struct batch *b, const struct index_blob_use *use)
{
        for (size_t n = 0; n < b->n_blobs; n++) {
                if (strcmp(blob_writer_sha256(b->blobs[n]), use->sha256) == 0)
                        return blob_writer_len(b->blobs[n]) == use->len;
        }
        return blob_is_there(b->i->o->dir.fd, use->sha256, use->len);
}

/* A crash is left because of this blob. */
static int blame(struct batch *b, const char *path, int error)
{
        if (import_ends(error))
                return error;
        if (error == -ENOENT)
                error_set(&b->why, "it is not there");
        else
                regular_say(b->i->from_fd, path, error, &b->why);
        error_prefix(&b->why, "it names %s", path);
        return 1;
}

/* 0; 1: it cannot be read, or its bytes are not those of its name; -errno. */
static int take_blob(struct batch *b, const struct index_blob_use *use)
{
        _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
        char path[BLOB_PATH_SIZE];
        if (has_blob(b, use))
                return 0;
        blob_path(use->sha256, path);
        _cleanup_(closep) int fd = -1;
        int cannot_read = regular_open(b->i->from_fd, path, &fd, NULL);
        if (cannot_read < 0)
                return blame(b, path, cannot_read);
        int r = blob_writer_new(b->store, &w);
        if (r == 0)
                r = receive(fd, w, &cannot_read);
        if (r < 0)
                return cannot_read < 0 ? blame(b, path, cannot_read) : r;
        if (strcmp(blob_writer_sha256(w), use->sha256) != 0 || blob_writer_len(w) != use->len) {
                error_set(&b->why, "it names %s: its bytes are not those of its name", path);
                return 1;
        }
        r = keep_blob(b, w);
        if (r == 0)
                TAKE_PTR(w);
        return r;
}

/* 0; 1: one of its blobs cannot be taken; -errno. */
static int take_files(struct batch *b, const struct index_crash *crash)
{
        size_t before = b->n_blobs;
        int r = take_blob(b, &crash->dump);
        for (size_t n = 0; r == 0 && n < crash->n_attachments; n++)
                r = take_blob(b, &crash->attachments[n]);
        if (r == 0)
                r = mirror_batch_add(&b->mirrors, blob_store_drafts(b->store), crash);
        if (r != 0)
                drop_blobs(b, before);
        return r;
}

static int leave(struct import *i, const char *path, const char *why)
{
        i->counts.crashes_left++;
        import_left(i, path, why);
        return 0;
}

static int take_crash(struct import *i, const char *path)
{
        struct batch *b = i->batch;
        _cleanup_(adopt_report_freep) struct adopt_report *report = NULL;
        struct error err;
        int64_t id = 0;
        if (!path_ends_with(path, ".json"))
                return IMPORT_UNKNOWN;
        import_progress(i, "crashes");
        int r = adopt_report_read(i->from_fd, path, &report, &err);
        if (import_ends(r))
                return r;
        if (r != 0)
                return leave(i, path, err.text);
        const struct index_crash *crash = adopt_report_crash(report);
        r = index_has_crash(i->o->index, crash->metadata, crash->dump.sha256, &id);
        if (r < 0)
                return r;
        if (id) {
                i->counts.crashes_known++;
                return 0;
        }
        r = take_files(b, crash);
        if (r > 0)
                return leave(i, path, b->why.text);
        return r == 0 && b->n_blobs + b->mirrors.n >= IMPORT_BATCH_FILES ? publish(b) : r;
}

static int pass_over(_unused_ struct import *i, const char *path)
{
        char sha256[BLOB_HEX_SIZE];
        return blob_parse_path(path, sha256) ? 0 : IMPORT_UNKNOWN;
}

/* Blobs are taken with the crashes that name them: here only what is odd is left, and named. */
static int walk_all(struct import *i)
{
        const struct import_walk crashes = { .top = "crashes/by-source",
                                             .depth = 2,
                                             .take = take_crash,
                                             .unknown = "its name is not that of a crash's JSON file",
                                             .left = &i->counts.crashes_left };
        const struct import_walk blobs = { .top = "crashes/by-hash",
                                           .depth = 1,
                                           .take = pass_over,
                                           .unknown = "its path is not that of a blob",
                                           .left = &i->counts.others_left };
        if (!import_is_directory(i, "crashes")) /* the walks would follow a link */
                return 0;
        int r = import_walk(i, &blobs);
        return r == 0 ? import_walk(i, &crashes) : r;
}

int import_crashes(struct import *i)
{
        _cleanup_(freep) struct batch *b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->i = i;
        i->batch = b;
        int r = blob_store_new(i->o->dir.fd, &b->store);
        if (r < 0)
                return r;
        r = walk_all(i);
        if (r == 0)
                r = publish(b);
        drop_all(b);
        blob_store_free(b->store);
        free(b->blobs);
        i->batch = NULL;
        return r;
}
