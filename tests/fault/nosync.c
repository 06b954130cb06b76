/* The control of the power-cut campaign: linked into a detritusd of its own, these take the place of libc's for the
 * daemon and for libsqlite3 alike, and do nothing. What is acknowledged then is lost, and the campaign must say so.
 *
 * DETRITUS_NOSYNC, a pattern of fnmatch(3), says of which files and directories; without it none is synced. */

#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_skipped(int fd)
{
        char name[32], path[PATH_MAX];
        const char *pattern = getenv("DETRITUS_NOSYNC");

        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(name, path, sizeof(path) - 1);
        path[n > 0 ? n : 0] = '\0';
        return !pattern || fnmatch(pattern, path, 0) == 0;
}

int fsync(int fd)
{
        return is_skipped(fd) ? 0 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
        return is_skipped(fd) ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
        return is_skipped(fd) ? 0 : (int)syscall(SYS_syncfs, fd);
}

int sync_file_range(int fd, off_t offset, off_t bytes, unsigned flags)
{
        return is_skipped(fd) ? 0 : (int)syscall(SYS_sync_file_range, fd, offset, bytes, flags);
}
