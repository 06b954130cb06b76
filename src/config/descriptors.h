#pragma once
/* How the descriptors that a process may have are shared out: the stores come first, connections get what is left, so
 * that no number of them can take what a log file, an upload or the database needs. */

#include <stdint.h>

#include "config/config.h"
#include "util/error.h"

#define DESCRIPTORS_MIN 320   /* with fewer there is hardly room for a connection */
#define DESCRIPTORS_FIXED 128 /* threads, listeners, the database, the journal, the control socket, and slack */

struct descriptors {
        uint64_t limit;
        unsigned log_files;   /* limits.log_files_open, at most a quarter of the limit */
        unsigned uploads;     /* what limits.uploads may need, at most a quarter */
        unsigned connections; /* limits.connections, at most what is left */
};

/* Shares out `limit` descriptors. 0, or -EMFILE with err: there are fewer than DESCRIPTORS_MIN. */
int descriptors_share(const struct config_limits *limits, uint64_t limit, struct descriptors *ret, struct error *err);
/* The same with the soft limit that is in force. */
int descriptors_share_ours(const struct config_limits *limits, struct descriptors *ret, struct error *err);
