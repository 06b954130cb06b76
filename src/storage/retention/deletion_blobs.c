/* Frees blobs that nothing uses: the rows with refs = 0 are deleted and committed, then the files.
 *
 * The files are removed on the index writer's thread right after the commit, so that an upload of the same bytes comes
 * wholly before (its row keeps the blob) or wholly after (it makes the file again). A file that cannot be removed is
 * reported and left to the next start, which then checks everything. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_retention.h"
#include "storage/retention/deletion_internal.h"
#include "util/log.h"

struct blob_step {
        struct step step;
        struct deletion *deletion;
        unsigned max; /* rows */
        size_t n;
        char rows[DELETION_STEP_ROWS][BLOB_HEX_SIZE];
};

static int collect(void *userdata, const char *sha256, _unused_ uint64_t len)
{
        struct blob_step *step = userdata;
        assert(step->n < step->max);
        snprintf(step->rows[step->n++], BLOB_HEX_SIZE, "%s", sha256);
        return 0;
}

static int delete_rows(struct step *s, struct index *index)
{
        struct blob_step *step = container_of(s, struct blob_step, step);
        step->n = 0;
        int r = index_orphan_blobs(index, step->max, collect, step);
        for (size_t i = 0; r == 0 && i < step->n; i++)
                r = index_delete_blob(index, step->rows[i]);
        return r;
}

/* The thread that deletes is waiting, so the tally is this one's now. */
static void remove_files(struct step *s)
{
        struct blob_step *step = container_of(s, struct blob_step, step);
        const struct deletion_stores *stores = &step->deletion->stores;
        struct deletion_tally *tally = &step->deletion->tally;
        for (size_t i = 0; i < step->n; i++) {
                uint64_t len;
                int r = blob_unlink(stores->blobs, step->rows[i], &len);
                if (r == 0) {
                        tally->blobs++;
                        tally->blob_bytes += len;
                } else if (r != -ENOENT) {
                        atomic_store(stores->untidy, true);
                        log_warn("cannot remove a blob that nothing refers to", LOG_STR("sha256", step->rows[i]),
                                 LOG_STR("error", strerror(-r)));
                }
        }
}

static int next_blobs(struct deletion *d, void *work, bool *ret_last)
{
        struct blob_step *step = work;
        int r = deletion_run_rows(d, &step->step, &step->max);
        *ret_last = step->n < step->max;
        return r;
}

int deletion_blobs_free(struct deletion *d)
{
        _cleanup_(freep) struct blob_step *step = calloc(1, sizeof(*step));
        if (!step)
                return -ENOMEM;
        step->step = (struct step){ .run = delete_rows, .committed = remove_files };
        step->deletion = d;
        step->max = deletion_step_rows(d);
        return deletion_repeat(d, next_blobs, step, NULL);
}
