/* The lock file says whose pid it is, the kernel's list of locks whether that is still so: asking for the lock would keep
 * a daemon from starting in that very moment. */
#include "detritusctl/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

static bool holds_lock(pid_t pid, ino_t inode)
{
        char line[256];
        bool found = false;
        FILE *locks = fopen("/proc/locks", "re");
        if (!locks)
                return false;
        while (!found && fgets(line, sizeof(line), locks)) {
                unsigned long long at;
                int holder;
                found = sscanf(line, "%*d: FLOCK %*s WRITE %d %*x:%*x:%llu", &holder, &at) == 2 && holder == pid &&
                        at == inode;
        }
        fclose(locks);
        return found;
}

int daemon_find(const char *data_dir, pid_t *ret_pid)
{
        char path[PATH_MAX], text[32] = "";
        struct stat st;
        *ret_pid = 0;
        if (snprintf(path, sizeof(path), "%s/lock", data_dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (fstat(fd, &st) < 0 || pread(fd, text, sizeof(text) - 1, 0) < 0)
                return -errno;
        long pid = strtol(text, NULL, 10);
        if (pid > 0 && pid <= INT_MAX && holds_lock((pid_t)pid, st.st_ino))
                *ret_pid = (pid_t)pid;
        return 0;
}
