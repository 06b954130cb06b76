#pragma once
/* Can the clock be believed when things are to be deleted because of their age? It is compared with what is known of
 * time: the last cycle whose clock was believed, the kernel's uptime and boot id. These are kept in
 * <data_dir>/journal/clock (docs/adr/0014-the-clock-is-not-believed-blindly.md). The thread that runs retention. */

#include <stdbool.h>
#include <stdint.h>

#include "storage/retention/deletion.h"

#define RETENTION_CLOCK_FILE "journal/clock"
#define RETENTION_CLOCK_TOLERANCE_SECS 600 /* what an NTP server may correct at once */
#define RETENTION_CLOCK_STEADY_SECS 86400  /* so long a clock must have run steadily to be believed after all */
#define RETENTION_CLOCK_GAP_SECS 86400     /* so long without a cycle is nothing to wonder about */
/* 2026-01-01T00:00:00Z: no build is older, so a clock before it is wrong. */
#define RETENTION_CLOCK_FLOOR_SEC INT64_C(1767225600)

/* The clock, and how long this boot has lasted. */
struct retention_clock_sample {
        int64_t wall_secs; /* 0: there is none */
        uint64_t uptime_secs;
        char boot_id[CLOCK_BOOT_ID_SIZE];
};

/* Zero-initialised: nothing is known. */
struct retention_clock {
        bool loaded;
        struct retention_clock_sample believed;   /* at the last cycle that believed the clock */
        unsigned logs_ttl_days, crashes_ttl_days; /* that it went by */
        struct retention_clock_sample doubted;    /* at the last cycle that did not */
        uint64_t steady_secs;                     /* how long the doubted clock has run steadily */
        int64_t wrong_until_secs; /* what was received up to here came under a clock before the floor; 0: nothing */
        int64_t corrected_secs;   /* and counts as received then; 0: the clock is still wrong */
        uint64_t saved_uptime_secs;
};

struct retention_clock_ttl {
        unsigned logs_days, crashes_days;
};

/* Judges the clock before a cycle, and returns the time that it judged. *reason is "" when it is believed, else why not, in words. It reads the index
 * only when the machine was started again and a long time seems to have passed without the daemon. confirmed: an
 * operator says that it is right. */
#define RETENTION_CLOCK_REASON_SIZE 256
struct moment retention_clock_judge(struct retention_clock *c, const struct deletion_stores *stores,
                                    const char *data_dir, struct retention_clock_ttl ttl, bool confirmed,
                                    char reason[RETENTION_CLOCK_REASON_SIZE]);

/* What was received up to this moment must not expire yet, since its times are wrong; year 0: there is no such. */
struct moment retention_clock_wrong_until(const struct retention_clock *c, unsigned ttl_days, struct moment now);
