/* Lock, journal, index, reconciliation, in the order of store.c. A command that is killed leaves "running" in the lock
 * file, so that the next start, or the next command, looks at everything. */
#include "storage/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "storage/adopt.h"
#include "storage/clean_stop.h"
#include "storage/logs/recovery.h"
#include "storage/reconcile.h"

static int fail(struct error *err, int error, const char *doing, const char *what)
{
        error_set(err, "cannot %s %s: %s", doing, what, strerror(-error));
        return error;
}

static int become_owner(struct offline *o)
{
        struct stat st;
        if (fstat(o->datadir_fd, &st) < 0)
                return -errno;
        if (geteuid() != 0 || st.st_uid == 0)
                return 0;
        o->gid = (gid_t)setfsgid(st.st_gid);
        o->uid = (uid_t)setfsuid(st.st_uid);
        return 0;
}

static int take_lock(struct offline *o, bool *ret_clean, struct error *err)
{
        o->datadir_fd = open(o->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (o->datadir_fd < 0)
                return fail(err, -errno, "open the data directory", o->data_dir);
        int r = become_owner(o);
        if (r < 0)
                return fail(err, r, "become the owner of", o->data_dir);
        o->lock_fd = openat(o->datadir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (o->lock_fd < 0)
                return fail(err, -errno, "open the lock of", o->data_dir);
        if (flock(o->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return fail(err, -errno, "lock", o->data_dir);
                error_set(err, "%s is in use by a detritusd or another detritusctl; this needs it to be stopped",
                          o->data_dir);
                return -EBUSY;
        }
        r = clean_stop_begin(o->datadir_fd, o->lock_fd, ret_clean);
        return r < 0 ? fail(err, r, "write the lock of", o->data_dir) : 0;
}

static int open_index(struct offline *o, bool clean, struct error *err)
{
        struct log_recovery_counts recovered;
        struct reconcile_counts reconciled;
        struct adopt_counts adopted;
        bool created;
        int r = log_recovery_run(o->datadir_fd, &recovered, err);
        if (r == 0)
                r = index_open(o->data_dir, &o->index, &created, err);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        r = created || clean ? adopt_data_dir(o->datadir_fd, o->index, created, &adopted)
                             : reconcile_data_dir(o->datadir_fd, o->index, &reconciled);
        return r < 0 ? fail(err, r, "index the files of", o->data_dir) : 0;
}

int offline_open(const char *data_dir, bool with_index, struct offline **ret, struct error *err)
{
        struct offline *o = calloc(1, sizeof(*o));
        bool clean = false;
        if (!o)
                return fail(err, -ENOMEM, "open", data_dir);
        o->datadir_fd = o->lock_fd = -1;
        o->uid = geteuid();
        o->gid = getegid();
        int n = snprintf(o->data_dir, sizeof(o->data_dir), "%s", data_dir);
        int r = n >= 0 && (size_t)n < sizeof(o->data_dir) ? 0 : fail(err, -ENAMETOOLONG, "open", "the data directory");
        if (r == 0)
                r = take_lock(o, &clean, err);
        if (r == 0 && with_index)
                r = open_index(o, clean, err);
        if (r < 0) {
                offline_close(o, false);
                return r;
        }
        *ret = o;
        return 0;
}

int offline_close(struct offline *o, bool ok)
{
        if (!o)
                return 0;
        o->index = index_free(o->index);
        int r = ok ? clean_stop_end(o->datadir_fd, o->lock_fd) : 0;
        if (o->lock_fd >= 0)
                close(o->lock_fd);
        if (o->datadir_fd >= 0)
                close(o->datadir_fd);
        setfsuid(o->uid);
        setfsgid(o->gid);
        free(o);
        return r;
}
