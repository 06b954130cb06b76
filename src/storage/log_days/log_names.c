#include "storage/log_days/log_names.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log_days/log_path.h"
#include "util/files/entries.h"

void log_names_done(struct log_names *names)
{
        free(names->sources);
        free(names->files);
        *names = (struct log_names){ 0 };
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
                struct log_names_file *bigger = reallocarray(names->files, cap, sizeof(*bigger));
                if (!bigger)
                        return -ENOMEM;
                names->files = bigger;
                names->files_cap = cap;
        }
        struct log_names_file *file = &names->files[names->n_files++];
        file->source = source;
        snprintf(file->day, sizeof(file->day), "%s", day);
        return 0;
}

struct listing {
        int datadir_fd;
        const struct log_filter *filter;
        const char *project;
        struct log_names *names;
};

/* One source, without a look at the disk where the filter names it. */
static int see_install(void *userdata, _unused_ const char *path, const char *name)
{
        struct listing *l = userdata;
        return source_component_valid(name, strlen(name)) ? add_source(l->names, l->project, name) : 0;
}

static int see_project(void *userdata, const char *path, const char *name)
{
        struct listing *l = userdata;
        const char *only = l->filter->install_id;
        if (!source_component_valid(name, strlen(name)))
                return 0;
        l->project = name;
        return only ? see_install(l, path, only) : entries_each(l->datadir_fd, path, see_install, l);
}

static int see_projects(struct listing *l)
{
        char path[LOG_PATH_SIZE];
        const char *only = l->filter->project;
        if (!only)
                return entries_each(l->datadir_fd, "logs", see_project, l);
        snprintf(path, sizeof(path), "logs/%.*s", SOURCE_COMPONENT_MAX, only);
        return see_project(l, path, only);
}

static int compare_sources(const void *a, const void *b)
{
        const struct source *x = a, *y = b;
        int c = strcmp(x->project, y->project);
        return c != 0 ? c : strcmp(x->install_id, y->install_id);
}

static int compare_files(const void *a, const void *b)
{
        const struct log_names_file *x = a, *y = b;
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

struct days {
        const char *after;
        struct day_range range;
        uint32_t source;
        struct log_names *names;
};

static int see_day(void *userdata, _unused_ const char *path, const char *name)
{
        struct days *d = userdata;
        char day[CLOCK_DAY_SIZE];
        bool compressed;
        if (!log_path_parse_name(name, day, &compressed) || strcmp(day, d->after) <= 0 ||
            strcmp(day, d->range.first) < 0 || strcmp(day, d->range.last) > 0)
                return 0;
        return add_file(d->names, d->source, day);
}

int log_names_add_days(int datadir_fd, const struct log_filter *f, const char *after, uint32_t i,
                       struct log_names *names)
{
        assert(i < names->n_sources);
        const struct source *s = &names->sources[i];
        struct days days = { .after = after, .range = day_range(f), .source = i, .names = names };
        char path[LOG_PATH_SIZE];
        snprintf(path, sizeof(path), "logs/%s/%s", s->project, s->install_id);
        return entries_each(datadir_fd, path, see_day, &days);
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
        int r = see_projects(&l);
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
