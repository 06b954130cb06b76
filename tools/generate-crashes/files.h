#pragma once
/* What --files adds. Nothing is synced one by one: clean_stop_end() does that for all. */

#include "report.h"

/* Each blob of a report that is not there yet, and its mirror file, as old as the report. 0 or -errno. */
int files_put_report(int datadir_fd, const struct world *w, const struct report *r);

/* A day's log file of a source. */
int files_put_log(int datadir_fd, const struct world *w, const struct world_source *s, const char *version,
                  const char *day, int64_t day_ms, uint64_t lines, uint64_t *ret_bytes);
