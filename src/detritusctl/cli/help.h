#pragma once
/* Help and the man page, written from the tree of commands. */

#include <stdio.h>

#include "detritusctl/cli/command.h"

#define HELP_PATH_SIZE 128

/* "detritusctl crashes list" */
void help_path(const struct command *root, const struct command *c, char ret[HELP_PATH_SIZE]);

/* What --help prints. CTL_OK. */
int help_print(const struct command *root, const struct command *c, FILE *out);

/* detritusctl(1) in man(7)'s macros, on standard output. */
void help_man(const struct command *root);
