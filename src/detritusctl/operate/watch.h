#pragma once
/* Shows the same thing repeatedly: on a terminal in place, in a pipe one after the other. */

#include "detritusctl/cli/ctl.h"

/* One look, printed; *ret_fine decides the exit status. 0 or -errno. */
typedef int (*watch_look)(void *userdata, bool *ret_fine);

/* Once, or every --interval SECS, --count N times; these must be options of the command. The exit status of the last
 * look. */
int watch_run(const struct ctl *ctl, bool repeat, watch_look look, void *userdata);
