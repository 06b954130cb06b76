#pragma once
/* One line on a terminal's standard error that says how far long work is; nothing where that is no terminal. */

#include <stdint.h>

/* all 0: nobody knows. Drawn at most ten times a second, and at the end of a step. */
void progress_show(const char *step, uint64_t done, uint64_t all);
/* Takes the line away, before anything else is printed. */
void progress_clear(void);
