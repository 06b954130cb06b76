#pragma once
/* One call of detritusctl: what was asked for on the command line and in the environment. command.c fills it in,
 * commands read it. */

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses. CTL_FAILED: it failed, or what was asked for was not found or is not in order. CTL_USAGE: the command
 * line is wrong. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

#define CTL_OPTIONS_MAX 24 /* of one command */

struct command;
struct config;

struct ctl {
        const struct command *root, *command;
        const char *data_dir;
        bool data_dir_given;     /* on the command line or in the environment, not by default */
        const char *config_path; /* --config FILE, else $DETRITUS_CONFIG; NULL: none */
        bool json, yes, dry_run, no_pager;
        size_t n_arguments;
        char **arguments;
        const char *values[CTL_OPTIONS_MAX]; /* in the order of command->options: ctl_value() */
};

/* The value of one of the command's own options, or "" for a switch; NULL: it was not given. The command must have an
 * option of that name. */
const char *ctl_value(const struct ctl *ctl, const char *name);
bool ctl_flag(const struct ctl *ctl, const char *name);

const char *ctl_environment(const char *name); /* NULL: not set, or empty */

/* Fills in ctl->data_dir: --data-dir, --config, $DETRITUS_DATA_DIR, $DETRITUS_CONFIG, ./data/, whichever is given
 * first. It may point into *ret_config, which the caller frees. CTL_OK, or CTL_FAILED after a message. */
int ctl_find_data_dir(struct ctl *ctl, struct config **ret_config);
/* After a command failed: where the data directory may be, when the one that was used by default is not there. */
void ctl_hint_data_dir(const struct ctl *ctl);
