#pragma once
/* Long output on a terminal goes through $DETRITUS_PAGER, $PAGER, less -FRXK or nothing. One of the process; main thread. */

#include <stdbool.h>

/* From here on standard output is the pager's input; nothing when that is no terminal or there is no pager. */
void pager_start(void);
/* Lets it have all there is and waits until the reader is through. False: there is no such pager, and nobody saw anything. */
bool pager_finish(void);
/* The reader left before everything was written: no error. */
bool pager_was_quit(void);
