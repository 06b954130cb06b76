#pragma once
/* Copies files of one data directory to another, under the same path. A copy appears under its name whole, by a rename,
 * with the mtime of the original. Nothing is synced: whoever copies many files syncs the file system once. With hold,
 * files wait for their names, up to TREE_COPY_HELD_MAX at once, and are synced before they get them. Any thread that
 * may block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_COPY_HELD_MAX 256 /* files that wait for their names */

struct tree_copy {
        int from_fd, to_fd;                   /* borrowed */
        bool link;                            /* hard links where possible, for files that never change */
        bool hold;                            /* see above */
        uint64_t linked, copied, kept, bytes; /* files; and bytes really copied */
        size_t n_held;
        struct {
                char *temporary, *path;
        } held[TREE_COPY_HELD_MAX];
};

/* hold: syncs the files that wait, and gives them their names; the names are not synced. Nothing waits afterwards. 0 or
 * -errno. */
int tree_copy_release(struct tree_copy *c);
/* hold: removes the files that wait. */
void tree_copy_done(struct tree_copy *c);

/* For a file that never changes under its name. A file that is there is kept if it has the same size and mtime, or is
 * the same file; same_len_is_same: the same size is enough, because the name says what the content is. 0 or -errno
 * (-ENOENT: it is gone from the source). */
int tree_copy_file(struct tree_copy *c, const char *path, bool same_len_is_same);

/* For a file that only grows, by lines: copies it up to its last whole line. If a file is there that is the beginning
 * of it, only the rest is appended. 0 or -errno. */
int tree_copy_lines(struct tree_copy *c, const char *path);

/* For a file that may change: copies it as it is now, never as a link. 0 or -errno. */
int tree_copy_whole(struct tree_copy *c, const char *path);
