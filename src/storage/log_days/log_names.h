#pragma once
/* Which sources and days of logs/ can match a filter, from the names in its directories alone. Any thread that may
 * block. */

#include "storage/log_days/log_query.h"

struct log_names_file {
        uint32_t source; /* its number in struct log_names */
        char day[CLOCK_DAY_SIZE];
};

/* Zero-initialised is empty and valid. */
struct log_names {
        struct source *sources; /* by name */
        size_t n_sources, sources_cap;
        struct log_names_file *files; /* by day and source */
        size_t n_files, files_cap;
};

/* The sources that match; with_files: their days, too. 0 or -errno. */
int log_names_read(int datadir_fd, const struct log_filter *f, bool with_files, struct log_names *ret);
/* Appends the days of one source, number i, that match and are later than `after` ("": all). Then log_names_sort(). */
int log_names_add_days(int datadir_fd, const struct log_filter *f, const char *after, uint32_t i,
                       struct log_names *names);
void log_names_sort(struct log_names *names);
void log_names_done(struct log_names *names);
