#pragma once
/* Reads directories entry by entry, without following symbolic links. Any thread that may block. */

/* Called with "<path>/<name>" and the name. Other than 0 ends the walk, and is its result. */
typedef int (*entries_cb)(void *userdata, const char *path, const char *name);
/* error: -errno. Other than 0 ends the walk, too. */
typedef int (*entries_odd_cb)(void *userdata, const char *path, int error);

struct entries_walk {
        int dirfd;      /* borrowed; paths are relative to it */
        unsigned depth; /* 0: the entries of the directory itself; 1: those of the directories in it; ... */
        entries_cb entry;
        entries_cb hidden; /* names that begin with a dot, at each level; NULL: they are passed over */
        /* A directory that is something else, or that cannot be read. NULL: the first has no entries, the second ends
         * the walk. */
        entries_odd_cb odd;
        void *userdata;
};

/* A directory that is not there has no entries. 0, a callback's result, or -errno. */
int entries_walk(const struct entries_walk *walk, const char *path);

/* The same for the entries of one directory, and for those `depth` levels further down; hidden ones are passed over. */
int entries_each(int dirfd, const char *path, entries_cb cb, void *userdata);
int entries_each_below(int dirfd, const char *path, unsigned depth, entries_cb cb, void *userdata);
