#pragma once
/* All commands. Each is in a file of its own, and main.c puts them together. */

#include "detritusctl/cli/command.h"

extern const struct command backup_command;
extern const struct command complete_command; /* hidden: what completion scripts ask */
extern const struct command completion_command;
extern const struct command config_command;
extern const struct command crashes_command;
extern const struct command crashes_export_command;
extern const struct command crashes_follow_command;
extern const struct command crashes_list_command;
extern const struct command crashes_show_command;
extern const struct command doctor_command;
extern const struct command gc_command;
extern const struct command help_command;
extern const struct command import_command;
extern const struct command logs_command;
extern const struct command mirror_command;
extern const struct command purge_command;
extern const struct command reindex_command;
extern const struct command restore_command;
extern const struct command send_test_command;
extern const struct command sources_command;
extern const struct command sql_command;
extern const struct command status_command;
extern const struct command token_command;
extern const struct command top_command;
extern const struct command verify_command;
