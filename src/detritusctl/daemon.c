/* Whoever holds the data directory's lock, and whether that is a detritusd, by its name. */
#include "detritusctl/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "storage/data_dir.h"

static bool is_detritusd(pid_t pid)
{
        char path[64], name[32] = "";
        snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
        return n > 0 && strncmp(name, "detritusd", strlen("detritusd")) == 0;
}

int daemon_find(const char *data_dir, pid_t *ret_pid)
{
        *ret_pid = 0;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        data_dir_is_held(fd, ret_pid);
        return 0;
}

int daemon_reload_tokens(const char *data_dir, pid_t *ret_pid)
{
        int r = daemon_find(data_dir, ret_pid);
        if (r < 0)
                return r;
        if (*ret_pid == 0)
                return DAEMON_ABSENT;
        if (!is_detritusd(*ret_pid))
                return DAEMON_STRANGER;
        return kill(*ret_pid, SIGHUP) == 0 ? 0 : -errno;
}
