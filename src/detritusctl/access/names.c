/* A name that is there as it was typed costs a look at its directories. Only for others all names are read. */
#include "detritusctl/access/names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "detritusctl/cli/ctl.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/cli/suggest.h"
#include "storage/index/index_list.h"
#include "util/buf.h"
#include "util/files/entries.h"

#define CANDIDATES_MAX 10

static const char *const places[] = { "logs", "crashes/by-source" };

struct search {
        int datadir_fd;
        const char *project, *typed; /* typed: of the install id; NULL: projects are looked for */
        struct suggestion nearest;
        char nearest_name[SOURCE_COMPONENT_MAX + 1];
        size_t n_found;
        struct source found[CANDIDATES_MAX];
        bool any;       /* anything is there at all */
        bool elsewhere; /* another project has an installation of that name */
};

static bool has_directory(int datadir_fd, const char *project, const char *install_id)
{
        char path[64 + 2 * SOURCE_COMPONENT_MAX];
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
                snprintf(path, sizeof(path), "%s/%s%s%s", places[i], project, install_id ? "/" : "", install_id ?: "");
                if (faccessat(datadir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        return true;
        }
        return false;
}

static int ignore_row(_unused_ void *userdata, _unused_ const char *json)
{
        return 0;
}

/* A source may have a row and no directory any more. */
static bool is_in_index(const char *data_dir, const char *project, const char *install_id)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct index_page page = { .max = 1 };
        struct error err;
        int64_t id;
        if (index_open_readonly(data_dir, &index, &err) != 0)
                return false;
        if (install_id)
                return index_find_sources(index, project, install_id, 1, &id, &page.n) == 0 && page.n > 0;
        return index_list_sources(index, project, &page, ignore_row, NULL) == 0 && page.n > 0;
}

/* ---- all names ---- */

static void consider(struct search *s, const char *name)
{
        struct suggestion before = s->nearest;
        char lower[SOURCE_COMPONENT_MAX + 1], typed[SOURCE_COMPONENT_MAX + 1];
        const char *wanted = s->typed ?: s->project;
        size_t i;
        for (i = 0; name[i] && i < SOURCE_COMPONENT_MAX; i++)
                lower[i] = (char)tolower((unsigned char)name[i]);
        lower[i] = '\0';
        for (i = 0; wanted[i] && i < SOURCE_COMPONENT_MAX; i++)
                typed[i] = (char)tolower((unsigned char)wanted[i]);
        typed[i] = '\0';
        suggest(&s->nearest, typed, lower);
        if (s->nearest.name == before.name && s->nearest.distance == before.distance)
                return;
        snprintf(s->nearest_name, sizeof(s->nearest_name), "%s", name);
        s->nearest.name = s->nearest_name; /* what it was is gone soon */
}

static bool is_found(const struct search *s, const char *project, const char *install_id)
{
        for (size_t i = 0; i < s->n_found; i++) {
                if (strcmp(s->found[i].project, project) == 0 && strcmp(s->found[i].install_id, install_id) == 0)
                        return true;
        }
        return false;
}

static int see_project(void *userdata, _unused_ const char *path, const char *name)
{
        struct search *s = userdata;
        s->any = true;
        consider(s, name);
        return 0;
}

/* path: "<place>/<project>/<install_id>". */
static int see_install(void *userdata, const char *path, const char *name)
{
        struct search *s = userdata;
        char project[SOURCE_COMPONENT_MAX + 1];
        const char *end = strrchr(path, '/'), *start = end;
        while (start > path && start[-1] != '/')
                start--;
        snprintf(project, sizeof(project), "%.*s", (int)(end - start), start);
        s->elsewhere = s->elsewhere || strcmp(name, s->typed) == 0;
        if (s->project && strcmp(s->project, project) != 0)
                return 0;
        s->any = true;
        consider(s, name);
        if (strncasecmp(name, s->typed, strlen(s->typed)) != 0 || s->n_found == CANDIDATES_MAX ||
            is_found(s, project, name))
                return 0;
        struct source *found = &s->found[s->n_found++];
        snprintf(found->project, sizeof(found->project), "%s", project);
        snprintf(found->install_id, sizeof(found->install_id), "%s", name);
        return 0;
}

static int read_all(struct search *s)
{
        int r = 0;
        for (size_t i = 0; i < ARRAY_LEN(places) && r == 0; i++)
                r = s->typed ? entries_each_below(s->datadir_fd, places[i], 1, see_install, s)
                             : entries_each(s->datadir_fd, places[i], see_project, s);
        return r;
}

/* ---- what is said ---- */

static int say_none(const struct search *s, const char *data_dir, const char *what, const char *typed)
{
        if (s->nearest.name)
                return say_failed("there is no %s \"%s\" in %s; the nearest is %s", what, typed, data_dir,
                                  s->nearest.name);
        return say_failed("there is no %s \"%s\" in %s%s", what, typed, data_dir,
                          s->any ? "" : "; it holds no data yet");
}

static int say_many(const struct search *s)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        for (size_t i = 0; i < s->n_found; i++)
                buf_printf(&text, " %s/%s", s->found[i].project, s->found[i].install_id);
        buf_append_char(&text, '\0');
        return say_failed("several installations begin with \"%s\":%s%s", s->typed,
                          text.error ? "" : (const char *)text.data, s->n_found == CANDIDATES_MAX ? " ..." : "");
}

/* ---- looking ---- */

static int find_install(struct search *s, const char *data_dir, struct names *ret)
{
        int r = read_all(s);
        if (r < 0)
                return say_error("read the names of the sources", r);
        const struct source *only = s->n_found == 1 ? &s->found[0] : NULL;
        for (size_t i = 0; i < s->n_found && !only; i++) {
                if (strcasecmp(s->found[i].install_id, s->typed) == 0)
                        only = &s->found[i]; /* the whole id rather than the beginning of another */
        }
        if (!only && s->n_found > 1)
                return say_many(s);
        if (!only && s->elsewhere)
                return CTL_OK; /* both names exist, and have nothing in common */
        if (!only)
                return say_none(s, data_dir, "installation", s->typed);
        snprintf(ret->install_id, sizeof(ret->install_id), "%s", only->install_id);
        return CTL_OK;
}

static int check_project(struct search *s, const char *data_dir)
{
        if (has_directory(s->datadir_fd, s->project, NULL) || is_in_index(data_dir, s->project, NULL))
                return CTL_OK;
        int r = read_all(s);
        return r < 0 ? say_error("read the names of the projects", r) : say_none(s, data_dir, "project", s->project);
}

/* "project/install" counts as both. */
static int split(const char **project, const char **install_id, char both[SOURCE_COMPONENT_MAX + 1])
{
        const char *slash = *install_id ? strchr(*install_id, '/') : NULL;
        if (!slash)
                return CTL_OK;
        snprintf(both, SOURCE_COMPONENT_MAX + 1, "%.*s", (int)(slash - *install_id), *install_id);
        if (*project && strcmp(*project, both) != 0)
                return say_usage("--install: \"%s\" is of another project than --project %s", *install_id, *project);
        *project = both;
        *install_id = slash + 1;
        return CTL_OK;
}

int names_find(const char *data_dir, const char *project, const char *install_id, struct names *ret)
{
        char both[SOURCE_COMPONENT_MAX + 1];
        *ret = (struct names){ 0 };
        int status = split(&project, &install_id, both);
        if (status != CTL_OK || (!project && !install_id))
                return status;
        if ((project && strchr(project, '/')) || (install_id && strchr(install_id, '/')))
                return say_failed("a project or an installation cannot have this name: a slash is not allowed");
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return say_failed("cannot open the data directory %s: %s", data_dir, strerror(errno));
        if (project) {
                struct search projects = { .datadir_fd = fd, .project = project };
                status = check_project(&projects, data_dir);
                snprintf(ret->project, sizeof(ret->project), "%s", project);
        }
        if (status != CTL_OK || !install_id)
                return status;
        snprintf(ret->install_id, sizeof(ret->install_id), "%s", install_id);
        if ((project && has_directory(fd, project, install_id)) || is_in_index(data_dir, project, install_id))
                return CTL_OK;
        struct search installs = { .datadir_fd = fd, .project = project, .typed = install_id };
        return find_install(&installs, data_dir, ret);
}
