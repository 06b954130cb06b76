#pragma once
/* Log lines on standard output: for people, or as they are stored, with their source. */

#include <stdbool.h>

#include "storage/log_days/log_query.h"
#include "util/buf.h"

struct log_print {
        bool json;
        bool with_source; /* for people; they know it when they asked for one installation */
        const char *indent;
        struct buf out, texts; /* its own, kept from line to line */
};

void log_print_done(struct log_print *p);

/* A log_line_cb; userdata is a struct log_print. 0, or LOG_PRINT_FAILED. */
enum { LOG_PRINT_FAILED = 1 };
int log_print(void *userdata, const struct source *source, const struct log_line *line);

/* Appends a line's JSON with "project" and "install_id" before the other members, harmless for a terminal; no newline.
 * A line that is not a JSON object (torn, or not ours) becomes a string, "text". 0 or -ENOMEM. */
int log_print_json(struct buf *out, const struct source *source, const char *text, size_t len);
