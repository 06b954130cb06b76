/* Failure modes: a file that cannot be copied leaves no half-written file under its name. A file that grows is extended
 * in place. If that is cut short, the next run finds that its end differs from the original, and copies all of it. */
#include "upkeep/tree_copy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "storage/logs/log_file.h"
#include "util/cleanup.h"
#include "util/files/durable.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define BLOCK_BYTES ((size_t)256 << 10)
#define COMPARE_BYTES 4096 /* at the end of a file that is there already */

static int make_parent(struct tree_copy *c, const char *path)
{
        char parent[PATH_MAX];
        int r = path_parent(path, parent);
        return r < 0 ? r : durable_mkdirs_later(c->to_fd, parent);
}

static void keep_mtime(int fd, const struct stat *st)
{
        const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
        (void)futimens(fd, times);
}

/* *at is where to begin; where the kernel cannot do it, it stays where it got to, and there is no error. */
static int copy_in_kernel(int in, int out, uint64_t *at, uint64_t to)
{
        loff_t get = (loff_t)*at, put = (loff_t)*at;
        int r = 0;
        while (r == 0 && (uint64_t)get < to) {
                ssize_t n = copy_file_range(in, &get, out, &put, (size_t)(to - (uint64_t)get), 0);
                if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
                        break;
                r = n < 0 ? -errno : n == 0 ? -EIO : 0;
        }
        *at = (uint64_t)get;
        return r;
}

static int copy_by_hand(int in, int out, uint64_t at, uint64_t to)
{
        _cleanup_(freep) uint8_t *block = malloc(BLOCK_BYTES);
        if (!block)
                return -ENOMEM;
        if (lseek(out, (off_t)at, SEEK_SET) < 0)
                return -errno;
        while (at < to) {
                size_t room = to - at < BLOCK_BYTES ? (size_t)(to - at) : BLOCK_BYTES;
                ssize_t n = pread(in, block, room, (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                int r = n <= 0 ? (n < 0 ? -errno : -EIO) : durable_write_all(out, block, (size_t)n);
                if (r < 0)
                        return r;
                at += (uint64_t)n;
        }
        return 0;
}

/* Copies bytes [from, to) to the same place in another file. */
static int copy_range(struct tree_copy *c, int in, int out, uint64_t from, uint64_t to)
{
        uint64_t at = from;
        assert(from <= to);
        int r = copy_in_kernel(in, out, &at, to);
        if (r == 0 && at < to)
                r = copy_by_hand(in, out, at, to);
        if (r == 0)
                c->bytes += to - from;
        return r;
}

static int give_name(struct tree_copy *c, const char *temporary, const char *path)
{
        return renameat(c->to_fd, temporary, c->to_fd, path) < 0 ? -errno : 0;
}

void tree_copy_done(struct tree_copy *c)
{
        while (c->n_held > 0) {
                c->n_held--;
                unlinkat(c->to_fd, c->held[c->n_held].temporary, 0);
                free(c->held[c->n_held].temporary);
                free(c->held[c->n_held].path);
        }
}

int tree_copy_release(struct tree_copy *c)
{
        assert(c->hold || c->n_held == 0);
        int r = c->n_held > 0 ? durable_sync_all(c->to_fd) : 0;
        for (size_t i = 0; r == 0 && i < c->n_held; i++)
                r = give_name(c, c->held[i].temporary, c->held[i].path);
        tree_copy_done(c); /* finds nothing to remove for those that have their names */
        return r;
}

static int hold(struct tree_copy *c, const char *temporary, const char *path)
{
        int r = c->n_held == TREE_COPY_HELD_MAX ? tree_copy_release(c) : 0;
        if (r < 0)
                return r;
        assert(c->n_held < TREE_COPY_HELD_MAX);
        _cleanup_(freep) char *from = strdup(temporary), *to = strdup(path);
        if (!from || !to)
                return -ENOMEM;
        c->held[c->n_held].temporary = TAKE_PTR(from);
        c->held[c->n_held++].path = TAKE_PTR(to);
        return 0;
}

/* Copies the first `end` bytes to a new file in the same directory, and renames it. */
static int copy_whole(struct tree_copy *c, int in, const struct stat *st, const char *path, uint64_t end)
{
        char temporary[PATH_MAX];
        int r = path_unfinished(path, temporary);
        if (r < 0)
                return r;
        _cleanup_(closep) int out =
                openat(c->to_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (out < 0)
                return -errno;
        if (end != (uint64_t)st->st_size || end == 0 || ioctl(out, FICLONE, in) < 0)
                r = copy_range(c, in, out, 0, end);
        keep_mtime(out, st);
        if (r == 0)
                r = (c->hold ? hold : give_name)(c, temporary, path);
        if (r < 0)
                unlinkat(c->to_fd, temporary, 0);
        else
                c->copied++;
        return r;
}

static bool same_time(const struct stat *a, const struct stat *b)
{
        return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int link_file(struct tree_copy *c, const char *path, bool replace)
{
        if (replace && unlinkat(c->to_fd, path, 0) < 0 && errno != ENOENT)
                return -errno;
        if (linkat(c->from_fd, path, c->to_fd, path, 0) < 0)
                return -errno;
        c->linked++;
        return 0;
}

int tree_copy_file(struct tree_copy *c, const char *path, bool same_len_is_same)
{
        struct stat from, to;
        _cleanup_(closep) int in = -1;
        int r = regular_open(c->from_fd, path, &in, &from);
        if (r < 0)
                return r;
        bool there = fstatat(c->to_fd, path, &to, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISREG(to.st_mode) && to.st_size == from.st_size &&
            (same_len_is_same || same_time(&from, &to) || (from.st_ino == to.st_ino && from.st_dev == to.st_dev))) {
                c->kept++;
                return 0;
        }
        r = make_parent(c, path);
        if (r < 0)
                return r;
        r = c->link ? link_file(c, path, there) : -EXDEV;
        if (r == 0 || (r != -EXDEV && r != -EPERM && r != -EMLINK && r != -EOPNOTSUPP))
                return r;
        return copy_whole(c, in, &from, path, (uint64_t)from.st_size);
}

/* Does the file that is there end like the original at that place? */
static bool is_beginning(int in, int out, uint64_t len)
{
        uint8_t a[COMPARE_BYTES], b[COMPARE_BYTES];
        size_t n = len < COMPARE_BYTES ? (size_t)len : COMPARE_BYTES;
        return pread(in, a, n, (off_t)(len - n)) == (ssize_t)n && pread(out, b, n, (off_t)(len - n)) == (ssize_t)n &&
               memcmp(a, b, n) == 0;
}

int tree_copy_lines(struct tree_copy *c, const char *path)
{
        struct stat from, to = { 0 };
        uint64_t end;
        _cleanup_(closep) int in = -1;
        int r = regular_open(c->from_fd, path, &in, &from);
        if (r < 0)
                return r;
        _cleanup_(closep) int out = openat(c->to_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (out >= 0 && fstat(out, &to) < 0)
                return -errno;
        if (out >= 0 && same_time(&from, &to) && to.st_size == from.st_size) {
                c->kept++;
                return 0;
        }
        r = log_file_find_end(in, (uint64_t)from.st_size, &end);
        if (r < 0)
                return r;
        r = make_parent(c, path);
        if (r < 0)
                return r;
        uint64_t len = (uint64_t)to.st_size;
        if (out < 0 || !S_ISREG(to.st_mode) || to.st_nlink > 1 || len > end || !is_beginning(in, out, len))
                return copy_whole(c, in, &from, path, end);
        r = copy_range(c, in, out, len, end);
        keep_mtime(out, &from);
        if (r == 0)
                *(len == end ? &c->kept : &c->copied) += 1;
        return r;
}

int tree_copy_whole(struct tree_copy *c, const char *path)
{
        bool link = c->link;
        c->link = false;
        int r = tree_copy_file(c, path, false);
        c->link = link;
        return r;
}
