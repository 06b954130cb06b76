#pragma once
/* What `verify` does, for the commands that end with it, and its part that a daemon does. */

#include <stdbool.h>

#include "detritusctl/cli/command.h"
#include "upkeep/repair.h"

/* Prints findings and totals. The exit status. */
int verify_directory(const char *data_dir, bool deep, bool json);

/* CTL_OK: cb was told of each finding. CTL_FAILED after words. */
int verify_repair_by_daemon(const struct ctl *ctl, const struct repair *repair, repair_cb cb, void *userdata);
