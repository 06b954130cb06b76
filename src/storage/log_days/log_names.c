/* The files of logs/ that can match, from the names in its directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log_days/log_lines.h"
#include "storage/log_days/log_query.h"

void log_names_done(struct log_names *names)
{
        free(names->sources);
        free(names->files);
        *names = (struct log_names){ 0 };
}

/* Not there, or not a directory: nothing in it. */
static int open_dir(int datadir_fd, const char *path, DIR **ret)
{
        int fd = openat(datadir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        *ret = NULL;
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        *ret = fdopendir(fd);
        if (!*ret) {
                int r = -errno;
                close(fd);
                return r;
        }
        return 0;
}

static int add_source(struct log_names *names, const char *project, const char *install_id)
{
        if (names->n_sources == names->sources_cap) {
                size_t cap = names->sources_cap ? 2 * names->sources_cap : 16;
                struct source *bigger = reallocarray(names->sources, cap, sizeof(*bigger));
                if (!bigger)
                        return -ENOMEM;
                names->sources = bigger;
                names->sources_cap = cap;
        }
        struct source *s = &names->sources[names->n_sources++];
        snprintf(s->project, sizeof(s->project), "%s", project);
        snprintf(s->install_id, sizeof(s->install_id), "%s", install_id);
        return 0;
}

static int add_file(struct log_names *names, uint32_t source, const char *day)
{
        if (names->n_files == names->files_cap) {
                size_t cap = names->files_cap ? 2 * names->files_cap : 64;
                struct log_file_name *bigger = reallocarray(names->files, cap, sizeof(*bigger));
                if (!bigger)
                        return -ENOMEM;
                names->files = bigger;
                names->files_cap = cap;
        }
        struct log_file_name *file = &names->files[names->n_files++];
        file->source = source;
        snprintf(file->day, sizeof(file->day), "%s", day);
        return 0;
}

/* Calls cb for each entry of a directory whose name may be a component; just for `only`, unread, when that is given. */
typedef int (*component_cb)(void *userdata, const char *name);

static int each_component(int datadir_fd, const char *path, const char *only, component_cb cb, void *userdata)
{
        DIR *dir;
        int r = 0;
        if (only)
                return source_component_valid(only, strlen(only)) ? cb(userdata, only) : 0;
        r = open_dir(datadir_fd, path, &dir);
        for (struct dirent *e; r == 0 && dir && (e = readdir(dir));) {
                if (source_component_valid(e->d_name, strlen(e->d_name)))
                        r = cb(userdata, e->d_name);
        }
        if (dir)
                closedir(dir);
        return r;
}

struct listing {
        int datadir_fd;
        const struct log_filter *filter;
        const char *project;
        struct log_names *names;
};

static int see_install(void *userdata, const char *name)
{
        struct listing *l = userdata;
        return add_source(l->names, l->project, name);
}

static int see_project(void *userdata, const char *name)
{
        struct listing *l = userdata;
        char path[SOURCE_COMPONENT_MAX + 8];
        snprintf(path, sizeof(path), "logs/%s", name);
        l->project = name;
        return each_component(l->datadir_fd, path, l->filter->install_id, see_install, l);
}

static int compare_sources(const void *a, const void *b)
{
        const struct source *x = a, *y = b;
        int c = strcmp(x->project, y->project);
        return c != 0 ? c : strcmp(x->install_id, y->install_id);
}

static int compare_files(const void *a, const void *b)
{
        const struct log_file_name *x = a, *y = b;
        int c = strcmp(x->day, y->day);
        return c != 0 ? c : x->source < y->source ? -1 : x->source > y->source;
}

struct day_range {
        char first[CLOCK_DAY_SIZE], last[CLOCK_DAY_SIZE];
};

/* A day that a file may be named after: years of four digits. */
static void format_day(int64_t sec, char ret[CLOCK_DAY_SIZE])
{
        int64_t within = sec < CLOCK_FIRST_SECOND  ? CLOCK_FIRST_SECOND
                         : sec > CLOCK_LAST_SECOND ? CLOCK_LAST_SECOND
                                                   : sec;
        clock_format_day((struct moment){ .sec = within }, ret);
}

static struct day_range day_range(const struct log_filter *f)
{
        struct day_range range = { "", "9999-99-99" };
        if (f->since)
                format_day(f->since->sec - LOG_QUERY_SLACK_DAYS * INT64_C(86400), range.first);
        if (f->until)
                format_day(f->until->sec + LOG_QUERY_SLACK_DAYS * INT64_C(86400), range.last);
        return range;
}

int log_names_add_days(int datadir_fd, const struct log_filter *f, const char *after, uint32_t i,
                       struct log_names *names)
{
        const struct source *s = &names->sources[i];
        const struct day_range range = day_range(f);
        char path[2 * SOURCE_COMPONENT_MAX + 8], day[CLOCK_DAY_SIZE];
        bool compressed;
        DIR *dir;
        snprintf(path, sizeof(path), "logs/%s/%s", s->project, s->install_id);
        int r = open_dir(datadir_fd, path, &dir);
        for (struct dirent *e; r == 0 && dir && (e = readdir(dir));) {
                if (log_lines_parse_name(e->d_name, day, &compressed) && strcmp(day, after) > 0 &&
                    strcmp(day, range.first) >= 0 && strcmp(day, range.last) <= 0)
                        r = add_file(names, i, day);
        }
        if (dir)
                closedir(dir);
        return r;
}

/* A day may have been seen twice, plain and compressed. */
void log_names_sort(struct log_names *names)
{
        size_t n = 0;
        if (names->n_files == 0)
                return;
        qsort(names->files, names->n_files, sizeof(*names->files), compare_files);
        for (size_t i = 1; i < names->n_files; i++) {
                if (compare_files(&names->files[n], &names->files[i]) != 0)
                        names->files[++n] = names->files[i];
        }
        names->n_files = n + 1;
}

int log_names_read(int datadir_fd, const struct log_filter *f, bool with_files, struct log_names *ret)
{
        struct log_names names = { 0 };
        struct listing l = { .datadir_fd = datadir_fd, .filter = f, .names = &names };
        int r = each_component(datadir_fd, "logs", f->project, see_project, &l);
        if (r == 0 && names.n_sources > 0)
                qsort(names.sources, names.n_sources, sizeof(*names.sources), compare_sources);
        for (uint32_t i = 0; r == 0 && with_files && i < names.n_sources; i++)
                r = log_names_add_days(datadir_fd, f, "", i, &names);
        if (r < 0) {
                log_names_done(&names);
                return r;
        }
        log_names_sort(&names);
        *ret = names;
        return 0;
}
