/* A log file that always ends in a newline.
 *
 * Opening an existing file reads its last block: when a crash left an unterminated line, that tail is appended to
 * <file>.torn, synced there, and only then cut off here; a crash in between leaves it twice, never lost. Appending
 * moves `size` by what the kernel took, so that after a failed write the caller knows where to cut. Between a look at
 * the size and the write somebody may empty the file, so the kernel is asked where the lines went (O_APPEND moves the
 * file offset).
 *
 * Failure modes: what concerns one file (ENOSPC, EMFILE, no permission, a directory in the way) is -errno, and the file
 * is as it was. A failed sync is final, since the kernel may have dropped the pages: LOG_FILE_BROKEN, logged here
 * once. */
#include "storage/logs/log_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/files/durable.h"
#include "util/files/failure.h"
#include "util/log.h"

/* "logs/" project "/" install_id "/" day ".ndjson.torn" */
#define PATH_SIZE (5 + 2 * (SOURCE_COMPONENT_MAX + 1) + CLOCK_DAY_SIZE + 12)

static void dir_path(const struct source *s, char ret[PATH_SIZE])
{
        snprintf(ret, PATH_SIZE, "logs/%s/%s", s->project, s->install_id);
}

static void file_path(const struct source *s, const char *day, const char *suffix, char ret[PATH_SIZE])
{
        snprintf(ret, PATH_SIZE, "logs/%s/%s/%.10s.ndjson%s", s->project, s->install_id, day, suffix);
}

void log_file_path(const struct source *source, const char *day, char ret[LOG_FILE_PATH_SIZE])
{
        _Static_assert(PATH_SIZE <= LOG_FILE_PATH_SIZE, "it fits");
        file_path(source, day, "", ret);
}

static int broken(const struct log_file *f, const char *what, int error)
{
        char path[PATH_SIZE];
        file_path(&f->source, f->day, "", path);
        log_error("log store failed, no batch is acknowledged any more", LOG_STR("step", what), LOG_STR("file", path),
                  LOG_STR("error", strerror(-error)));
        return LOG_FILE_BROKEN;
}

/* The last line of defence: names that reach here were validated at the door. */
static bool source_valid(const struct source *s)
{
        return source_component_valid(s->project, strlen(s->project)) &&
               source_component_valid(s->install_id, strlen(s->install_id));
}

static int create(struct log_file *f, const char *path, int flags)
{
        char dir[PATH_SIZE];
        dir_path(&f->source, dir);
        int r = durable_mkdirs_later(f->datadir_fd, dir);
        if (r < 0)
                return r;
        f->fd = openat(f->datadir_fd, path, flags | O_CREAT, 0640);
        return f->fd < 0 ? -errno : 0;
}

static int open_or_create(struct log_file *f, int more_flags, bool may_create)
{
        const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | more_flags;
        char path[PATH_SIZE];
        struct stat st;

        file_path(&f->source, f->day, "", path);
        f->fd = openat(f->datadir_fd, path, flags);
        if (f->fd < 0) {
                if (errno != ENOENT || !may_create)
                        return -errno;
                int r = create(f, path, flags);
                if (r != 0)
                        return r;
        }
        if (fstat(f->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EISDIR; /* or another thing in the way */
        f->device = st.st_dev;
        f->inode = st.st_ino;
        f->size = (uint64_t)st.st_size;
        f->unnamed = f->size == 0; /* new, or made by somebody who did not live to sync its directories */
        return 0;
}

static int read_at(int fd, uint8_t *block, size_t len, uint64_t at)
{
        while (len > 0) {
                ssize_t n = pread(fd, block, len, (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO; /* shorter than fstat said */
                block += n;
                len -= (size_t)n;
                at += (uint64_t)n;
        }
        return 0;
}

int log_file_find_end(int fd, uint64_t before, uint64_t *ret_end)
{
        uint8_t block[4096];
        uint64_t end = before;

        while (end > 0) {
                size_t n = end < sizeof(block) ? (size_t)end : sizeof(block);
                int r = read_at(fd, block, n, end - n);
                if (r < 0)
                        return r;
                const uint8_t *newline = memrchr(block, '\n', n);
                if (newline) {
                        end -= n - (size_t)(newline - block) - 1;
                        break;
                }
                end -= n;
        }
        *ret_end = end;
        return 0;
}

static int copy_tail(const struct log_file *f, uint64_t from, int torn_fd)
{
        uint8_t block[4096];
        while (from < f->size) {
                size_t n = f->size - from < sizeof(block) ? (size_t)(f->size - from) : sizeof(block);
                int r = read_at(f->fd, block, n, from);
                if (r == 0)
                        r = durable_write_all(torn_fd, block, n);
                if (r < 0)
                        return r;
                from += n;
        }
        return 0;
}

/* Where the directory cannot be opened, for want of a descriptor or of permission, the whole file system is synced:
 * that needs no other descriptor. -ENOENT: it is not there. What fails is final. */
static int sync_name(const struct log_file *f, const char *dir)
{
        int r = durable_sync_dir(f->datadir_fd, dir);
        return r < 0 && r != -ENOENT && failure_of(FAILURE_SYNC, r) != FAILURE_FINAL ? durable_sync_all(f->datadir_fd)
                                                                                     : r;
}

static int set_aside(const struct log_file *f, uint64_t from, const char *what)
{
        char path[PATH_SIZE], dir[PATH_SIZE];
        struct stat st;

        file_path(&f->source, f->day, ".torn", path);
        dir_path(&f->source, dir);
        _cleanup_(closep) int fd =
                openat(f->datadir_fd, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        int r = copy_tail(f, from, fd);
        if (r < 0)
                return ftruncate(fd, st.st_size) < 0 ? -errno : r; /* then a part of it is there twice, later */
        r = durable_sync(fd);
        if (r == 0)
                r = sync_name(f, dir);
        if (r < 0)
                return broken(f, "sync torn", r);
        log_warn(what, LOG_STR("file", path), LOG_INT("bytes", f->size - from));
        return 0;
}

static int move_aside(struct log_file *f, uint64_t from, const char *what)
{
        int r = set_aside(f, from, what);
        return r != 0 ? r : log_file_cut(f, from);
}

int log_file_repair_tail(struct log_file *f)
{
        uint64_t end;
        int r = log_file_find_end(f->fd, f->size, &end);
        return r < 0 || end == f->size ? r : move_aside(f, end, "unterminated last line set aside");
}

int log_file_repair_hole(struct log_file *f, uint64_t hole, uint64_t known)
{
        uint64_t end;
        int r = log_file_find_end(f->fd, hole, &end);
        if (r == 0 && end < known)
                r = -ERANGE;
        return r < 0 ? r : move_aside(f, end, "a hole in a log file set aside, with what follows it");
}

static int open_named(struct log_file *f, int datadir_fd, const struct source *source, const char *day, int flags,
                      bool create)
{
        *f = (struct log_file){ .source = *source, .datadir_fd = datadir_fd, .fd = -1 };
        if (!source_valid(source))
                return -EINVAL;
        snprintf(f->day, sizeof(f->day), "%s", day);
        int r = open_or_create(f, flags, create);
        if (r != 0)
                log_file_close(f);
        return r;
}

int log_file_open(struct log_file *f, int datadir_fd, const struct source *source, const char *day)
{
        int r = open_named(f, datadir_fd, source, day, O_APPEND, true);
        if (r == 0)
                r = log_file_repair_tail(f);
        if (r != 0)
                log_file_close(f);
        return r;
}

int log_file_open_as_is(struct log_file *f, int datadir_fd, const struct source *source, const char *day, bool create)
{
        return open_named(f, datadir_fd, source, day, 0, create);
}

bool log_file_is_ours(const struct log_file *f)
{
        struct stat st;
        char path[PATH_SIZE];
        file_path(&f->source, f->day, "", path);
        return !f->displaced && fstatat(f->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == f->inode &&
               st.st_dev == f->device && (uint64_t)st.st_size == f->size;
}

bool log_file_has_a_name(const struct log_file *f)
{
        struct stat st;
        return fstat(f->fd, &st) == 0 && st.st_nlink > 0;
}

void log_file_close(struct log_file *f)
{
        if (f->fd >= 0)
                close(TAKE_FD(f->fd));
}

/* Drops the first n bytes of the pieces; returns how many pieces were used up. */
static size_t iov_advance(struct iovec *iov, size_t count, size_t n)
{
        size_t i = 0;
        while (i < count && n >= iov[i].iov_len)
                n -= iov[i++].iov_len;
        if (i < count) {
                iov[i].iov_base = (uint8_t *)iov[i].iov_base + n;
                iov[i].iov_len -= n;
        }
        return i;
}

static void find_place(struct log_file *f, uint64_t written, uint64_t *at)
{
        off_t end = lseek(f->fd, 0, SEEK_CUR);
        if (end >= 0 && (uint64_t)end != f->size + written) {
                f->displaced = true;
                *at += (uint64_t)end - (f->size + written);
                f->size = (uint64_t)end - written;
        }
        f->size += written;
}

int log_file_append(struct log_file *f, struct iovec *iov, size_t n, uint64_t *ret_at)
{
        size_t used = iov_advance(iov, n, 0);
        assert(f->fd >= 0 && n <= IOV_MAX);
        *ret_at = f->size;
        while (used < n) {
                ssize_t written = writev(f->fd, iov + used, (int)(n - used));
                if (written < 0 && errno == EINTR)
                        continue;
                if (written <= 0)
                        return written < 0 ? -errno : -EIO;
                find_place(f, (uint64_t)written, ret_at);
                used += iov_advance(iov + used, n - used, (size_t)written);
        }
        return 0;
}

int log_file_cut(struct log_file *f, uint64_t size)
{
        assert(f->fd >= 0 && size <= f->size); /* it only becomes shorter */
        if (ftruncate(f->fd, (off_t)size) < 0)
                return -errno;
        f->size = size;
        return 0;
}

/* From the file's directory up to the data directory: any of them may be new. */
static int sync_names(const struct log_file *f)
{
        char dir[PATH_SIZE];
        int r;
        dir_path(&f->source, dir);
        for (char *slash = dir; slash; slash = strrchr(dir, '/')) {
                if (slash != dir)
                        *slash = '\0';
                r = sync_name(f, dir);
                if (r < 0 && r != -ENOENT) /* the file is deleted, and its directory, by somebody else */
                        return r;
        }
        return sync_name(f, NULL);
}

int log_file_sync(struct log_file *f)
{
        assert(f->fd >= 0);
        int r = durable_sync(f->fd);
        if (r == 0 && f->unnamed)
                r = sync_names(f);
        if (r < 0)
                return broken(f, "sync", r);
        f->unnamed = false;
        return 0;
}

/* *found: there was one. */
static int unlink_one(int datadir_fd, const struct log_unlink *u, const char *suffix, bool *found)
{
        char path[PATH_SIZE];
        file_path(&u->source, u->day, suffix, path);
        if (unlinkat(datadir_fd, path, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        *found = true;
        return 0;
}

static int check_size(int datadir_fd, const struct log_unlink *u)
{
        char path[PATH_SIZE];
        struct stat st;
        file_path(&u->source, u->day, "", path);
        if (fstatat(datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return (uint64_t)st.st_size == u->plain_bytes ? 0 : -EBUSY;
}

/* The directories of a source and of its project go when they are empty; the next line makes them again. */
static void remove_empty_dirs(int datadir_fd, const struct source *source)
{
        char dir[PATH_SIZE];
        dir_path(source, dir);
        if (unlinkat(datadir_fd, dir, AT_REMOVEDIR) < 0)
                return;
        *strrchr(dir, '/') = '\0';
        unlinkat(datadir_fd, dir, AT_REMOVEDIR);
}

/* When the plain file went meanwhile (somebody purges), what was made of it goes, too. */
static int unlink_plain(int datadir_fd, const struct log_unlink *u, bool *found)
{
        bool compressed;
        int r = check_size(datadir_fd, u);
        return r == 0         ? unlink_one(datadir_fd, u, "", found)
               : r == -ENOENT ? unlink_one(datadir_fd, u, ".zst", &compressed)
                              : r;
}

static int unlink_all(int datadir_fd, const struct log_unlink *u, bool *found)
{
        bool torn;
        int r = unlink_one(datadir_fd, u, ".torn", &torn);
        if (r == 0)
                r = unlink_one(datadir_fd, u, ".zst", found);
        return r == 0 ? unlink_one(datadir_fd, u, "", found) : r;
}

int log_file_unlink(int datadir_fd, const struct log_unlink *u)
{
        bool found = false;
        if (!source_valid(&u->source))
                return -EINVAL;
        int r = u->only_plain ? unlink_plain(datadir_fd, u, &found) : unlink_all(datadir_fd, u, &found);
        if (r == 0)
                remove_empty_dirs(datadir_fd, &u->source);
        return r < 0 ? r : found ? 0 : -ENOENT;
}
