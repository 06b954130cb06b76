#pragma once
/* Paths as text, and the name that a file has until it is whole. Any thread. */

#include <limits.h>
#include <stdbool.h>

/* A file that is not whole yet has a name that begins like this; a start after an unclean stop removes it. */
#define PATH_UNFINISHED ".new-"

/* False for a path that is nothing but the ending. */
bool path_ends_with(const char *path, const char *ending);

/* The directory part: "." when there is none. 0 or -ENAMETOOLONG. */
int path_parent(const char *path, char ret[PATH_MAX]);

/* Another name in the same directory, PATH_UNFINISHED in front, different at each call. 0 or -ENAMETOOLONG. */
int path_unfinished(const char *path, char ret[PATH_MAX]);

/* Removes a file, relative to dirfd; it is fine if there is none. 0 or -errno. */
int path_remove(int dirfd, const char *path);
