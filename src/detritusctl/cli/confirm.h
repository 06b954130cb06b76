#pragma once
/* Asking before something is destroyed. */

#include "detritusctl/cli/command.h"
#include "util/cleanup.h"

/* CTL_OK with --yes, or when a person at a terminal says yes. Else CTL_FAILED, with words: nobody to ask, or a no.
 * The text is a question without its mark: "delete 3 crashes". */
int confirm(const struct ctl *ctl, const char *fmt, ...) _printf_(2, 3);
