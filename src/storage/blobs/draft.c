/* A draft is an O_TMPFILE in tmp/ or, where the file system has none, a file with a name there, removed with its draft.
 *
 * Failure modes: a full disk (-ENOSPC, -EDQUOT); a failed sync (-EIO; the caller must stop acknowledging). After a
 * draft_sync_all() that failed otherwise, no caller may rely on names that it did not sync itself, until one
 * succeeds. */
#include "storage/blobs/draft.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/files/durable.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/log.h"

/* Nothing in tmp/ was ever acknowledged. Only plain files are ours. */
static int remove_leftover(void *userdata, const char *path, const char *name)
{
        const int *dirfd = userdata;
        if (unlinkat(*dirfd, path, 0) < 0)
                log_warn("cannot remove a leftover temporary file", LOG_STR("name", name),
                         LOG_STR("error", strerror(errno)));
        return 0;
}

static int empty_directory(int dirfd)
{
        const struct entries_walk walk = {
                .dirfd = dirfd, .entry = remove_leftover, .hidden = remove_leftover, .userdata = &dirfd
        };
        return entries_walk(&walk, ".");
}

int draft_dir_init(struct draft_dir *d, int datadir_fd)
{
        int r = durable_mkdirs(datadir_fd, "tmp");
        if (r < 0)
                return r;
        _cleanup_(closep) int fd = openat(datadir_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = empty_directory(fd);
        if (r < 0)
                return r;
        d->datadir_fd = datadir_fd;
        d->fd = TAKE_FD(fd);
        return 0;
}

void draft_dir_done(struct draft_dir *d)
{
        close(d->fd);
}

static int open_named(struct draft_dir *d, struct draft *f)
{
        snprintf(f->name, sizeof(f->name), "blob-%u", atomic_fetch_add(&d->serial, 1));
        f->fd = openat(d->fd, f->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
        return f->fd < 0 ? -errno : 0;
}

int draft_open(struct draft_dir *d, struct draft *ret)
{
        struct draft f = { .state = DRAFT_OPEN, .dir = d, .fd = -1 };
        if (!atomic_load_explicit(&d->no_tmpfile, memory_order_relaxed)) {
                f.fd = openat(d->fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0640);
                if (f.fd < 0 && errno != EOPNOTSUPP && errno != EISDIR) /* open(2): no support in file system, kernel */
                        return -errno;
                if (f.fd < 0)
                        atomic_store_explicit(&d->no_tmpfile, true, memory_order_relaxed);
        }
        int r = f.fd < 0 ? open_named(d, &f) : 0;
        if (r == 0)
                *ret = f;
        return r;
}

void draft_done(struct draft *f)
{
        if (f->state == DRAFT_NONE)
                return;
        if (f->name[0])
                unlinkat(f->dir->fd, f->name, 0);
        close(f->fd);
        *f = (struct draft){ .state = DRAFT_NONE };
}

/* Without /proc, only a process that may read everything can link a file without a name: AT_EMPTY_PATH needs
 * CAP_DAC_READ_SEARCH (linkat(2)). */
static int link_as(const struct draft *f, const char *path)
{
        int datadir_fd = f->dir->datadir_fd;
        if (f->name[0])
                return linkat(f->dir->fd, f->name, datadir_fd, path, 0) < 0 ? -errno : 0;

        char proc[32];
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->fd);
        if (linkat(AT_FDCWD, proc, datadir_fd, path, AT_SYMLINK_FOLLOW) == 0)
                return 0;
        if (errno != ENOENT)
                return -errno;
        return linkat(f->fd, "", datadir_fd, path, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int draft_link(struct draft *f, const char *path)
{
        assert(f->state == DRAFT_OPEN);
        int r = link_as(f, path);
        if (r == 0)
                f->state = DRAFT_NAMED;
        return r;
}

int draft_replace(struct draft *f, const char *path)
{
        assert(f->state == DRAFT_OPEN);
        char temporary[PATH_MAX];
        int r = path_unfinished(path, temporary);
        if (r < 0)
                return r;
        r = link_as(f, temporary);
        if (r < 0)
                return r;
        if (renameat(f->dir->datadir_fd, temporary, f->dir->datadir_fd, path) < 0) {
                r = -errno;
                unlinkat(f->dir->datadir_fd, temporary, 0);
                return r;
        }
        f->state = DRAFT_NAMED;
        return 0;
}

int draft_sync_all(struct draft_dir *d)
{
        d->owed = true;
        int r = durable_sync_all(d->fd);
        d->owed = r < 0;
        return r;
}

void draft_owe_sync(struct draft_dir *d)
{
        d->owed = true;
}

bool draft_owes_sync(const struct draft_dir *d)
{
        return d->owed;
}
