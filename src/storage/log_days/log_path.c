#include "storage/log_days/log_path.h"

#include <stdio.h>
#include <string.h>

void log_path_format(const char *project, const char *install_id, const char *day, bool compressed,
                     char ret[LOG_PATH_SIZE])
{
        snprintf(ret, LOG_PATH_SIZE, "logs/%.*s/%.*s/%.10s.ndjson%s", SOURCE_COMPONENT_MAX, project,
                 SOURCE_COMPONENT_MAX, install_id, day, compressed ? ".zst" : "");
}

/* One component up to the slash; NULL when it is not one. */
static const char *take_component(const char *path, char *ret)
{
        const char *slash = strchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) : 0;
        if (n == 0 || !source_component_valid(path, n))
                return NULL;
        memcpy(ret, path, n);
        ret[n] = '\0';
        return slash + 1;
}

bool log_path_parse_name(const char *name, char ret_day[CLOCK_DAY_SIZE], bool *ret_compressed)
{
        if (strlen(name) < CLOCK_DAY_SIZE || !clock_is_day(name, CLOCK_DAY_SIZE - 1))
                return false;
        const char *ending = name + CLOCK_DAY_SIZE - 1;
        if (strcmp(ending, ".ndjson") != 0 && strcmp(ending, ".ndjson.zst") != 0)
                return false;
        *ret_compressed = strcmp(ending, ".ndjson.zst") == 0;
        snprintf(ret_day, CLOCK_DAY_SIZE, "%.10s", name);
        return true;
}

bool log_path_parse(const char *path, struct source *ret_source, char ret_day[CLOCK_DAY_SIZE], bool *ret_compressed)
{
        struct source source = { 0 };
        if (strncmp(path, "logs/", 5) != 0)
                return false;
        const char *name = take_component(path + 5, source.project);
        name = name ? take_component(name, source.install_id) : NULL;
        if (!name || !log_path_parse_name(name, ret_day, ret_compressed))
                return false;
        *ret_source = source;
        return true;
}
