#pragma once
/* The daemon's configuration as detritusctl finds it: the file that was named, or $DETRITUS_CONFIG, or the defaults; then
 * what the command line or the environment says of the data directory and the token file. */

#include "config/config.h"
#include "detritusctl/cli/commands.h"

/* tokens_config: of the command line; NULL: not given. CTL_OK, or what is wrong was said. */
int settings_read(const struct ctl *ctl, const char *tokens_config, struct config **ret);
