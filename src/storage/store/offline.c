/* What a daemon's start does is data_dir.h's; here the files become as the daemon would have made them. */
#include "storage/store/offline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int open_all(struct offline *o, enum offline_wants wants, struct error *err)
{
        int r = data_dir_open(&o->dir, err);
        if (r < 0)
                return r;
        bool database = wants == OFFLINE_DATABASE || wants == OFFLINE_VERIFIED;
        o->dir.verified = wants == OFFLINE_VERIFIED;
        r = (database ? data_dir_expect_database : data_dir_expect_ours)(&o->dir, err);
        if (r < 0)
                return r;
        r = owner_become(o->dir.fd, &o->before);
        if (r < 0)
                return error_cannot(err, r, "become the owner of", o->path);
        r = data_dir_lock(&o->dir, err);
        if (r < 0)
                return r;
        r = data_dir_recover_logs(&o->dir, err);
        if (r < 0 || wants == OFFLINE_FILES)
                return r;
        return data_dir_open_index(&o->dir, &o->index, &o->untidy, err);
}

int offline_open(const char *data_dir, enum offline_wants wants, struct offline **ret, struct error *err)
{
        struct offline *o = calloc(1, sizeof(*o));
        if (!o)
                return error_cannot(err, -ENOMEM, "open", data_dir);
        data_dir_init(&o->dir, o->path);
        o->before = (struct owner){ .uid = geteuid(), .gid = getegid() };
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
        owner_return(&o->before);
        free(o);
        return r;
}
