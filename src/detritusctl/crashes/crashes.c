/* detritusctl crashes: the group of commands. */

#include "detritusctl/cli/commands.h"
#include "detritusctl/crashes/crashes_change.h"

const struct command crashes_command = {
        .name = "crashes",
        .summary = "list, show, export, hold and delete crashes",
        .subcommands =
                (const struct command *const[]){
                        &crashes_list_command,
                        &crashes_show_command,
                        &crashes_export_command,
                        &crashes_follow_command,
                        &crashes_delete_command,
                        &crashes_hold_command,
                        &crashes_release_command,
                        NULL,
                },
};
