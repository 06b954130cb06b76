#include "detritusctl/logs/log_odd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "detritusctl/cli/say.h"
#include "storage/log_days/log_names.h"
#include "storage/log_days/log_path.h"
#include "util/files/entries.h"
#include "util/files/regular.h"

/* 0: nothing is there. */
static mode_t kind_at(int datadir_fd, const char *path)
{
        struct stat st;
        return fstatat(datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void say_no_file(const char *path, mode_t mode)
{
        say_note("%s: it is %s, not a regular file", path, regular_kind(mode));
}

/* ---- a day that was broken ---- */

static const char *what_happened(int error)
{
        return error == -EBADMSG  ? "the compressed file is damaged; what can be read of it was read"
               : error == -ESPIPE ? "the file became shorter; continuing from its end"
                                  : strerror(-error);
}

/* The error is of one of its two files. Links are log_odd_report()'s. */
void log_odd_say_broken(int datadir_fd, const struct source *source, const char *day, int error)
{
        char path[2][LOG_PATH_SIZE];
        mode_t mode[2];
        bool odd = false;
        for (unsigned i = 0; i < 2; i++) {
                log_path_format(source->project, source->install_id, day, i == 1, path[i]);
                mode[i] = kind_at(datadir_fd, path[i]);
                if (mode[i] && !S_ISREG(mode[i]) && !S_ISLNK(mode[i])) {
                        say_no_file(path[i], mode[i]);
                        odd = true;
                }
        }
        bool compressed = S_ISREG(mode[1]) && (error == -EBADMSG || !S_ISREG(mode[0]));
        if (!odd)
                say_note("%s: %s", path[compressed], what_happened(error));
}

/* ---- what is passed over ---- */

struct looking {
        int datadir_fd;
        const struct log_filter *filter;
        uint64_t n;
};

static void look_at_directory(struct looking *l, const char *path)
{
        mode_t mode = kind_at(l->datadir_fd, path);
        if (!mode || S_ISDIR(mode))
                return;
        l->n++;
        say_note("%s: it is %s, not a directory", path, regular_kind(mode));
}

static int look_at_project(void *userdata, const char *path, const char *name)
{
        struct looking *l = userdata;
        bool matches = !l->filter->project || strcmp(l->filter->project, name) == 0;
        if (matches && source_component_valid(name, strlen(name)))
                look_at_directory(l, path);
        return 0;
}

static void look_at_file(struct looking *l, const struct source *source, const char *day)
{
        for (unsigned i = 0; i < 2; i++) {
                char path[LOG_PATH_SIZE];
                log_path_format(source->project, source->install_id, day, i == 1, path);
                mode_t mode = kind_at(l->datadir_fd, path);
                if (!S_ISLNK(mode))
                        continue;
                l->n++;
                say_no_file(path, mode);
        }
}

/* Files are sorted by day: the newest of a source is its last. */
static int look_at_newest(struct looking *l, const struct log_names *names)
{
        _cleanup_(freep) bool *seen = calloc(names->n_sources + 1, sizeof(*seen));
        if (!seen)
                return -ENOMEM;
        for (size_t i = names->n_files; i-- > 0;) {
                uint32_t source = names->files[i].source;
                if (!seen[source])
                        look_at_file(l, &names->sources[source], names->files[i].day);
                seen[source] = true;
        }
        return 0;
}

static int look_at_sources(struct looking *l, enum log_odd_days days)
{
        _cleanup_(log_names_done) struct log_names names = { 0 };
        int r = log_names_read(l->datadir_fd, l->filter, true, &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n_sources; i++) {
                char path[LOG_PATH_SIZE];
                snprintf(path, sizeof(path), "logs/%s/%s", names.sources[i].project, names.sources[i].install_id);
                look_at_directory(l, path);
        }
        if (days == LOG_ODD_NEWEST)
                return look_at_newest(l, &names);
        for (size_t i = 0; i < names.n_files; i++)
                look_at_file(l, &names.sources[names.files[i].source], names.files[i].day);
        return 0;
}

int log_odd_report(int datadir_fd, const struct log_filter *f, enum log_odd_days days, uint64_t *ret_n)
{
        struct looking l = { .datadir_fd = datadir_fd, .filter = f };
        look_at_directory(&l, "logs");
        int r = entries_each(datadir_fd, "logs", look_at_project, &l);
        if (r == 0)
                r = look_at_sources(&l, days);
        *ret_n = l.n;
        return r;
}
