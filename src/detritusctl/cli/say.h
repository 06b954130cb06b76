#pragma once
/* What goes wrong, in a line on standard error. */

#include "util/cleanup.h"

/* CTL_FAILED, and CTL_USAGE with a hint at --help; no newline in fmt. What strangers wrote is made harmless. */
int say_failed(const char *fmt, ...) _printf_(1, 2);
int say_usage(const char *fmt, ...) _printf_(1, 2);
/* Neither: something to know. */
void say_note(const char *fmt, ...) _printf_(1, 2);
/* The same, to stand below all output, also what a pager still has to show: said at the end. One at most. */
void say_below(const char *fmt, ...) _printf_(1, 2);
void say_what_stands_below(void);
