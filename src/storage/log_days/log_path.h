#pragma once
/* Where the lines of one source and one day are: logs/<project>/<install_id>/<day>.ndjson below the data directory,
 * with ".zst" at the end when they are compressed. Pure. */

#include <stdbool.h>

#include "protocol/source.h"
#include "util/clock.h"

#define LOG_PATH_SIZE (2 * SOURCE_COMPONENT_MAX + 32)

void log_path_format(const char *project, const char *install_id, const char *day, bool compressed,
                     char ret[LOG_PATH_SIZE]);

/* False: it has another form, like ".torn" or a file that is not whole yet. */
bool log_path_parse(const char *path, struct source *ret_source, char ret_day[CLOCK_DAY_SIZE], bool *ret_compressed);
/* The same for the last component alone. */
bool log_path_parse_name(const char *name, char ret_day[CLOCK_DAY_SIZE], bool *ret_compressed);
