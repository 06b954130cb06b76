#pragma once
/* What `verify` does, for commands that end with a verification, and repairs by the daemon. */

#include <stdbool.h>

#include "detritusctl/cli/ctl.h"
#include "upkeep/repair.h"

/* Prints findings and totals. The exit status. */
int verify_directory(const char *data_dir, bool deep, bool json);

/* CTL_OK: cb was called for each finding. CTL_FAILED after a message. */
int verify_repair_by_daemon(const struct ctl *ctl, const struct repair *repair, repair_cb cb, void *userdata);
