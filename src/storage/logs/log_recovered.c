#include "storage/logs/log_recovered.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/files/durable.h"
#include "util/log.h"

#define DIR_SIZE (sizeof("recovered/") + SOURCE_CANONICAL_SIZE)

bool log_recovered_is_for(int error)
{
        return error == -EACCES || error == -EPERM || error == -EISDIR || error == -ENOTDIR || error == -ELOOP ||
               error == -EINVAL;
}

int log_recovered_append(int datadir_fd, const struct source *source, const char *day, const struct buf *lines, int why)
{
        char dir[DIR_SIZE], path[DIR_SIZE + CLOCK_DAY_SIZE + sizeof("/.ndjson")];
        snprintf(dir, sizeof(dir), "recovered/%s/%s", source->project, source->install_id);
        snprintf(path, sizeof(path), "%s/%.10s.ndjson", dir, day);
        int e = durable_mkdirs(datadir_fd, dir);
        if (e < 0)
                return e;
        _cleanup_(closep) int fd =
                openat(datadir_fd, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
        if (fd < 0)
                return -errno;
        e = durable_write_all(fd, lines->data, lines->len);
        if (e == 0)
                e = durable_sync(fd);
        if (e == 0)
                e = durable_sync_dir(datadir_fd, dir);
        if (e == 0)
                log_error("a log file cannot be written; acknowledged lines of it are in another file",
                          LOG_STR("project", source->project), LOG_STR("install_id", source->install_id),
                          LOG_STR("error", strerror(-why)), LOG_STR("file", path), LOG_INT("bytes", lines->len));
        return e;
}
