#pragma once
/* What is in the place of a log file, or of a directory of logs, and is none. Nothing is opened. */

#include "storage/log_days/log_query.h"
#include "util/error.h"

enum log_odd_days {
        LOG_ODD_ALL,    /* every day that can match */
        LOG_ODD_NEWEST, /* only the newest of each source */
};

/* Names, on standard error, what log_query() and log_follow_last() pass over without a word: something else than a
 * directory in the place of a directory that can match, and symbolic links in the place of log files. The rest comes to
 * a log_broken_cb. *ret_n: how many. 0 or -errno. */
int log_odd_report(int datadir_fd, const struct log_filter *f, enum log_odd_days days, uint64_t *ret_n);

/* Names what a log_broken_cb was told of, by its path. */
void log_odd_say_broken(int datadir_fd, const struct source *source, const char *day, int error);
