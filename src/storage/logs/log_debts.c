#include "storage/logs/log_debts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/files/failure.h"
#include "util/log.h"

struct log_debt {
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes;
        int error;
};

static void say(const struct log_debt *debt, const char *what)
{
        char path[LOG_FILE_PATH_SIZE];
        log_file_path(&debt->source, debt->day, path);
        log_warn(what, LOG_STR("file", path), LOG_INT("bytes", debt->bytes), LOG_STR("error", strerror(-debt->error)));
}

void log_debts_done(struct log_debts *d)
{
        for (size_t i = 0; i < d->n; i++)
                say(&d->list[i], "lines of a refused batch stay in their file: they could not be cut off");
        free(d->list);
        *d = (struct log_debts){ 0 };
}

int log_debts_reserve(struct log_debts *d, size_t n)
{
        size_t cap = d->n + n;
        if (cap <= d->cap)
                return 0;
        struct log_debt *list = realloc(d->list, 2 * cap * sizeof(*list));
        if (!list)
                return -ENOMEM;
        d->list = list;
        d->cap = 2 * cap;
        return 0;
}

void log_debts_add(struct log_debts *d, const struct source *source, const char *day, uint64_t bytes, int error)
{
        assert(d->n < d->cap && error < 0);
        struct log_debt *debt = &d->list[d->n++];
        *debt = (struct log_debt){ .source = *source, .bytes = bytes, .error = error };
        memcpy(debt->day, day, sizeof(debt->day));
        say(debt, "lines of a refused batch could not be cut off their file yet; its source waits for that");
}

void log_debts_cut_back(struct log_debts *d, struct log_cache *files, struct log_file *f, uint64_t whole, int error)
{
        uint64_t more = f->size - whole;
        int r = more > 0 ? log_file_cut(f, whole) : 0;
        log_cache_report(files, &f->source, r < 0 ? r : error);
        if (r == 0)
                return;
        log_debts_add(d, &f->source, f->day, more, r);
        f->size = whole; /* for its note */
        log_cache_close(files, f);
}

/* Needs no descriptor: truncate(2) through /proc. 0 or -errno. */
static int cut_by_path(const struct log_debt *debt, int datadir_fd)
{
        char path[LOG_FILE_PATH_SIZE], proc[LOG_FILE_PATH_SIZE + 32];
        struct stat st;
        log_file_path(&debt->source, debt->day, path);
        if (fstatat(datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISREG(st.st_mode))
                return -EISDIR;
        if ((uint64_t)st.st_size < debt->bytes)
                return 0;
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d/%s", datadir_fd, path);
        return truncate(proc, st.st_size - (off_t)debt->bytes) < 0 ? -errno : 0;
}

/* 0 or -errno. */
static int pay_one(const struct log_debt *debt, int datadir_fd)
{
        struct log_file f;
        int r = log_file_open_as_is(&f, datadir_fd, &debt->source, debt->day, false);
        if (failure_is_descriptors(r))
                return cut_by_path(debt, datadir_fd);
        if (r != 0)
                return r == -ENOENT ? 0 : r;
        if (f.size >= debt->bytes) /* else somebody else has cut it */
                r = log_file_cut(&f, f.size - debt->bytes);
        log_file_close(&f);
        return r;
}

void log_debts_pay(struct log_debts *d, int datadir_fd)
{
        size_t left = 0;
        for (size_t i = 0; i < d->n; i++) {
                int r = pay_one(&d->list[i], datadir_fd);
                if (r == 0)
                        continue;
                d->list[left] = d->list[i];
                d->list[left++].error = r;
        }
        if (left < d->n)
                log_info("what refused batches left in log files has been cut off", LOG_INT("left", left));
        d->n = left;
}

int log_debts_error(const struct log_debts *d, const struct source *source)
{
        for (size_t i = 0; i < d->n; i++) {
                if (strcmp(d->list[i].source.project, source->project) == 0 &&
                    strcmp(d->list[i].source.install_id, source->install_id) == 0)
                        return d->list[i].error;
        }
        return 0;
}
