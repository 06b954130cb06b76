/* First the files of crashes (import_crashes.c), then log files (import_logs.c). At the end the adoption (adopt.h) makes
 * rows of what has come in, as it does of a reference's directory; killed before that, the next start does, and a further
 * run passes over what is here. */
#include "upkeep/import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_copy.h"
#include "storage/store/adopt.h"
#include "upkeep/import_internal.h"
#include "util/files/durable.h"

#define COPY_NAME "tmp/import.db"

void import_progress(struct import *i, const char *step)
{
        if (i->config->progress && ++i->looked_at % 256 == 0)
                i->config->progress(i->config->userdata, step, i->looked_at, 0);
}

void import_left(const struct import *i, const char *path, const char *why)
{
        i->config->left(i->config->userdata, path, why);
}

/* Which crashes are held, and so on, where it has a database that this detritus can read. */
static int take_details(struct import *i)
{
        _cleanup_(index_freep) struct index *other = NULL;
        char copy[PATH_MAX];
        struct error err;
        int n = snprintf(copy, sizeof(copy), "%s/" COPY_NAME, i->o->path);
        if (n < 0 || n >= PATH_MAX)
                return -ENAMETOOLONG;
        if (index_open_any(i->config->from, &other, &err) != 0)
                return 0;
        unlinkat(i->o->dir.fd, COPY_NAME, 0);
        int r = index_copy_to(other, copy, NULL, NULL);
        if (r == 0)
                r = index_take_over(i->o->index, copy);
        unlinkat(i->o->dir.fd, COPY_NAME, 0);
        i->counts.details = r == 0;
        return r == -ENOSPC || r == -EDQUOT || r == -ENOMEM ? r : 0;
}

int import_run(const struct import_config *config, struct offline *o, struct import_counts *ret, struct error *err)
{
        struct import i = { .config = config, .o = o };
        struct adopt_counts adopted;
        struct stat from, to;
        _cleanup_(closep) int from_fd = open(config->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (from_fd < 0 || fstat(from_fd, &from) < 0 || fstat(o->dir.fd, &to) < 0)
                return error_cannot(err, -errno, "open", config->from);
        if (from.st_ino == to.st_ino && from.st_dev == to.st_dev)
                return error_cannot(err, -EINVAL, "take into itself", config->from);
        i.from_fd = from_fd;
        i.files = (struct tree_copy){ .from_fd = from_fd, .to_fd = o->dir.fd, .hold = true };
        int r = import_crashes(&i);
        if (r == 0)
                r = import_logs(&i);
        tree_copy_done(&i.files);
        if (r == 0)
                r = durable_sync_all(o->dir.fd);
        if (r == 0)
                r = adopt_data_dir(o->dir.fd, o->index, ADOPT_ALL, &adopted);
        if (r == 0)
                r = take_details(&i);
        *ret = i.counts;
        return r < 0 ? error_cannot(err, r, "take in", config->from) : 0;
}
