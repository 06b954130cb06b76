#pragma once
/* What `verify` does, for the commands that end with it. */

#include <stdbool.h>

#include "storage/repair.h"

/* Prints findings and totals. The exit status. */
int verify_directory(const char *data_dir, bool deep, bool repair, bool json);
