#pragma once
/* Which log lines: by source, day, time, severity and text. Reads the files that can match and no others: the source is in
 * a file's path, the day in its name. Beside a running daemon, without the index. Any thread that may block. Memory: the
 * names of the sources, 24 bytes a file that can match, and one line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/source.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A file is named after the day of receipt. A line's own time may be of another: of the day before when it was sent later
 * or around midnight, of the day after when a client's clock is fast. */
#define LOG_QUERY_SLACK_DAYS 1

struct log_filter {
        const char *project, *install_id;   /* NULL: any */
        const struct moment *since, *until; /* the line's time: at or after; before. NULL: any */
        int severity;                       /* at least, as in OTLP: 1..24; 0: any */
        const char *text;                   /* what the line has, as JSON shows it (log_filter_text()); NULL: any */
        size_t text_len;
        bool ignore_case; /* of ASCII */
        bool invert;      /* the lines that do not have the text */
};

/* What people look for, as it stands in a line: quotes, backslashes and controls escaped. To be freed; NULL on ENOMEM. */
char *log_filter_text(const char *words);

struct log_line {
        const char *text; /* JSON, no newline (a newline or a NUL is behind it); good for the call only */
        size_t len;
        struct moment at; /* time_unix_nano, where that is 0 observed_time_unix_nano */
        int severity;     /* severity_number */
};

/* Does it fit? Fills in the line's time and severity. */
bool log_filter_fits(const struct log_filter *f, const char *text, size_t len, struct log_line *ret);

/* Called for each line that fits. 0 goes on, else stops and is returned. */
typedef int (*log_line_cb)(void *userdata, const struct source *source, const struct log_line *line);

struct log_query_counts {
        uint64_t files, lines, fits;
        uint64_t passed_over; /* lines too long */
        uint64_t broken;      /* files that could not be read to their end */
};

/* All lines that fit, by day, within a day by source, within a file in its order. A file that cannot be read is told to
 * `broken` (may be NULL) and passed over; one that is deleted meanwhile is not missed. 0, what cb returned, or -errno. */
typedef void (*log_broken_cb)(void *userdata, const struct source *source, const char *day, int error);
int log_query(int datadir_fd, const struct log_filter *f, log_line_cb cb, log_broken_cb broken, void *userdata,
              struct log_query_counts *ret);
