/* First come the files of crashes (import_crashes.c), then the log files (import_logs.c). At the end the adoption
 * (adopt.h) indexes them, as it does for a directory of the reference. After a kill before that, the next start indexes
 * them, and another run passes over what is here. What only the other database names is told last (import_rows.c), when
 * it is known what is here. */
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
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"

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

void import_leave_other(struct import *i, const char *path, const char *why)
{
        i->counts.others_left++;
        import_left(i, path, why);
}

bool import_ends(int error)
{
        switch (-error) {
        case ENOSPC:
        case EDQUOT:
        case EROFS:
        case ENOMEM:
        case EMFILE:
        case ENFILE: return true;
        default: return false;
        }
}

/* ---- the other directory's files ---- */

struct walking {
        struct import *i;
        const struct import_walk *walk;
};

static void leave(struct walking *w, uint64_t *count, const char *path, const char *why)
{
        ++*count;
        import_left(w->i, path, why);
}

static int odd_directory(void *userdata, const char *path, int error)
{
        struct walking *w = userdata;
        struct error why;
        struct stat st;
        if (fstatat(w->i->from_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
                error_set(&why, "it is %s, not a directory", regular_kind(st.st_mode));
        else
                error_set(&why, "it cannot be read to its end: %s", strerror(-error));
        leave(w, &w->i->counts.others_left, path, why.text);
        return 0;
}

bool import_is_directory(struct import *i, const char *path)
{
        struct stat st;
        if (fstatat(i->from_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        if (!S_ISDIR(st.st_mode))
                odd_directory(&(struct walking){ .i = i }, path, -ENOTDIR);
        return S_ISDIR(st.st_mode);
}

static int hidden(void *userdata, const char *path, const char *name)
{
        struct walking *w = userdata;
        if (strncmp(name, PATH_UNFINISHED, strlen(PATH_UNFINISHED)) != 0)
                leave(w, &w->i->counts.others_left, path, "its name begins with a dot");
        return 0;
}

static int entry(void *userdata, const char *path, const char *name _unused_)
{
        struct walking *w = userdata;
        struct stat st;
        struct error why;
        if (fstatat(w->i->from_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                error_set(&why, "%s", strerror(errno));
                leave(w, w->walk->left, path, why.text);
                return 0;
        }
        if (!S_ISREG(st.st_mode)) {
                regular_say(w->i->from_fd, path, -EINVAL, &why);
                leave(w, w->walk->left, path, why.text);
                return 0;
        }
        int r = w->walk->take(w->i, path);
        if (r == IMPORT_UNKNOWN)
                leave(w, &w->i->counts.others_left, path, w->walk->unknown);
        return r < 0 ? r : 0;
}

int import_walk(struct import *i, const struct import_walk *walk)
{
        struct walking w = { .i = i, .walk = walk };
        const struct entries_walk all = { .dirfd = i->from_fd,
                                          .depth = walk->depth,
                                          .entry = entry,
                                          .hidden = hidden,
                                          .odd = odd_directory,
                                          .userdata = &w };
        return entries_walk(&all, walk->top);
}

/* ---- the other database ---- */

static int left_database(struct import *i, const char *path, const char *why)
{
        import_leave_other(i, path, why);
        return 0;
}

/* SQLite opens all of these, follows links, and waits for a FIFO. 1: something else is in the place of one. */
static int look_at_database(struct import *i)
{
        static const char *const files[] = { "detritus.db", "detritus.db-wal", "detritus.db-shm",
                                             "detritus.db-journal" };
        for (size_t n = 0; n < ARRAY_LEN(files); n++) {
                struct stat st;
                struct error why;
                if (fstatat(i->from_fd, files[n], &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode))
                        continue;
                regular_say(i->from_fd, files[n], -EINVAL, &why);
                left_database(i, files[n], why.text);
                return 1;
        }
        return 0;
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
        if (look_at_database(i) != 0)
                return 0;
        n = index_open_any(i->config->from, &other, &err);
        if (n != 0)
                return n == -ENOENT ? 0 : left_database(i, "detritus.db", err.text);
        unlinkat(i->o->dir.fd, COPY_NAME, 0);
        int r = index_copy_to(other, copy, NULL, NULL);
        if (r == 0)
                r = index_take_over(i->o->index, copy);
        unlinkat(i->o->dir.fd, COPY_NAME, 0);
        i->counts.details = r == 0;
        if (r < 0 && !import_ends(r))
                r = left_database(i, "detritus.db", "what only it says of the crashes cannot be taken over");
        return r;
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
        static int (*const steps[])(struct import * i) = { import_crashes, import_logs,  import_others,
                                                           index_all,      take_details, import_rows };
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
