#pragma once
/* The command line. */

#include "load.h"

extern const char options_usage[];

/* Fills *ret, which borrows from argv; the token's header value is allocated once and kept. 0, 1 when --help was asked
 * for and printed, or -1 when something is wrong, which was said on standard error. */
int options_read(struct load_options *ret, int argc, char **argv);
