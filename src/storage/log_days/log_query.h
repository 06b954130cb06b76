#pragma once
/* Finds log lines by source, day, time, severity and text. Reads only the files that can match: the source is in a
 * file's path, the day in its name. Works beside a running daemon, without the index. Any thread that may block.
 * Memory: the names of the sources, 24 bytes for each file that can match, and one line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/source.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A file is named after the day of receipt. The time of a line may be on another day: on the day before if it was sent
 * later or around midnight, on the day after if the client's clock is fast. */
#define LOG_QUERY_SLACK_DAYS 1

struct log_filter {
        const char *project, *install_id;   /* NULL: any */
        const struct moment *since, *until; /* the line's time: not before; before. NULL: any */
        int severity;                       /* at least, as in OTLP: 1..24; 0: any */
        const char *text;                   /* as it stands in the line (log_filter_text()); NULL: any */
        size_t text_len;
        bool ignore_case; /* ASCII only */
        bool invert;      /* the lines that do not have the text */
};

/* What people search for, as it stands in a line: quotes, backslashes and controls are escaped. The caller frees it;
 * NULL on ENOMEM. */
char *log_filter_text(const char *words);

struct log_line {
        const char *text; /* JSON without its newline (a newline or a NUL follows it); valid during the call */
        size_t len;
        struct moment at; /* time_unix_nano, or observed_time_unix_nano if that is 0 */
        int severity;     /* severity_number */
};

/* Does the line match? Fills in its time and severity. */
bool log_filter_fits(const struct log_filter *f, const char *text, size_t len, struct log_line *ret);

/* Called for each line that matches. 0 goes on; other values end the query and are returned. */
typedef int (*log_line_cb)(void *userdata, const struct source *source, const struct log_line *line);

struct log_query_counts {
        uint64_t files, lines, fits;
        uint64_t passed_over; /* lines too long */
        uint64_t broken;      /* files that could not be read to their end */
};

/* All lines that match: by day, within a day by source, within a file in its order. A file that cannot be read is
 * reported to `broken` (may be NULL) and passed over; one that is deleted meanwhile is not. 0, what cb returned, or
 * -errno. */
typedef void (*log_broken_cb)(void *userdata, const struct source *source, const char *day, int error);
int log_query(int datadir_fd, const struct log_filter *f, log_line_cb cb, log_broken_cb broken, void *userdata,
              struct log_query_counts *ret);
