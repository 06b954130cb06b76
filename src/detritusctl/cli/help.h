#pragma once
/* Help and the man page, made from the tree of commands. */

#include <stdio.h>

#include "detritusctl/cli/command.h"

#define HELP_PATH_SIZE 128

/* "detritusctl crashes list" */
void help_path(const struct command *root, const struct command *c, char ret[HELP_PATH_SIZE]);

/* What --help prints. CTL_OK. */
int help_print(const struct command *root, const struct command *c, FILE *out);

/* Prints detritusctl(1) in the macros of man(7). */
void help_man(const struct command *root);
