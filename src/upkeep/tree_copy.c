/* Failure modes: what concerns one file is told to the caller and leaves no half-written file under a name. A file that
 * grows is extended in place; cut short there, the next run compares its end with the original's and begins anew. */
#include "upkeep/tree_copy.h"

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

#define BLOCK_BYTES ((size_t)256 << 10)
#define COMPARE_BYTES 4096 /* of the end of what is there already */

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

/* Bytes [from, to) of one file onto the same place of another. */
static int copy_range(struct tree_copy *c, int in, int out, uint64_t from, uint64_t to)
{
        loff_t at = (loff_t)from, put = (loff_t)from;
        while ((uint64_t)at < to) {
                ssize_t n = copy_file_range(in, &at, out, &put, (size_t)(to - (uint64_t)at), 0);
                if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
                        break;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
        }
        _cleanup_(freep) uint8_t *block = (uint64_t)at < to ? malloc(BLOCK_BYTES) : NULL;
        if ((uint64_t)at < to && (!block || lseek(out, at, SEEK_SET) < 0))
                return block ? -errno : -ENOMEM;
        while ((uint64_t)at < to) {
                uint64_t left = to - (uint64_t)at;
                ssize_t n = pread(in, block, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, at);
                if (n < 0 && errno == EINTR)
                        continue;
                int r = n <= 0 ? (n < 0 ? -errno : -EIO) : durable_write_all(out, block, (size_t)n);
                if (r < 0)
                        return r;
                at += n;
        }
        c->bytes += to - from;
        return 0;
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
        int r = c->n_held > 0 ? durable_sync_all(c->to_fd) : 0;
        for (size_t i = 0; r == 0 && i < c->n_held; i++)
                r = give_name(c, c->held[i].temporary, c->held[i].path);
        tree_copy_done(c); /* those that have their names are not found under the other one any more */
        return r;
}

static int hold(struct tree_copy *c, const char *temporary, const char *path)
{
        int r = c->n_held == TREE_COPY_HELD_MAX ? tree_copy_release(c) : 0;
        if (r < 0)
                return r;
        _cleanup_(freep) char *from = strdup(temporary), *to = strdup(path);
        if (!from || !to)
                return -ENOMEM;
        c->held[c->n_held].temporary = TAKE_PTR(from);
        c->held[c->n_held++].path = TAKE_PTR(to);
        return 0;
}

/* Into a new file beside the name, then renamed. end: so much of it. */
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
        _cleanup_(closep) int in = openat(c->from_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (in < 0 || fstat(in, &from) < 0)
                return -errno;
        if (!S_ISREG(from.st_mode))
                return -EINVAL;
        bool there = fstatat(c->to_fd, path, &to, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISREG(to.st_mode) && to.st_size == from.st_size &&
            (same_len_is_same || same_time(&from, &to) || (from.st_ino == to.st_ino && from.st_dev == to.st_dev))) {
                c->kept++;
                return 0;
        }
        int r = make_parent(c, path);
        if (r < 0)
                return r;
        r = c->link ? link_file(c, path, there) : -EXDEV;
        if (r == 0 || (r != -EXDEV && r != -EPERM && r != -EMLINK && r != -EOPNOTSUPP))
                return r;
        return copy_whole(c, in, &from, path, (uint64_t)from.st_size);
}

/* Are the last bytes of what is there those of the original at that place? */
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
        _cleanup_(closep) int in = openat(c->from_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (in < 0 || fstat(in, &from) < 0)
                return -errno;
        if (!S_ISREG(from.st_mode))
                return -EINVAL;
        _cleanup_(closep) int out = openat(c->to_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (out >= 0 && fstat(out, &to) < 0)
                return -errno;
        if (out >= 0 && same_time(&from, &to) && to.st_size == from.st_size) {
                c->kept++;
                return 0;
        }
        int r = log_file_find_end(in, (uint64_t)from.st_size, &end);
        if (r == 0)
                r = make_parent(c, path);
        if (r < 0)
                return r;
        uint64_t len = (uint64_t)to.st_size;
        if (out < 0 || to.st_nlink > 1 || len > end || !is_beginning(in, out, len))
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
