#include "detritusctl/cli/daemon.h"

#include <errno.h>
#include <fcntl.h>

#include "storage/store/data_dir.h"

int daemon_find(const char *data_dir, pid_t *ret_pid)
{
        *ret_pid = 0;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        data_dir_is_held(fd, ret_pid);
        return 0;
}
