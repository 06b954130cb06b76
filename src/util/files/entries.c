#include "util/files/entries.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

int entries_each(int dirfd, const char *path, entries_cb cb, void *userdata)
{
        int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        DIR *dir = fdopendir(fd);
        if (!dir) {
                int r = -errno;
                close(fd);
                return r;
        }
        int r = 0;
        while (r == 0) {
                errno = 0;
                struct dirent *e = readdir(dir);
                if (!e) {
                        r = -errno; /* 0: the end */
                        break;
                }
                char child[PATH_MAX];
                int n = snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
                if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof(child))
                        r = cb(userdata, child, e->d_name);
        }
        closedir(dir);
        return r;
}

struct below {
        int dirfd;
        unsigned depth;
        entries_cb cb;
        void *userdata;
};

static int go_down(void *userdata, const char *path, const char *name)
{
        struct below *b = userdata;
        (void)name;
        return entries_each_below(b->dirfd, path, b->depth, b->cb, b->userdata);
}

int entries_each_below(int dirfd, const char *path, unsigned depth, entries_cb cb, void *userdata)
{
        struct below b = { .dirfd = dirfd, .depth = depth - 1, .cb = cb, .userdata = userdata };
        return depth == 0 ? entries_each(dirfd, path, cb, userdata) : entries_each(dirfd, path, go_down, &b);
}
