/* Files are as the daemon would have made them; the rest is data_dir.h's. */
#include "storage/store/offline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

static int become_owner(struct offline *o)
{
        struct stat st;
        if (fstat(o->dir.fd, &st) < 0)
                return -errno;
        if (geteuid() != 0 || st.st_uid == 0)
                return 0;
        o->gid = (gid_t)setfsgid(st.st_gid);
        o->uid = (uid_t)setfsuid(st.st_uid);
        return 0;
}

static int open_all(struct offline *o, enum offline_wants wants, struct error *err)
{
        int r = data_dir_open(&o->dir, err);
        if (r == 0)
                r = (wants == OFFLINE_DATABASE ? data_dir_expect_database : data_dir_expect_ours)(&o->dir, err);
        if (r == 0 && (r = become_owner(o)) < 0)
                return error_cannot(err, r, "become the owner of", o->path);
        if (r == 0)
                r = data_dir_lock(&o->dir, err);
        if (r == 0)
                r = data_dir_recover_logs(&o->dir, err);
        if (r == 0 && wants != OFFLINE_FILES)
                r = data_dir_open_index(&o->dir, &o->index, &o->untidy, err);
        return r;
}

int offline_open(const char *data_dir, enum offline_wants wants, struct offline **ret, struct error *err)
{
        struct offline *o = calloc(1, sizeof(*o));
        if (!o)
                return error_cannot(err, -ENOMEM, "open", data_dir);
        data_dir_init(&o->dir, o->path);
        o->uid = geteuid();
        o->gid = getegid();
        int n = snprintf(o->path, sizeof(o->path), "%s", data_dir);
        int r = n >= 0 && (size_t)n < sizeof(o->path) ? open_all(o, wants, err)
                                                      : error_cannot(err, -ENAMETOOLONG, "open", "the data directory");
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
        int r = ok && !o->untidy ? data_dir_stop_clean(&o->dir) : 0;
        data_dir_done(&o->dir);
        setfsuid(o->uid);
        setfsgid(o->gid);
        free(o);
        return r;
}
