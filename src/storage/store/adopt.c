/* Reads what a data directory holds and the index does not know.
 *
 * A directory that was never adopted (the reference's, or a first start that was cut short) is walked once: every JSON
 * file in crashes/by-source becomes a crash if the blobs it names are there. Then every blob that no crash names gets a
 * row without uses, so that retention collects it. Log files without a row get one at every start.
 *
 * Nothing is deleted that was not understood. A JSON file that could not be taken over may be using blobs, so then the
 * blobs without a crash stay on disk for ever, and the log says so. Rows that are there are kept, so a walk that was
 * cut short is repeated, and passes over what it knows by its name. A failing database ends the walk and the start.
 */
#include "storage/store/adopt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/blobs/blob.h"
#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_path.h"
#include "storage/store/adopt_report.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/log.h"

#define TRANSACTION_ROWS 500
#define PROGRESS_FILES 10000

struct adoption {
        int datadir_fd;
        struct index *index;
        enum adopt_what what;
        struct adopt_counts counts;
        unsigned rows; /* in the open transaction */
        uint64_t files;
};

/* What a stop left before it had its name. Nobody else writes here now. */
static int remove_leftover(void *userdata, const char *path, const char *name)
{
        struct adoption *a = userdata;
        if (strncmp(name, PATH_UNFINISHED, strlen(PATH_UNFINISHED)) == 0 && unlinkat(a->datadir_fd, path, 0) == 0)
                a->counts.leftovers++;
        return 0;
}

/* < 0 from cb ends the walk. */
static int each_file(struct adoption *a, const char *path, unsigned depth, entries_cb cb)
{
        const struct entries_walk walk = {
                .dirfd = a->datadir_fd, .depth = depth, .entry = cb, .hidden = remove_leftover, .userdata = a
        };
        return entries_walk(&walk, path);
}

static struct moment moment_of(struct timespec ts)
{
        return (struct moment){ .sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec };
}

/* Rows go in by transactions of TRANSACTION_ROWS. */
static int begin_row(struct adoption *a)
{
        assert(a->rows <= TRANSACTION_ROWS);
        if (a->rows == TRANSACTION_ROWS) {
                int r = index_commit(a->index);
                if (r < 0)
                        return r;
                r = index_checkpoint_if_due(a->index);
                if (r < 0)
                        return r;
                a->rows = 0;
        }
        return a->rows++ == 0 ? index_begin(a->index) : 0;
}

static int commit_rows(struct adoption *a, int result)
{
        if (a->rows == 0)
                return result;
        a->rows = 0;
        int r = result < 0 ? result : index_commit(a->index);
        if (r < 0)
                index_rollback(a->index);
        return r;
}

static void note_progress(struct adoption *a)
{
        if (++a->files % PROGRESS_FILES == 0)
                log_info("indexing the data directory", LOG_INT("files", a->files),
                         LOG_INT("crashes", a->counts.crashes));
}

static void cannot_adopt(const char *path, const char *reason)
{
        log_warn("a crash on disk cannot be indexed and is left alone", LOG_STR("path", path),
                 LOG_STR("reason", reason));
}

static bool has_blob(const struct adoption *a, const struct index_blob_use *use)
{
        return blob_is_there(a->datadir_fd, use->sha256, use->len);
}

static uint64_t missing_blobs(const struct adoption *a, const struct index_crash *crash)
{
        uint64_t missing = !has_blob(a, &crash->dump);
        for (size_t i = 0; i < crash->n_attachments; i++)
                missing += !has_blob(a, &crash->attachments[i]);
        return missing;
}

/* < 0: the index cannot go on. */
static int insert_crash(struct adoption *a, const char *path, const struct index_crash *crash)
{
        int64_t id = 0;
        int r = begin_row(a);
        if (r < 0)
                return r;
        r = index_has_crash(a->index, crash->metadata, crash->dump.sha256, &id);
        if (r < 0 || id)
                return r;
        r = index_savepoint(a->index);
        if (r < 0)
                return r;
        r = index_insert_crash(a->index, crash);
        if (r == 0) {
                a->counts.crashes++;
                return index_release(a->index);
        }
        if (r != -EINVAL || index_rollback_to(a->index) < 0)
                return r;
        cannot_adopt(path, "its values do not fit the index");
        a->counts.unreadable++;
        return 0;
}

/* Is this the name under which the index keeps a crash? Saves reading the file. */
static int is_known_report(struct adoption *a, const char *path, bool *ret)
{
        struct crash_metadata named = { 0 };
        char sha256[BLOB_HEX_SIZE], expected[MIRROR_PATH_SIZE];
        int64_t id = 0;
        if (!mirror_parse_path(path, &named.source, &named.timestamp, sha256)) {
                *ret = false;
                return 0;
        }
        mirror_path(&named.source, named.timestamp, sha256, expected);
        int r = begin_row(a);
        if (r < 0)
                return r;
        r = index_has_crash(a->index, &named, sha256, &id);
        *ret = id && strcmp(path, expected) == 0;
        return r;
}

static int adopt_report_file(void *userdata, const char *path, const char *name)
{
        struct adoption *a = userdata;
        _cleanup_(adopt_report_freep) struct adopt_report *report = NULL;
        struct error err;
        bool known = false;
        if (!path_ends_with(name, ".json"))
                return 0;
        note_progress(a);
        int r = is_known_report(a, path, &known);
        if (r < 0 || known)
                return r;
        r = adopt_report_read(a->datadir_fd, path, &report, &err);
        if (r == -ENOMEM)
                return r;
        if (r != 0) {
                cannot_adopt(path, err.text);
                a->counts.unreadable++;
                return 0;
        }
        const struct index_crash *crash = adopt_report_crash(report);
        uint64_t missing = missing_blobs(a, crash);
        if (missing > 0) {
                cannot_adopt(path, "a file that it names is not in crashes/by-hash, or not whole");
                a->counts.incomplete++;
                a->counts.blobs_missing += missing;
                return 0;
        }
        return insert_crash(a, path, crash);
}

static int adopt_blob(void *userdata, const char *path, const char *name)
{
        struct adoption *a = userdata;
        char sha256[BLOB_HEX_SIZE];
        struct stat st;
        bool known = false;
        if (!blob_parse_name(name, sha256))
                return 0;
        note_progress(a);
        int r = begin_row(a);
        if (r < 0)
                return r;
        r = index_has_blob(a->index, sha256, &known);
        if (r < 0 || known || fstatat(a->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return r;
        r = index_add_blob(a->index, sha256, (uint64_t)st.st_size, moment_of(st.st_mtim));
        a->counts.blobs_added += r == 0;
        return r;
}

/* Is "<path less .zst>" there too? */
static bool has_plain(const struct adoption *a, const char *path)
{
        char plain[PATH_MAX];
        snprintf(plain, sizeof(plain), "%.*s", (int)(strlen(path) - strlen(".zst")), path);
        return faccessat(a->datadir_fd, plain, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int adopt_log_file(void *userdata, const char *path, _unused_ const char *name)
{
        struct adoption *a = userdata;
        struct source source;
        struct stat st;
        char day[CLOCK_DAY_SIZE];
        bool known = false, compressed = false;
        if (!log_path_parse(path, &source, day, &compressed))
                return 0;
        if (compressed && has_plain(a, path))
                return 0; /* the plain one counts until it is compressed and gone */
        int r = index_has_log_file(a->index, &source, day, &known);
        if (r < 0 || known)
                return r;
        if (fstatat(a->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return 0;
        uint64_t bytes = a->what == ADOPT_UNCLEAN && !compressed ? 0 : (uint64_t)st.st_size;
        r = begin_row(a);
        if (r < 0)
                return r;
        r = (compressed ? index_add_compressed_log_file : index_add_log_file)(a->index, &source, day, bytes,
                                                                              moment_of(st.st_mtim));
        a->counts.log_files += r == 0;
        return r;
}

static int adopt_crashes(struct adoption *a)
{
        int r = commit_rows(a, each_file(a, "crashes/by-source", 2, adopt_report_file));
        if (r < 0)
                return r;
        if (a->counts.unreadable > 0 || a->counts.blobs_missing > 0) {
                log_warn("some crashes on disk could not be indexed: blobs that no crash names are kept for ever",
                         LOG_INT("unreadable", a->counts.unreadable),
                         LOG_INT("blobs_missing", a->counts.blobs_missing));
                return 0;
        }
        return commit_rows(a, each_file(a, "crashes/by-hash", 1, adopt_blob));
}

int adopt_data_dir(int datadir_fd, struct index *index, enum adopt_what what, struct adopt_counts *ret)
{
        struct adoption a = { .datadir_fd = datadir_fd, .index = index, .what = what };
        bool crashes = what != ADOPT_LOGS;
        int r = crashes ? adopt_crashes(&a) : 0;
        if (r < 0)
                return r;
        r = commit_rows(&a, each_file(&a, "logs", 2, adopt_log_file));
        if (r < 0)
                return r;
        r = crashes ? index_set_adopted(index) : 0;
        if (r < 0)
                return r;
        assert(a.rows == 0);
        *ret = a.counts;
        return 0;
}
