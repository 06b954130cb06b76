#pragma once
/* Messages on standard error, one line each, with "detritusctl: " before them. Formats have no newline. Text from
 * clients is made harmless for a terminal. */

#include "util/cleanup.h"

int say_failed(const char *fmt, ...) _printf_(1, 2); /* CTL_FAILED */
int say_usage(const char *fmt, ...) _printf_(1, 2);  /* CTL_USAGE; adds a hint at --help */
void say_note(const char *fmt, ...) _printf_(1, 2);  /* something to know */

/* What a negative r, or one that a callback returned above 0, means: CTL_FAILED with the message for -errno. When
 * standard output failed, command_main() reports that, so this says nothing: CTL_FAILED, or CTL_OK when the reader
 * left the pager, which is no failure. */
int say_error(int r);

/* A note for the end, after all output, even what a pager has yet to show. The last one counts. */
void say_at_end(const char *fmt, ...) _printf_(1, 2);
void say_finish(void); /* prints it */
