#pragma once
/* Files that have no name yet: whatever ends early leaves nothing. Linking one gives it its name, and it must be synced
 * before that, so that a name never stands for less than the whole file.
 *
 * open, done: any thread. The rest: the thread that gives names. All return 0 or -errno. */

#include <stdatomic.h>
#include <stdbool.h>

/* tmp/ below the data directory, where drafts live. */
struct draft_dir {
        int datadir_fd; /* borrowed */
        int fd;
        atomic_uint serial; /* names of fallback and replacing files */
        atomic_bool no_tmpfile;
        bool owed; /* draft_sync_all() is still to succeed */
};

struct draft {
        struct draft_dir *dir; /* NULL: there is none */
        int fd;
        char name[32]; /* in tmp/; "" for an O_TMPFILE */
};

/* Makes tmp/ and empties it. datadir_fd must stay open. */
int draft_dir_init(struct draft_dir *d, int datadir_fd);
void draft_dir_done(struct draft_dir *d); /* no draft may be alive */

int draft_open(struct draft_dir *d, struct draft *ret);
void draft_done(struct draft *f); /* may be one that is not there */

/* Gives it this name, relative to the data directory, without syncing it. -EEXIST. */
int draft_link(struct draft *f, const char *path);
/* In the place of what has the name, atomically. */
int draft_replace(struct draft *f, const char *path);

/* Makes durable all data and all names of the file system, whoever made them, in one go. Errors of write-back are told
 * here once, to this directory's descriptor, so nobody else may sync through it. */
int draft_sync_all(struct draft_dir *d);
/* One that failed is still to succeed: until then a directory that is there may not be durable. */
bool draft_owes_sync(const struct draft_dir *d);
