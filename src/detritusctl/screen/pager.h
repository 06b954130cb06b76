#pragma once
/* Long output on a terminal goes through $DETRITUS_PAGER, $PAGER or less -FRXK, where there is one. One for the
 * process; main thread. */

#include <stdbool.h>

/* From here on standard output is the pager's input. Does nothing when standard output is not a terminal, or there is
 * no pager. At most once. */
void pager_start(void);
/* Closes standard output and waits until the reader quits the pager. False: the pager could not be run, and nobody saw
 * anything. At most once. */
bool pager_finish(void);
/* A pager runs. So when a write fails, the reader has quit the pager, which is not an error. */
bool pager_was_quit(void);
