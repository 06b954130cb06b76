#pragma once
/* Files of one data directory into another, under the same path. What is copied appears whole, under its name, by a
 * rename; nothing is synced, since whoever copies many files syncs the file system once; or, with hold, the names are given
 * to many at once, when they are synced. mtimes are kept. Any thread that may block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_COPY_HELD_MAX 256 /* files that wait for their names */

struct tree_copy {
        int from_fd, to_fd;                   /* borrowed */
        bool link;                            /* hard links where the file system allows: for files that never change */
        bool hold;                            /* see above */
        uint64_t linked, copied, kept, bytes; /* files, and bytes that were really copied */
        size_t n_held;
        struct {
                char *temporary, *path;
        } held[TREE_COPY_HELD_MAX];
};

/* hold: gives what waits its names, synced but for the names themselves. 0 or -errno. */
int tree_copy_release(struct tree_copy *c);
/* hold: removes what waits. */
void tree_copy_done(struct tree_copy *c);

/* A file that never changes under its name. One that is there with the same size and mtime, or is the same file, is kept;
 * same_len_is_same: whatever its mtime, as its name is its content's. 0 or -errno (-ENOENT: gone from the source). */
int tree_copy_file(struct tree_copy *c, const char *path, bool same_len_is_same);

/* A file that only grows, by lines: up to its last whole line. What is there already is kept, when it is the beginning of
 * it, and the rest appended. 0 or -errno. */
int tree_copy_lines(struct tree_copy *c, const char *path);

/* A file that may change, as it is now; never a link. 0 or -errno. */
int tree_copy_whole(struct tree_copy *c, const char *path);
