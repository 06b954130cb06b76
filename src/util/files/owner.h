#pragma once
/* Root works as the owner of a directory, so that it leaves no file there that a daemon of that owner cannot open.
 * Concerns the whole process: one thread, before others start. */

#include <sys/types.h>

struct owner {
        uid_t uid;
        gid_t gid;
};

/* For root, if the directory is somebody else's: the effective user and group become its owner's, and the supplementary
 * groups stay. *ret_before is for owner_return(). 0, or -errno and nothing has changed. */
int owner_become(int dirfd, struct owner *ret_before);
void owner_return(const struct owner *before);

/* The same, with no way back: the process keeps no right of root's, and no supplementary group. 0, or -errno and the
 * process must end. */
int owner_become_for_good(int dirfd);
