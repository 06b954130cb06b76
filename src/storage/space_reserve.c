#include "storage/space_reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

#define BLOCK_BYTES 4096
#define STAT_BLOCK_BYTES 512 /* of st_blocks, stat(2) */

int space_reserve_init(struct space_reserve *r, int datadir_fd, uint64_t disk_bytes)
{
        struct stat st;
        uint64_t share = disk_bytes / SPACE_RESERVE_SHARE / BLOCK_BYTES * BLOCK_BYTES;
        *r = (struct space_reserve){ .bytes = share < SPACE_RESERVE_MAX_BYTES ? share : SPACE_RESERVE_MAX_BYTES };
        r->fd = openat(datadir_fd, "reserve", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (r->fd < 0 && errno != ENOSPC && errno != EDQUOT)
                return -errno;
        r->impossible = r->fd < 0;
        r->held = r->bytes > 0 && fstat(r->fd, &st) == 0 && (uint64_t)st.st_blocks * STAT_BLOCK_BYTES >= r->bytes;
        pthread_mutex_init(&r->lock, NULL);
        return 0;
}

void space_reserve_done(struct space_reserve *r)
{
        closep(&r->fd);
        pthread_mutex_destroy(&r->lock);
}

static void make_locked(struct space_reserve *r)
{
        if (r->held || r->impossible || r->bytes == 0)
                return;
        if (fallocate(r->fd, 0, 0, (off_t)r->bytes) == 0) {
                r->held = true;
                return;
        }
        r->impossible = errno == EOPNOTSUPP;
        log_warn("no space is kept for deleting on a full disk", LOG_STR("error", strerror(errno)));
        if (ftruncate(r->fd, 0) < 0) /* what it got is of no use */
                log_warn("cannot empty the reserve file", LOG_STR("error", strerror(errno)));
}

void space_reserve_make(struct space_reserve *r)
{
        pthread_mutex_lock(&r->lock);
        make_locked(r);
        pthread_mutex_unlock(&r->lock);
}

static bool give_up_locked(struct space_reserve *r)
{
        if (!r->held)
                return false;
        if (ftruncate(r->fd, 0) < 0) {
                log_warn("cannot empty the reserve file", LOG_STR("error", strerror(errno)));
                return false;
        }
        r->held = false;
        log_warn("the disk is full: the reserve file is given up so that deleting works", LOG_INT("bytes", r->bytes));
        return true;
}

bool space_reserve_give_up(struct space_reserve *r)
{
        pthread_mutex_lock(&r->lock);
        bool given = give_up_locked(r);
        pthread_mutex_unlock(&r->lock);
        return given;
}

bool space_reserve_is_held(struct space_reserve *r)
{
        pthread_mutex_lock(&r->lock);
        bool held = r->held;
        pthread_mutex_unlock(&r->lock);
        return held;
}
