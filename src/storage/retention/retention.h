#pragma once
/* Retention of one data directory: what has lived longer than its time to live goes, then the oldest of what is beyond
 * a cap; days of logs that are closed are compressed. Works on the caller's thread: the janitor's (janitor.h), or that
 * of a command that does it once. */

#include "config/config.h"
#include "metrics/metrics.h"
#include "storage/retention/deletion.h"
#include "storage/retention/retention_clock.h"

struct retention {
        const struct config *config; /* borrowed, as are the next two */
        struct metrics *metrics;
        struct deletion *deletion;
        bool considerate;             /* small steps with rests: nobody waits for it, and others are at work */
        bool confirm_clock;           /* the next cycle believes the clock, whatever speaks against it */
        unsigned seen_commits;        /* of others, when the caps were last looked at; retention's own */
        struct retention_clock clock; /* likewise */
};

struct retention_cycle {
        struct deletion_tally deleted;
        uint64_t log_files_compressed;
        struct moment began;
        uint64_t duration_ns;
        int result; /* 0, also when it was stopped, or -errno; the rest says what was done until then */
        char clock_doubt[RETENTION_CLOCK_REASON_SIZE]; /* why nothing was deleted for its age; "": it was */
};

/* A whole cycle. It ends between two steps after deletion_stop(). */
void retention_run(struct retention *r, struct retention_cycle *ret);

bool retention_caps_any(const struct retention *r);
/* Between two cycles: evicts what is beyond a cap, if anybody has stored something since the last check. */
void retention_keep_caps(struct retention *r);
