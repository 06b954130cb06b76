#include "util/files/entries.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_dot(const char *name)
{
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* One level further down. */
static int go_down(void *userdata, const char *path, const char *name)
{
        struct entries_walk below = *(const struct entries_walk *)userdata;
        (void)name;
        below.depth--;
        return entries_walk(&below, path);
}

static int see(const struct entries_walk *walk, const char *path, const char *name)
{
        char child[PATH_MAX];
        bool hidden = name[0] == '.';
        entries_cb cb = hidden ? walk->hidden : walk->depth > 0 ? go_down : walk->entry;
        int n = snprintf(child, sizeof(child), "%s/%s", path, name);
        if (!cb || is_dot(name) || n < 0 || (size_t)n >= sizeof(child))
                return 0;
        return cb(cb == go_down ? (void *)walk : walk->userdata, child, name);
}

static int cannot_walk(const struct entries_walk *walk, const char *path, int error)
{
        if (error == -ENOENT)
                return 0;
        if (walk->odd && error != -ENOMEM && error != -EMFILE && error != -ENFILE)
                return walk->odd(walk->userdata, path, error);
        return error == -ENOTDIR || error == -ELOOP ? 0 : error;
}

int entries_walk(const struct entries_walk *walk, const char *path)
{
        int fd = openat(walk->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return cannot_walk(walk, path, -errno);
        DIR *dir = fdopendir(fd);
        if (!dir) {
                int r = -errno;
                close(fd);
                return r;
        }
        int r = 0;
        while (r == 0) {
                errno = 0;
                const struct dirent *e = readdir(dir);
                if (!e) {
                        r = errno ? cannot_walk(walk, path, -errno) : 0;
                        break;
                }
                r = see(walk, path, e->d_name);
        }
        closedir(dir);
        return r;
}

int entries_each_below(int dirfd, const char *path, unsigned depth, entries_cb cb, void *userdata)
{
        const struct entries_walk walk = { .dirfd = dirfd, .depth = depth, .entry = cb, .userdata = userdata };
        return entries_walk(&walk, path);
}

int entries_each(int dirfd, const char *path, entries_cb cb, void *userdata)
{
        return entries_each_below(dirfd, path, 0, cb, userdata);
}
