#include "util/files/owner.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

int owner_become(int dirfd, struct owner *ret_before)
{
        struct stat st;
        *ret_before = (struct owner){ .uid = geteuid(), .gid = getegid() };
        if (fstat(dirfd, &st) < 0)
                return -errno;
        if (ret_before->uid != 0 || st.st_uid == 0)
                return 0;
        if (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0) {
                int r = -errno;
                owner_return(ret_before);
                return r;
        }
        return 0;
}

int owner_become_for_good(int dirfd)
{
        struct stat st;
        if (fstat(dirfd, &st) < 0)
                return -errno;
        if (geteuid() != 0 || st.st_uid == 0)
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
            setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
                return -errno;
        return 0;
}

/* The saved ids still allow it; a process that stayed somebody else would work with the wrong rights. */
void owner_return(const struct owner *before)
{
        int r = seteuid(before->uid);
        if (r == 0)
                r = setegid(before->gid);
        assert(r == 0);
}
