/* First come the files of crashes (import_crashes.c), then the log files (import_logs.c). At the end the adoption
 * (adopt.h) indexes them, as it does for a directory of the reference. After a kill before that, the next start indexes
 * them, and another run passes over what is here. */
#include "upkeep/import.h"

#include <assert.h>
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

/* Which crashes are held, and so on, if there is a database that this detritus can read. */
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

/* Synced before it is indexed: no row may name a file that a power cut takes away. */
static int index_all(struct import *i)
{
        struct adopt_counts adopted;
        int r = durable_sync_all(i->o->dir.fd);
        return r < 0 ? r : adopt_data_dir(i->o->dir.fd, i->o->index, ADOPT_ALL, &adopted);
}

static int take_all(struct import *i)
{
        static int (*const steps[])(struct import * i) = { import_crashes, import_logs, index_all, take_details };
        int r = 0;
        for (size_t n = 0; r == 0 && n < ARRAY_LEN(steps); n++)
                r = steps[n](i);
        return r;
}

int import_run(const struct import_config *config, struct offline *o, struct import_counts *ret, struct error *err)
{
        struct import i = { .config = config, .o = o };
        assert(o->index);
        struct stat from, to;
        _cleanup_(closep) int from_fd = open(config->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (from_fd < 0 || fstat(from_fd, &from) < 0 || fstat(o->dir.fd, &to) < 0)
                return error_cannot(err, -errno, "open", config->from);
        if (from.st_ino == to.st_ino && from.st_dev == to.st_dev)
                return error_cannot(err, -EINVAL, "import into itself", config->from);
        i.from_fd = from_fd;
        i.files = (struct tree_copy){ .from_fd = from_fd, .to_fd = o->dir.fd, .hold = true };
        int r = take_all(&i);
        tree_copy_done(&i.files);
        *ret = i.counts;
        return r < 0 ? error_cannot(err, r, "import", config->from) : 0;
}
