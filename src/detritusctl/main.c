/* detritusctl: looks into a data directory, changes it, manages tokens. This file has the root of the tree of commands.
 */

#include "detritusctl/cli/commands.h"
#include "util/log.h"

static const struct command *const commands[] = {
        &status_command,   &top_command,
        &crashes_command,  &logs_command,
        &sources_command,  &sql_command,
        &token_command,    &gc_command,
        &purge_command,    &verify_command,
        &backup_command,   &restore_command,
        &import_command,   &reindex_command,
        &mirror_command,   &config_command,
        &doctor_command,   &send_test_command,
        &help_command,     &completion_command,
        &complete_command, NULL,
};

static const struct command root = {
        .name = "detritusctl",
        .summary = "inspect and manage a detritus data directory",
        .description =
                "Looks into the data directory of a detritusd, changes it, and manages tokens. Commands that only "
                "read can run beside a daemon. Commands that change something ask the running daemon to do it, and do "
                "it themselves when none runs.\n"
                "\n"
                "On a terminal output has colours, times are relative and long lists go through a pager; in a pipe it "
                "is plain, with RFC 3339 times. With --json every command prints one JSON object per line.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl --data-dir /var/lib/detritus crashes list", "the newest crashes" },
                        { "detritusctl help crashes show", "the same as detritusctl crashes show --help" },
                        { "detritusctl completion bash > /etc/bash_completion.d/detritusctl",
                          "completion of commands and options in bash" },
                        { NULL },
                },
        .subcommands = commands,
        .flags = COMMAND_ROOT,
};

int main(int argc, char **argv)
{
        log_setup(LOG_FORMAT_PRETTY, LOG_LEVEL_ERROR); /* a failure is reported once, by say.h */
        return command_main(&root, argc, argv);
}
