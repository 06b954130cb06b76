#pragma once
/* The daemon's configuration as detritusctl finds it: the file that was named, or $DETRITUS_CONFIG, or the defaults;
 * then what the command line or the environment says of the data directory and the token file. The functions return
 * CTL_OK, or CTL_FAILED after a message. */

#include "config/config.h"
#include "detritusctl/cli/ctl.h"

struct perform_request;

/* path NULL: the defaults. tokens_config: of the command line; NULL: not given. */
int settings_read(const struct ctl *ctl, const char *path, const char *tokens_config, struct config **ret);

/* Those of an operation that this process performs itself; the request says how long things are kept. */
int settings_for_operation(const struct ctl *ctl, const struct perform_request *request, struct config **ret);
