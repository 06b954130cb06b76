#pragma once
/* Retention's thread: a cycle (retention.h) at the start and one per interval, at idle priority. Where there are caps
 * it looks at them between the cycles, too. */

#include "storage/retention/retention.h"

struct janitor;

/* `stores` is copied; what it points to is borrowed, as are the other two. 0 or -errno. */
int janitor_new(const struct config *config, const struct deletion_stores *stores, struct metrics *metrics,
                struct janitor **ret);
/* Starts the thread, once; the first cycle runs at once, as the reference's does. Nothing is deleted before. 0 or
 * -errno. */
int janitor_start(struct janitor *j);
struct janitor *janitor_free(struct janitor *j); /* stops between two steps and joins; NULL-safe */
DEFINE_FREEP(janitor_free, struct janitor)

/* What it is doing ends between two steps, and whoever waits for a cycle gets -ECANCELED. Any thread. */
void janitor_stop(struct janitor *j);

/* Waits for a whole cycle that begins now, after the one that may be running. confirm_clock: an operator says that the
 * clock is right. 0, or -ECANCELED: it is being stopped.
 * Any thread but the janitor's. */
int janitor_run_cycle(struct janitor *j, bool confirm_clock, struct retention_cycle *ret);
/* The one that ended last; false: none has. Any thread. */
bool janitor_last_cycle(struct janitor *j, struct retention_cycle *ret);
