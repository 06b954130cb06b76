#pragma once
/* Directories read entry by entry, without following symbolic links. Any thread that may block. */

/* Called with "<path>/<name>" and the name. < 0 ends the walk; other values too, and are returned. */
typedef int (*entries_cb)(void *userdata, const char *path, const char *name);

/* Each entry of the directory at path (relative to dirfd), hidden ones left out. A directory that is not there has none.
 * 0, cb's result or -errno. */
int entries_each(int dirfd, const char *path, entries_cb cb, void *userdata);

/* The same `depth` levels further down: cb sees what is in the directories of the directories. 0: entries_each(). */
int entries_each_below(int dirfd, const char *path, unsigned depth, entries_cb cb, void *userdata);
