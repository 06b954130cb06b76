#pragma once
/* Files that have no name yet, so that whatever ends early leaves nothing. The caller syncs a draft before it links it,
 * so that a name never stands for less than the whole file.
 *
 *     NONE -> OPEN -> NAMED        open; link or replace
 *     any  -> NONE                 done: an open draft is gone, a named one keeps its name
 *
 * open, done: any thread. The rest: the thread that gives names. All return 0 or -errno. */

#include <stdatomic.h>
#include <stdbool.h>

/* tmp/ below the data directory, where drafts live. */
struct draft_dir {
        int datadir_fd; /* borrowed */
        int fd;
        atomic_uint serial; /* of the next name in tmp/ */
        atomic_bool no_tmpfile;
        bool owed; /* a draft_sync_all() */
};

enum draft_state { DRAFT_NONE, DRAFT_OPEN, DRAFT_NAMED };

/* Zero-initialised: DRAFT_NONE. */
struct draft {
        enum draft_state state;
        struct draft_dir *dir; /* NULL: DRAFT_NONE */
        int fd;
        char name[32]; /* in tmp/; "" for an O_TMPFILE */
};

/* Makes tmp/ and empties it. datadir_fd must stay open. */
int draft_dir_init(struct draft_dir *d, int datadir_fd);
void draft_dir_done(struct draft_dir *d); /* no draft may be alive */

int draft_open(struct draft_dir *d, struct draft *ret);
void draft_done(struct draft *f); /* also one of DRAFT_NONE */

/* Gives it this name, relative to the data directory, without syncing it. On failure, -EEXIST for one, it stays
 * open. */
int draft_link(struct draft *f, const char *path);
/* Takes the place of the file of this name, atomically. */
int draft_replace(struct draft *f, const char *path);

/* Makes all data and all names of the file system durable, whoever made them. The kernel reports an error of write-back
 * once to each descriptor, so nobody else may sync through this one. */
int draft_sync_all(struct draft_dir *d);
/* A directory was made, or the last draft_sync_all() failed: until one succeeds, a directory that exists may not be
 * durable. */
void draft_owe_sync(struct draft_dir *d);
bool draft_owes_sync(const struct draft_dir *d);
