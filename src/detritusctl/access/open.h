#pragma once
/* The data directory and its database, opened to be read. CTL_OK, or CTL_FAILED after a message. */

#include "detritusctl/cli/ctl.h"
#include "storage/index/index.h"

int open_index(const struct ctl *ctl, struct index **ret);
int open_data_dir(const struct ctl *ctl, int *ret_fd);
