/* The type is looked at before the open, because opening a device can have effects of its own, and again after it,
 * because somebody may have put another thing there in between. O_NONBLOCK has no effect on a regular file. */
#include "util/files/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static int must_be_regular(mode_t mode)
{
        if (S_ISREG(mode))
                return 0;
        return S_ISLNK(mode) ? -ELOOP : -EINVAL;
}

int regular_open(int dirfd, const char *path, int *ret_fd, struct stat *ret_st)
{
        struct stat st;
        if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        int r = must_be_regular(st.st_mode);
        if (r < 0)
                return r;
        _cleanup_(closep) int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        r = must_be_regular(st.st_mode);
        if (r < 0)
                return r;
        if (ret_st)
                *ret_st = st;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void regular_say(int dirfd, const char *path, int error, struct error *err)
{
        struct stat st;
        if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
                error_set(err, "it is %s, not a regular file", regular_kind(st.st_mode));
        else
                error_set(err, "%s", strerror(-error));
}

const char *regular_kind(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFREG: return "a regular file";
        case S_IFDIR: return "a directory";
        case S_IFLNK: return "a symbolic link";
        case S_IFIFO: return "a FIFO";
        case S_IFSOCK: return "a socket";
        default: return "a device";
        }
}
