#pragma once
/* The `crashes` commands that change something. */

#include "detritusctl/cli/command.h"

extern const struct command crashes_delete_command;
extern const struct command crashes_hold_command;
extern const struct command crashes_release_command;
