#pragma once
/* One line on standard error that shows how far long work is, on a terminal; elsewhere nothing. */

#include <stdint.h>

/* all 0: not known. Drawn at most ten times a second, and at the end of a step. */
void progress_show(const char *step, uint64_t done, uint64_t all);
/* Removes the line, before anything else is printed. */
void progress_clear(void);
