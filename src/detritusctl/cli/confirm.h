#pragma once
/* Asking before something is destroyed. */

#include "detritusctl/cli/ctl.h"
#include "util/cleanup.h"

/* CTL_OK with --yes, or when somebody at a terminal answers yes. CTL_FAILED after a message: there is no terminal, or
 * the answer was no. The text is the question without "?": "delete 3 crashes". */
int confirm(const struct ctl *ctl, const char *fmt, ...) _printf_(2, 3);
