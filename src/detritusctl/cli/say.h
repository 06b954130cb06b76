#pragma once
/* Messages on standard error, one line each, with "detritusctl: " before them. Formats have no newline. Text from
 * clients is made harmless for a terminal. */

#include "util/cleanup.h"

int say_failed(const char *fmt, ...) _printf_(1, 2); /* CTL_FAILED */
int say_usage(const char *fmt, ...) _printf_(1, 2);  /* CTL_USAGE; adds a hint at --help */
void say_note(const char *fmt, ...) _printf_(1, 2);  /* something to know */

/* CTL_FAILED, after "cannot <doing>: <what -errno means>"; doing: "read the database". When standard output failed, or
 * r > 0 (a callback could not print), this says nothing, since command_main() reports that: CTL_FAILED, or CTL_OK when
 * the reader quit the pager, which is not a failure. */
int say_error(const char *doing, int r);

/* A note for the end, after all output, even what a pager has yet to show. The last one counts. */
void say_at_end(const char *fmt, ...) _printf_(1, 2);
void say_finish(void); /* prints it */
