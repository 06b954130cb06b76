#pragma once
/* All commands: each family stands in files of its own, and main.c puts them together. */

#include "detritusctl/command.h"

extern const struct command completion_command;
extern const struct command complete_command; /* hidden: what completion scripts ask */
extern const struct command config_command;
extern const struct command crashes_command;
extern const struct command doctor_command;
extern const struct command help_command;
extern const struct command send_test_command;
extern const struct command sql_command;
extern const struct command token_command;
