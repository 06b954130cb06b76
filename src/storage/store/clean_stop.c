/* The mark is one small write over the same sector, and a sync. A lock file that cannot be read, is empty, or has only
 * a pid in it (as older versions wrote it) means an unclean stop, so no failure here can hide one.
 *
 * Deletions are not synced one by one. "clean" promises that they are on disk too, hence the syncfs() before it. */
#include "storage/store/clean_stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/files/durable.h"

#define MARK_MAX 64

static int write_mark(int lock_fd, const char *state)
{
        char text[MARK_MAX];
        int n = snprintf(text, sizeof(text), "%d\n%s\n", (int)getpid(), state);
        ssize_t written = pwrite(lock_fd, text, (size_t)n, 0);
        if (written != n)
                return written < 0 ? -errno : -EIO;
        if (ftruncate(lock_fd, n) < 0)
                return -errno;
        return durable_sync(lock_fd);
}

int clean_stop_begin(int datadir_fd, int lock_fd, bool *ret_clean)
{
        static const char clean[] = "\nclean\n";
        char text[MARK_MAX] = "";
        ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        const char *state = strchr(text, '\n');
        int r = write_mark(lock_fd, "running");
        if (r < 0)
                return r;
        r = durable_sync_dir(datadir_fd, NULL); /* the file may be new */
        if (r < 0)
                return r;
        *ret_clean = state && strcmp(state, clean) == 0;
        return 0;
}

int clean_stop_end(int datadir_fd, int lock_fd)
{
        int r = durable_sync_all(datadir_fd);
        return r < 0 ? r : write_mark(lock_fd, "clean");
}
