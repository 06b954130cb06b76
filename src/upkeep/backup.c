/* 1. Copy the database, as it is at one moment, to incoming/.
 * 2. Copy each blob that it names. If the blob and its row are gone from the original by now, retention deleted them:
 *    the copy forgets their crashes, too. If only the file is gone, it is lost, and reported.
 * 3. Copy the JSON files, then the log files up to a whole line, and correct the copy's rows of log files.
 * 4. Sync everything once, rename the database to its place, write the manifest.
 * 5. Remove what no row names any more.
 *
 * Blobs are removed last, so an older copy stays whole until the newer one is there, except that its log files may have
 * grown, or gone as in the original. So a run that is cut short leaves the older copy or the newer one. A directory
 * with incoming/ in it is ours, and unfinished. */
#include "upkeep/backup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_check.h"
#include "storage/index/index_copy.h"
#include "storage/index/index_read.h"
#include "storage/index/index_write.h"
#include "storage/store/data_dir.h"
#include "upkeep/backup_internal.h"
#include "util/buf.h"
#include "util/files/durable.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define INCOMING DATA_DIR_INCOMING
#define PAGE_ROWS 500

void backup_progress(const struct backup *b, const char *step, uint64_t done, uint64_t all)
{
        if (b->config->progress)
                b->config->progress(b->config->userdata, step, done, all);
}

bool backup_left(struct backup *b, const char *path, int error)
{
        struct error why;
        if (error != -EINVAL && error != -ELOOP && error != -ENOTDIR && error != -EACCES && error != -EPERM)
                return false;
        regular_say(b->from_fd, path, error, &why);
        b->counts.left++;
        if (b->config->left)
                b->config->left(b->config->userdata, path, why.text);
        return true;
}

static int not_empty(_unused_ void *userdata, _unused_ const char *path, _unused_ const char *name)
{
        return 1;
}

/* Is the directory ours, or empty? */
static int check_target(struct backup *b, struct error *err)
{
        bool ours = faccessat(b->to_fd, INCOMING, F_OK, 0) == 0 ||
                    (!b->config->restore && faccessat(b->to_fd, BACKUP_MANIFEST, F_OK, 0) == 0);
        struct stat from, to;
        if (fstat(b->from_fd, &from) < 0 || fstat(b->to_fd, &to) < 0)
                return error_cannot(err, -errno, "look at", b->config->to);
        if (from.st_ino == to.st_ino && from.st_dev == to.st_dev) {
                error_set(err, "%s is the directory to be copied", b->config->to);
                return -EINVAL;
        }
        if (b->config->restore && faccessat(b->from_fd, BACKUP_MANIFEST, F_OK, 0) < 0) {
                error_set(err, "%s is not a finished backup: it has no %s", b->config->from, BACKUP_MANIFEST);
                return -EINVAL;
        }
        if (!ours && entries_each(b->to_fd, ".", not_empty, NULL) != 0) {
                error_set(err, "%s is not empty%s", b->config->to, b->config->restore ? "" : ", and not a backup");
                return -ENOTEMPTY;
        }
        return 0;
}

static int lock_target(struct backup *b, struct error *err)
{
        b->lock_fd = openat(b->to_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (b->lock_fd >= 0 && flock(b->lock_fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        if (b->lock_fd >= 0 && errno == EWOULDBLOCK) {
                error_set(err, "%s is in use by another process", b->config->to);
                return -EBUSY;
        }
        return error_cannot(err, -errno, "lock", b->config->to);
}

static int open_both(struct backup *b, struct error *err)
{
        b->from_fd = open(b->config->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b->from_fd < 0)
                return error_cannot(err, -errno, "open", b->config->from);
        int r = durable_mkdirs(AT_FDCWD, b->config->to);
        if (r < 0)
                return error_cannot(err, r, "make", b->config->to);
        b->to_fd = open(b->config->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b->to_fd < 0)
                return error_cannot(err, -errno, "open", b->config->to);
        r = check_target(b, err);
        if (r < 0)
                return r;
        r = durable_mkdirs(b->to_fd, INCOMING);
        if (r < 0)
                return error_cannot(err, r, "write to", b->config->to);
        r = lock_target(b, err);
        if (r < 0)
                return r;
        b->files = (struct tree_copy){ .from_fd = b->from_fd, .to_fd = b->to_fd, .link = b->config->link };
        return index_open_readonly(b->config->from, &b->source, err);
}

static void pages_copied(void *userdata, uint64_t done, uint64_t all)
{
        backup_progress(userdata, "database", done, all);
}

static int remove_file(void *userdata, const char *path, _unused_ const char *name)
{
        const struct backup *b = userdata;
        return path_remove(b->to_fd, path);
}

static int take_snapshot(struct backup *b, struct error *err)
{
        char dir[PATH_MAX], path[PATH_MAX];
        bool created;
        int n = snprintf(dir, sizeof(dir), "%s/" INCOMING, b->config->to);
        if (n < 0 || n >= PATH_MAX || snprintf(path, sizeof(path), "%s/detritus.db", dir) >= PATH_MAX)
                return error_cannot(err, -ENAMETOOLONG, "copy to", b->config->to);
        int r = entries_each(b->to_fd, INCOMING, remove_file, b); /* of a run that was killed */
        if (r == 0)
                r = index_copy_to(b->source, path, pages_copied, b);
        if (r == 0 && fchmodat(b->to_fd, INCOMING "/detritus.db", 0640, 0) < 0)
                r = -errno;
        if (r < 0)
                return error_cannot(err, r, "copy the database to", b->config->to);
        r = index_open(dir, &b->copy, &created, err);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        return index_count_all(b->copy, &b->counts.rows);
}

struct backup_page {
        size_t n;
        struct {
                char sha256[BLOB_HEX_SIZE];
                uint64_t len;
                int64_t id;
        } rows[PAGE_ROWS];
};

static int collect_blob(void *userdata, const char *sha256, uint64_t len)
{
        struct backup_page *page = userdata;
        assert(page->n < PAGE_ROWS);
        snprintf(page->rows[page->n].sha256, BLOB_HEX_SIZE, "%s", sha256);
        page->rows[page->n++].len = len;
        return 0;
}

/* The row of a blob is deleted before its file, and made after it. A file of the wrong length never replaces an older
 * copy's. */
static int copy_blob(struct backup *b, const char *sha256, uint64_t len)
{
        char path[BLOB_PATH_SIZE];
        uint64_t now;
        blob_path(sha256, path);
        int r = blob_is_there(b->from_fd, sha256, len) ? tree_copy_file(&b->files, path, true) : -ENOENT;
        if (r != -ENOENT)
                return r;
        if (index_find_blob(b->source, sha256, &now) == -ENOENT) {
                b->counts.deleted_meanwhile++;
                return index_forget_blob(b->copy, sha256);
        }
        if (blob_is_there(b->from_fd, sha256, len) && tree_copy_file(&b->files, path, true) == 0)
                return 0; /* deleted, and sent again */
        b->counts.lost++;
        return 0;
}

static int copy_page_of_blobs(struct backup *b, const struct backup_page *page)
{
        int r = index_begin(b->copy);
        for (size_t i = 0; r == 0 && i < page->n; i++)
                r = copy_blob(b, page->rows[i].sha256, page->rows[i].len);
        return r < 0 ? r : index_commit(b->copy);
}

static int copy_blobs(struct backup *b)
{
        _cleanup_(freep) struct backup_page *page = calloc(1, sizeof(*page));
        char last[BLOB_HEX_SIZE] = "";
        uint64_t done = 0;
        if (!page)
                return -ENOMEM;
        do {
                page->n = 0;
                int r = index_blobs_after(b->copy, last, PAGE_ROWS, collect_blob, page);
                if (r == 0)
                        r = copy_page_of_blobs(b, page);
                if (r < 0)
                        return r;
                if (page->n > 0)
                        memcpy(last, page->rows[page->n - 1].sha256, sizeof(last));
                done += page->n;
                backup_progress(b, "blobs", done, b->counts.rows.blobs);
        } while (page->n > 0);
        return 0;
}

static int collect_id(void *userdata, const struct index_crash_row *row)
{
        struct backup_page *page = userdata;
        assert(page->n < PAGE_ROWS);
        page->rows[page->n++].id = row->id;
        return 0;
}

static int copy_mirror(void *userdata, const struct index_crash *crash)
{
        struct backup *b = userdata;
        char path[MIRROR_PATH_SIZE];
        mirror_path(&crash->metadata->source, crash->metadata->timestamp, crash->dump.sha256, path);
        int r = tree_copy_file(&b->files, path, false);
        if (r < 0 && r != -ENOENT && !backup_left(b, path, r))
                return r;
        return r < 0 ? mirror_write(b->to_fd, crash) : 0; /* from the row */
}

static int copy_mirrors(struct backup *b)
{
        _cleanup_(freep) struct backup_page *page = calloc(1, sizeof(*page));
        int64_t last = 0;
        uint64_t done = 0;
        if (!page)
                return -ENOMEM;
        do {
                page->n = 0;
                int r = index_crashes_after(b->copy, last, PAGE_ROWS, collect_id, page);
                for (size_t i = 0; r == 0 && i < page->n; i++) {
                        last = page->rows[i].id;
                        r = index_read_crash(b->copy, last, copy_mirror, b);
                        if (r == -EINVAL) /* its row cannot be understood: `verify` reports it */
                                r = 0;
                }
                if (r < 0)
                        return r;
                done += page->n;
                backup_progress(b, "crashes", done, b->counts.rows.crashes);
        } while (page->n > 0);
        return 0;
}

/* The older copy's WAL must never meet the newer database, so it is unlinked first. It holds nothing, since a backup is
 * not in WAL mode. A restored database stays in WAL mode: a kill while it changed back would leave one that only a
 * writer can open. */
static int publish(struct backup *b)
{
        int r = b->config->restore ? index_checkpoint_whole(b->copy) : index_leave_wal(b->copy);
        b->copy = index_free(b->copy);
        if (r == 0)
                r = durable_sync_all(b->to_fd);
        if (r == 0)
                r = path_remove(b->to_fd, "detritus.db-wal");
        if (r == 0)
                r = path_remove(b->to_fd, "detritus.db-shm");
        if (r < 0)
                return r;
        if (renameat(b->to_fd, INCOMING "/detritus.db", b->to_fd, "detritus.db") < 0)
                return -errno;
        return durable_sync_dir(b->to_fd, NULL);
}

static int write_manifest(struct backup *b)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        char at[CLOCK_RFC3339_SIZE];
        clock_format_fixed(b->started, 3, at);
        int r = buf_printf(&text,
                           "{\n  \"format\": 1,\n  \"made_at\": \"%s\",\n  \"detritus\": \"" DETRITUS_VERSION "\",\n"
                           "  \"crashes\": %llu,\n  \"blobs\": %llu,\n  \"log_files\": %llu,\n  \"sources\": %llu\n}\n",
                           at, (unsigned long long)b->counts.rows.crashes, (unsigned long long)b->counts.rows.blobs,
                           (unsigned long long)b->counts.rows.log_files, (unsigned long long)b->counts.rows.sources);
        return r < 0 ? r : durable_replace_file(b->to_fd, BACKUP_MANIFEST, text.data, text.len, 0640);
}

int backup_remove(struct backup *b, const char *path)
{
        if (unlinkat(b->to_fd, path, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        b->counts.removed++;
        return 0;
}

static int remove_blob(void *userdata, const char *path, const char *name)
{
        struct backup *b = userdata;
        char sha256[BLOB_HEX_SIZE];
        uint64_t len;
        if (!blob_parse_name(name, sha256))
                return 0;
        int r = index_find_blob(b->copy, sha256, &len);
        return r == -ENOENT ? backup_remove(b, path) : r;
}

static int remove_mirror(void *userdata, const char *path, _unused_ const char *name)
{
        struct backup *b = userdata;
        struct crash_metadata named = { 0 };
        char sha256[BLOB_HEX_SIZE];
        int64_t id = 0;
        if (!mirror_parse_path(path, &named.source, &named.timestamp, sha256))
                return 0;
        int r = index_has_crash(b->copy, &named, sha256, &id);
        return r == 0 && id == 0 ? backup_remove(b, path) : r;
}

/* The copy is open read-only now, under its name. */
static int remove_stale(struct backup *b, struct error *err)
{
        assert(!b->copy);
        int r = index_open_readonly(b->config->to, &b->copy, err);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        r = entries_each_below(b->to_fd, "crashes/by-hash", 1, remove_blob, b);
        if (r < 0)
                return r;
        r = entries_each_below(b->to_fd, "crashes/by-source", 2, remove_mirror, b);
        if (r < 0)
                return r;
        return unlinkat(b->to_fd, INCOMING, AT_REMOVEDIR) < 0 ? -errno : durable_sync_dir(b->to_fd, NULL);
}

static int give(int fd, const char *path, const struct stat *owner)
{
        return fchownat(fd, path, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

struct giving {
        struct backup *b;
        struct stat owner;
};

static int give_below(void *userdata, const char *path, _unused_ const char *name)
{
        struct giving *g = userdata;
        int r = give(g->b->to_fd, path, &g->owner);
        return r == 0 ? entries_each(g->b->to_fd, path, give_below, g) : r; /* a file has no entries */
}

/* Root may restore into a directory of the daemon's user: that user gets the files. */
static int give_to_owner(struct backup *b)
{
        struct giving g = { .b = b };
        if (fstat(b->to_fd, &g.owner) < 0)
                return -errno;
        return geteuid() == 0 && g.owner.st_uid != 0 ? entries_each(b->to_fd, ".", give_below, &g) : 0;
}

static int count_rows(struct backup *b)
{
        return index_count_all(b->copy, &b->counts.rows);
}

static int finish(struct backup *b)
{
        return b->config->restore ? give_to_owner(b) : write_manifest(b);
}

static int copy_all(struct backup *b, struct error *err)
{
        static int (*const steps[])(struct backup * b) = { copy_blobs, copy_mirrors, backup_logs,
                                                           count_rows, publish,      finish };
        int r = take_snapshot(b, err);
        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
                r = steps[i](b);
        if (r < 0)
                return error_cannot(err, r, "copy to", b->config->to);
        r = remove_stale(b, err);
        return r < 0 ? error_cannot(err, r, "tidy", b->config->to) : 0;
}

int backup_run(const struct backup_config *config, struct backup_counts *ret, struct error *err)
{
        struct backup b = { .config = config, .from_fd = -1, .to_fd = -1, .lock_fd = -1, .started = clock_now() };
        int r = open_both(&b, err);
        if (r == 0)
                r = copy_all(&b, err);
        index_free(b.copy);
        index_free(b.source);
        closep(&b.lock_fd);
        closep(&b.to_fd);
        closep(&b.from_fd);
        b.counts.linked = b.files.linked;
        b.counts.copied = b.files.copied;
        b.counts.kept = b.files.kept;
        b.counts.bytes = b.files.bytes;
        *ret = b.counts;
        return r > 0 ? -EINVAL : r;
}
