/* reindex: the old database, if it can be read, tells what the JSON files do not say: whether a crash is held, how many
 * lines a log file has, and sources that have nothing left. A crash was received at the mtime of its file. Crashes get
 * new ids.
 *
 * Nothing is changed when something that is no file is in the place of one of the database's.
 *
 * The swap: the old database gets a second name, and its WAL is set aside (a healthy database was checkpointed just
 * before, so it has none). Then the new database takes the name. If this is cut short, either the old database is there
 * or the new one, and the lock file makes the next start check everything.
 */
#include "upkeep/reindex.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror_batch.h"
#include "storage/index/index_check.h"
#include "storage/index/index_copy.h"
#include "storage/index/index_read.h"
#include "storage/store/adopt_report.h"
#include "util/buf.h"
#include "util/files/durable.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define ASIDE "reindex"
#define PAGE_ROWS 500

static const char kept_wal[] = REINDEX_KEPT "-wal";

static int remove_file(void *userdata, const char *path, _unused_ const char *name)
{
        return path_remove(*(const int *)userdata, path);
}

/* Removes what a killed run left, whatever SQLite called it. */
static int clear_aside(int datadir_fd)
{
        int r = entries_each(datadir_fd, ASIDE, remove_file, &datadir_fd);
        if (r == 0 && unlinkat(datadir_fd, ASIDE, AT_REMOVEDIR) < 0 && errno != ENOENT)
                r = -errno;
        return r;
}

static int say_odd(const char *data_dir, const char *name, const char *kind, const char *expected, struct error *err)
{
        error_set(err, "%s/%s is %s, not %s; move it away, then run reindex again", data_dir, name, kind, expected);
        return -EINVAL;
}

/* What is in the place of a file of the database, or of the directory that is made, was put there by somebody: whoever
 * replaces it may destroy what it stands for. A symbolic link to a file is fine; one that leads nowhere may be to a
 * disk that is not mounted. */
static int refuse_odd(const struct offline *o, struct error *err)
{
        static const char *const files[] = { "detritus.db",         "detritus.db-wal", "detritus.db-shm",
                                             "detritus.db-journal", REINDEX_KEPT,      kept_wal };
        struct stat st;
        for (size_t i = 0; i < ARRAY_LEN(files); i++) {
                if (fstatat(o->dir.fd, files[i], &st, 0) == 0 && !S_ISREG(st.st_mode))
                        return say_odd(o->path, files[i], regular_kind(st.st_mode), "a regular file", err);
                if (fstatat(o->dir.fd, files[i], &st, 0) < 0 &&
                    fstatat(o->dir.fd, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
                        return say_odd(o->path, files[i], "a symbolic link that leads nowhere", "a regular file", err);
        }
        if (fstatat(o->dir.fd, ASIDE, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
                return say_odd(o->path, ASIDE, regular_kind(st.st_mode), "a directory", err);
        return 0;
}

/* The fault of the machine, and not of the old database: with space or memory it can be read. */
static bool is_passing(int error)
{
        return error == -ENOSPC || error == -EDQUOT || error == -ENOMEM || error == -EBUSY;
}

/* *ret_copied false: the old database cannot be read. */
static int copy_old(const char *data_dir, const char *copy, struct index_totals *ret, bool *ret_copied)
{
        _cleanup_(index_freep) struct index *old = NULL;
        struct error err;
        int r = index_open_any(data_dir, &old, &err);
        if (r == 0)
                r = index_count_all(old, ret);
        if (r == 0)
                r = index_copy_to(old, copy, NULL, NULL);
        *ret_copied = r == 0;
        return is_passing(r) ? r : 0;
}

/* Closing a healthy database leaves no WAL. One that is not there is not made. */
static void checkpoint_old(int datadir_fd, const char *data_dir)
{
        struct index *old;
        struct error err;
        bool created;
        if (faccessat(datadir_fd, "detritus.db", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
            index_open(data_dir, &old, &created, &err) == 0)
                index_free(old);
}

static int build(struct offline *o, const char *aside, struct reindex_counts *counts, struct error *err)
{
        _cleanup_(index_freep) struct index *x = NULL;
        char copy[PATH_MAX];
        bool created, has_old;
        int n = snprintf(copy, sizeof(copy), "%s/old.db", aside);
        int r = n < 0 || (size_t)n >= sizeof(copy) ? -ENAMETOOLONG : copy_old(o->path, copy, &counts->before, &has_old);
        if (r < 0)
                return error_cannot(err, r, "copy the old database", NULL);
        r = index_open(aside, &x, &created, err);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        r = adopt_data_dir(o->dir.fd, x, ADOPT_ALL, &counts->files);
        if (r < 0)
                return error_cannot(err, r, "index the files", NULL);
        if (has_old)
                r = index_take_over(x, copy);
        if (has_old && r == 0)
                r = index_take_over_tokens(x, copy);
        counts->taken_over = has_old && r == 0;
        if (is_passing(r))
                return error_cannot(err, r, "take over what the old database says", NULL);
        r = index_count_all(x, &counts->after);
        if (r == 0)
                r = index_checkpoint_whole(x);
        return r < 0 ? error_cannot(err, r, "write the new database", NULL) : 0;
}

static int set_aside(int fd, const char *from, const char *to)
{
        return renameat(fd, from, fd, to) < 0 && errno != ENOENT ? -errno : 0;
}

static int keep_old(int fd)
{
        int r = path_remove(fd, REINDEX_KEPT);
        if (r == 0)
                r = path_remove(fd, kept_wal);
        if (r < 0)
                return r;
        if (linkat(fd, "detritus.db", fd, REINDEX_KEPT, 0) < 0 && errno != ENOENT)
                return -errno;
        r = set_aside(fd, "detritus.db-wal", kept_wal);
        return r < 0 ? r : path_remove(fd, "detritus.db-shm");
}

static int swap(struct offline *o)
{
        int fd = o->dir.fd;
        _cleanup_(closep) int db = openat(fd, ASIDE "/detritus.db", O_RDONLY | O_CLOEXEC);
        int r = db < 0 ? -errno : durable_sync(db);
        if (r < 0)
                return r;
        checkpoint_old(fd, o->path);
        r = keep_old(fd);
        if (r < 0)
                return r;
        r = durable_sync_dir(fd, NULL);
        if (r < 0)
                return r;
        return renameat(fd, ASIDE "/detritus.db", fd, "detritus.db") < 0 ? -errno : durable_sync_dir(fd, NULL);
}

static int build_and_swap(struct offline *o, const char *aside, bool force, struct reindex_counts *counts,
                          struct error *err)
{
        int r = build(o, aside, counts, err);
        if (r < 0)
                return r;
        if (counts->after.crashes < counts->before.crashes && !force)
                return REINDEX_FEWER;
        r = swap(o);
        return r < 0 ? error_cannot(err, r, "put the new database in its place", NULL) : 0;
}

static int reindex_held(struct offline *o, bool force, struct reindex_counts *counts, struct error *err)
{
        char aside[PATH_MAX];
        int n = snprintf(aside, sizeof(aside), "%s/" ASIDE, o->path);
        if (n < 0 || (size_t)n >= sizeof(aside))
                return error_cannot(err, -ENAMETOOLONG, "build the database", NULL);
        int r = refuse_odd(o, err);
        if (r < 0)
                return r;
        r = clear_aside(o->dir.fd);
        if (r == 0)
                r = durable_mkdirs(o->dir.fd, ASIDE);
        if (r < 0)
                return error_cannot(err, r, "make " ASIDE, NULL);
        r = build_and_swap(o, aside, force, counts, err);
        clear_aside(o->dir.fd);
        return r;
}

int reindex_data_dir(const char *data_dir, bool force, struct reindex_counts *ret, struct error *err)
{
        struct offline *o;
        struct reindex_counts counts = { 0 };
        int r = offline_open(data_dir, OFFLINE_FILES, &o, err);
        if (r < 0)
                return r;
        r = reindex_held(o, force, &counts, err);
        /* Never "clean": the next start checks what an unclean stop left, by the new rows. */
        offline_close(o, false);
        *ret = counts;
        return r;
}

struct mirroring {
        struct offline *o;
        bool dry_run;
        struct mirror_counts counts;
        struct index_totals totals;
        struct draft_dir drafts;
        struct mirror_batch batch;
        size_t n;
        int64_t ids[PAGE_ROWS];
};

static int collect(void *userdata, const struct index_crash_row *row)
{
        struct mirroring *m = userdata;
        assert(m->n < PAGE_ROWS);
        m->ids[m->n++] = row->id;
        return 0;
}

static bool is_same(int datadir_fd, const struct index_crash *crash, const char *path)
{
        _cleanup_(buf_done) struct buf expected = { 0 }, found = { 0 };
        struct stat st;
        _cleanup_(closep) int fd = -1;
        return regular_open(datadir_fd, path, &fd, &st) == 0 && st.st_mtim.tv_sec == crash->received_at.sec &&
               buf_read_fd(&found, fd, ADOPT_REPORT_MAX_BYTES) == 0 && mirror_render(crash, &expected) == 0 &&
               found.len == expected.len && memcmp(found.data, expected.data, found.len) == 0;
}

static int write_batch(struct mirroring *m)
{
        int r = m->batch.n > 0 ? draft_sync_all(&m->drafts) : 0;
        return r < 0 ? r : mirror_batch_link(&m->batch);
}

static int write_one(void *userdata, const struct index_crash *crash)
{
        struct mirroring *m = userdata;
        char path[MIRROR_PATH_SIZE];
        mirror_path(&crash->metadata->source, crash->metadata->timestamp, crash->dump.sha256, path);
        m->counts.crashes++;
        if (is_same(m->o->dir.fd, crash, path))
                return 0;
        m->counts.written++;
        if (m->dry_run)
                return 0;
        int r = m->batch.n == MIRROR_BATCH_MAX ? write_batch(m) : 0;
        return r < 0 ? r : mirror_batch_add(&m->batch, &m->drafts, crash);
}

static int remove_extra(void *userdata, const char *path, const char *name)
{
        struct mirroring *m = userdata;
        struct crash_metadata named = { 0 };
        char sha256[BLOB_HEX_SIZE];
        int64_t id = 0;
        if (!path_ends_with(name, ".json"))
                return 0;
        if (!mirror_parse_path(path, &named.source, &named.timestamp, sha256)) {
                m->counts.left++;
                return 0;
        }
        int r = index_has_crash(m->o->index, &named, sha256, &id);
        if (r < 0 || id)
                return r;
        m->counts.removed++;
        return m->dry_run ? 0 : path_remove(m->o->dir.fd, path);
}

static int write_all(struct mirroring *m, mirror_progress progress, void *userdata)
{
        int64_t last = 0;
        int r = index_count_all(m->o->index, &m->totals);
        if (r < 0)
                return r;
        do {
                m->n = 0;
                r = index_crashes_after(m->o->index, last, PAGE_ROWS, collect, m);
                for (size_t i = 0; r == 0 && i < m->n; i++) {
                        r = index_read_crash(m->o->index, m->ids[i], write_one, m);
                        last = m->ids[i];
                }
                if (progress)
                        progress(userdata, m->counts.crashes, m->totals.crashes);
        } while (r == 0 && m->n > 0);
        return r;
}

static int mirror_all(struct mirroring *m, mirror_progress progress, void *userdata)
{
        int r = draft_dir_init(&m->drafts, m->o->dir.fd);
        if (r < 0)
                return r;
        r = write_all(m, progress, userdata);
        if (r == 0)
                r = write_batch(m);
        if (r == 0 && !m->dry_run)
                r = draft_sync_all(&m->drafts);
        mirror_batch_done(&m->batch);
        draft_dir_done(&m->drafts);
        return r == 0 ? entries_each_below(m->o->dir.fd, "crashes/by-source", 2, remove_extra, m) : r;
}

int reindex_mirror(struct offline *o, bool dry_run, mirror_progress progress, void *userdata, struct mirror_counts *ret)
{
        assert(o->index);
        struct mirroring *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->o = o;
        m->dry_run = dry_run;
        int r = mirror_all(m, progress, userdata);
        *ret = m->counts;
        free(m);
        return r;
}
