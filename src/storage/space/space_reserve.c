#include "storage/space/space_reserve.h"

#include <assert.h>
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
        if (r->bytes > 0 && fstat(r->fd, &st) == 0)
                r->held = (uint64_t)st.st_blocks * STAT_BLOCK_BYTES;
        if (r->held > r->bytes)
                r->held = r->bytes;
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
        assert(r->held <= r->bytes);
        if (r->held == r->bytes || r->impossible)
                return;
        if (fallocate(r->fd, 0, 0, (off_t)r->bytes) == 0) {
                r->held = r->bytes;
                return;
        }
        r->impossible = errno == EOPNOTSUPP;
        log_warn("no space is kept for deleting on a full disk", LOG_STR("error", strerror(errno)));
        if (ftruncate(r->fd, (off_t)r->held) < 0) /* a part of it is of no use */
                log_warn("cannot cut the reserve file", LOG_STR("error", strerror(errno)));
}

void space_reserve_make(struct space_reserve *r)
{
        pthread_mutex_lock(&r->lock);
        make_locked(r);
        pthread_mutex_unlock(&r->lock);
}

static bool give_up_locked(struct space_reserve *r)
{
        uint64_t portion = r->bytes / SPACE_RESERVE_PORTIONS + BLOCK_BYTES;
        uint64_t left = r->held > portion ? (r->held - portion) / BLOCK_BYTES * BLOCK_BYTES : 0;
        assert(left <= r->held);
        if (r->held == 0)
                return false;
        if (ftruncate(r->fd, (off_t)left) < 0) {
                log_warn("cannot cut the reserve file", LOG_STR("error", strerror(errno)));
                return false;
        }
        log_warn("the disk is full: a part of the reserve file is released, so that deleting works",
                 LOG_INT("bytes", r->held - left), LOG_INT("bytes_left", left));
        r->held = left;
        return true;
}

bool space_reserve_give_up(struct space_reserve *r)
{
        pthread_mutex_lock(&r->lock);
        bool given = give_up_locked(r);
        pthread_mutex_unlock(&r->lock);
        return given;
}
