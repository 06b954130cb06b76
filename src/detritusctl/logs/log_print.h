#pragma once
/* Log lines on standard output: as they are stored, with where they come from, or for people. */

#include <stdbool.h>

#include "storage/log_days/log_query.h"
#include "util/buf.h"

struct log_print {
        bool json;
        bool with_source; /* people know it when they asked for one installation */
        const char *indent;
};

/* A log_line_cb; userdata is a struct log_print. 0, or > 0 when it cannot be printed. */
enum { LOG_PRINT_FAILED = 1 };
int log_print(void *userdata, const struct source *source, const struct log_line *line);
/* A log_broken_cb. */
void log_print_broken(void *userdata, const struct source *source, const char *day, int error);

/* One line's JSON with "project" and "install_id" before the rest, harmless; no newline. A line that is no JSON object
 * (a torn one, a stranger's) comes as a string, "text". 0 or -ENOMEM. */
int log_print_json(struct buf *out, const struct source *source, const char *text, size_t len);
