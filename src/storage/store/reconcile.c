/* What a kill or a power cut can leave, and what is done about it. Log files are in reconcile_logs.c.
 *
 * The adoption (adopt.h) deals with files that no row names: a blob that was linked before its row was committed, a
 * JSON file or blob whose deletion was not finished, half-written files. Here the rows are checked. A JSON file that is
 * missing is written again, since its row is committed first. A blob that is missing is an error: it is durable before
 * any row names it, so only a damaged file system or a person can have removed it.
 *
 * Only half-written files are deleted. A JSON file without a row is indexed again although its deletion may have been
 * under way: retention deletes it again then, and an index that was restored from an older copy gets its crashes back.
 *
 * Failure modes: an index or a disk that fails ends the start. No space for a JSON file is a warning. */
#include "storage/store/reconcile_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "storage/store/adopt.h"
#include "storage/writer/index_batch.h"
#include "util/log.h"

#define PAGE_ROWS 500

struct reconciliation {
        int datadir_fd;
        struct index *index;
        bool log_lost;
        struct reconcile_counts counts;
        int64_t last_id; /* the next page begins after these */
        char last_sha256[BLOB_HEX_SIZE];
        size_t n_absent;
        int64_t absent[PAGE_ROWS]; /* ids of this page's crashes that have no mirror */
};

static int check_crash(void *userdata, const struct index_crash_row *row)
{
        struct reconciliation *c = userdata;
        struct source source = { 0 };
        struct moment crashed_at;
        char path[MIRROR_PATH_SIZE];

        c->last_id = row->id;
        if (clock_parse_rfc3339(row->crashed_at, strlen(row->crashed_at), &crashed_at) != 0 ||
            strlen(row->project) >= sizeof(source.project) || strlen(row->install_id) >= sizeof(source.install_id))
                return 0;
        snprintf(source.project, sizeof(source.project), "%s", row->project);
        snprintf(source.install_id, sizeof(source.install_id), "%s", row->install_id);
        mirror_path(&source, crashed_at, row->dump_sha256, path);
        assert(c->n_absent < PAGE_ROWS);
        if (faccessat(c->datadir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                c->absent[c->n_absent++] = row->id;
        return 0;
}

static int write_mirror(void *userdata, const struct index_crash *crash)
{
        struct reconciliation *c = userdata;
        int r = mirror_write(c->datadir_fd, crash);
        if (r == 0) {
                c->counts.mirrors_written++;
                return 0;
        }
        c->counts.mirrors_absent++;
        log_warn("cannot write a crash's JSON file; the crash itself is stored",
                 LOG_STR("project", crash->metadata->source.project), LOG_STR("dump", crash->dump.sha256),
                 LOG_STR("error", strerror(-r)));
        return index_batch_is_final(r) ? r : 0;
}

static int check_crashes(struct reconciliation *c)
{
        int64_t before;
        do {
                before = c->last_id;
                c->n_absent = 0;
                int r = index_crashes_after(c->index, before, PAGE_ROWS, check_crash, c);
                for (size_t i = 0; r == 0 && i < c->n_absent; i++) {
                        r = index_read_crash(c->index, c->absent[i], write_mirror, c);
                        if (r == -EINVAL) /* its row cannot be understood, and that was logged */
                                r = 0;
                }
                if (r < 0)
                        return r;
        } while (c->last_id != before);
        return 0;
}

static int check_blob(void *userdata, const char *sha256, uint64_t len)
{
        struct reconciliation *c = userdata;
        char path[BLOB_PATH_SIZE];
        memcpy(c->last_sha256, sha256, BLOB_HEX_SIZE);
        if (blob_is_there(c->datadir_fd, sha256, len))
                return 0;
        blob_path(sha256, path);
        c->counts.blobs_lost++;
        if (c->log_lost)
                log_error("a stored blob is not on disk, or not whole: this must never happen", LOG_STR("path", path),
                          LOG_INT("bytes", len));
        return 0;
}

static int check_blobs(struct reconciliation *c)
{
        char before[BLOB_HEX_SIZE];
        do {
                memcpy(before, c->last_sha256, sizeof(before));
                int r = index_blobs_after(c->index, before, PAGE_ROWS, check_blob, c);
                if (r < 0)
                        return r;
        } while (strcmp(before, c->last_sha256) != 0);
        return 0;
}

static void report(const struct reconcile_counts *counts)
{
        log_info("the last stop was not orderly; the stores were checked", LOG_INT("leftovers", counts->leftovers),
                 LOG_INT("blobs_unindexed", counts->blobs_unindexed),
                 LOG_INT("crashes_indexed", counts->crashes_indexed),
                 LOG_INT("mirrors_unusable", counts->mirrors_unusable),
                 LOG_INT("mirrors_written", counts->mirrors_written), LOG_INT("blobs_lost", counts->blobs_lost),
                 LOG_INT("log_tails", counts->log_tails), LOG_INT("log_totals", counts->log_totals),
                 LOG_INT("log_files_damaged", counts->log_files_damaged));
}

int reconcile_data_dir(int datadir_fd, struct index *index, bool log_lost, struct reconcile_counts *ret)
{
        struct reconciliation c = { .datadir_fd = datadir_fd, .index = index, .log_lost = log_lost };
        struct adopt_counts files;
        int r = adopt_data_dir(datadir_fd, index, ADOPT_UNCLEAN, &files);
        if (r < 0)
                return r;
        r = check_crashes(&c);
        if (r < 0)
                return r;
        r = check_blobs(&c);
        if (r < 0)
                return r;
        r = reconcile_log_files(datadir_fd, index, &c.counts);
        if (r < 0)
                return r;
        c.counts.leftovers = files.leftovers;
        c.counts.blobs_unindexed = files.blobs_added;
        c.counts.crashes_indexed = files.crashes;
        c.counts.mirrors_unusable = files.unreadable + files.incomplete;
        report(&c.counts);
        *ret = c.counts;
        return 0;
}
