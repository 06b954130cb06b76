#pragma once
/* Showing the same thing again and again: a screen that is drawn anew on a terminal, one behind the other in a pipe. */

#include "detritusctl/cli/command.h"

/* One look, printed; *ret_fine is the exit status' business. 0 or -errno. */
typedef int (*watch_look)(void *userdata, bool *ret_fine);

/* Once, or every --interval SECS, --count N times, which must be options of the command. The exit status of the last
 * look. */
int watch_run(const struct ctl *ctl, bool repeat, watch_look look, void *userdata);

/* The same two options, read. CTL_OK or, said, CTL_USAGE. */
int watch_number(const struct ctl *ctl, const char *option, unsigned max, unsigned *ret);
