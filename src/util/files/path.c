#include "util/files/path.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool path_ends_with(const char *path, const char *ending)
{
        size_t n = strlen(path), m = strlen(ending);
        return n > m && strcmp(path + n - m, ending) == 0;
}

int path_parent(const char *path, char ret[PATH_MAX])
{
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) : 0;
        if (n == 0) { /* "name" stands in ".", "/name" in "/" */
                path = slash ? "/" : ".";
                n = 1;
        }
        if (n >= PATH_MAX)
                return -ENAMETOOLONG;
        memcpy(ret, path, n);
        ret[n] = '\0';
        return 0;
}

int path_unfinished(const char *path, char ret[PATH_MAX])
{
        static atomic_uint serial;
        char parent[PATH_MAX];
        int r = path_parent(path, parent);
        if (r < 0)
                return r;
        int n = snprintf(ret, PATH_MAX, "%s/" PATH_UNFINISHED "%d-%u", parent, (int)getpid(),
                         atomic_fetch_add(&serial, 1));
        return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int path_remove(int dirfd, const char *path)
{
        return unlinkat(dirfd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}
