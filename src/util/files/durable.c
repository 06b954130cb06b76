#include "util/files/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/files/failure.h"
#include "util/files/path.h"

int durable_write_all(int fd, const void *data, size_t len)
{
        const uint8_t *p = data;
        while (len > 0) {
                ssize_t n = write(fd, p, len);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                len -= (size_t)n;
        }
        return 0;
}

/* What the kernel says of written data. Whatever it is, it is final, so it must not look like an open that failed for
 * want of a descriptor, say (failure.h): what is not known to be final becomes EIO. */
static int sync_by(int (*call)(int fd), int fd)
{
        int r;
        do
                r = call(fd) < 0 ? -errno : 0;
        while (r == -EINTR);
        return r == 0 || failure_of(FAILURE_SYNC, r) == FAILURE_FINAL ? r : -EIO;
}

int durable_sync(int fd)
{
        return sync_by(fdatasync, fd);
}

int durable_sync_dir(int dirfd, const char *path)
{
        _cleanup_(closep) int fd = openat(dirfd, path && *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) /* nothing was synced, so nothing is said of written data */
                return failure_of(FAILURE_SYNC, -errno) == FAILURE_FINAL ? -EAGAIN : -errno;
        return sync_by(fsync, fd);
}

int durable_sync_all(int fd)
{
        return sync_by(syncfs, fd);
}

static int make_one(int dirfd, const char *path, bool sync)
{
        char parent[PATH_MAX];
        if (mkdirat(dirfd, path, 0750) < 0)
                return errno == EEXIST ? 0 : -errno;
        int r = sync ? path_parent(path, parent) : 0;
        return r < 0 || !sync ? r : durable_sync_dir(dirfd, parent);
}

static int make_all(int dirfd, const char *path, bool sync)
{
        char prefix[PATH_MAX];
        struct stat st;

        if (fstatat(dirfd, path, &st, 0) == 0)
                return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
        size_t len = strlen(path);
        if (len >= sizeof(prefix))
                return -ENAMETOOLONG;
        memcpy(prefix, path, len + 1);
        for (char *p = strchr(prefix + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                int r = make_one(dirfd, prefix, sync);
                if (r < 0)
                        return r;
                *p = '/';
        }
        return make_one(dirfd, prefix, sync);
}

int durable_mkdirs(int dirfd, const char *path)
{
        return make_all(dirfd, path, true);
}

int durable_mkdirs_later(int dirfd, const char *path)
{
        return make_all(dirfd, path, false);
}

static int write_new(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
        _cleanup_(closep) int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;
        int r = durable_write_all(fd, data, len);
        return r < 0 ? r : durable_sync(fd);
}

int durable_replace_file_later(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
        char temporary[PATH_MAX];
        int r = path_unfinished(path, temporary);
        if (r < 0)
                return r;
        r = write_new(dirfd, temporary, data, len, mode);
        if (r == 0 && renameat(dirfd, temporary, dirfd, path) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(dirfd, temporary, 0);
        return r;
}

int durable_replace_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
        char parent[PATH_MAX];
        int r = path_parent(path, parent);
        if (r == 0)
                r = durable_replace_file_later(dirfd, path, data, len, mode);
        return r == 0 ? durable_sync_dir(dirfd, parent) : r;
}
