#pragma once
/* What the `token` commands share: token.c (the group, hash), token_change.c, token_list.c. */

#include <stdbool.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/tokens/token_file.h"

/* The option that names the token file. */
#define TOKEN_FILE_OPTION                                                                                              \
        {                                                                                                              \
                "tokens-config", "FILE",                                                                               \
                        "the token file, .toml or .yaml [$DETRITUS_TOKENS_CONFIG, else the one in --config]",          \
                        .complete = COMPLETE_FILE                                                                      \
        }

extern const struct command token_add_command, token_rotate_command, token_revoke_command; /* token_change.c */
extern const struct command token_list_command, token_check_command;                       /* token_list.c */

/* Opens the token file that the command line, the environment or the configuration names. CTL_OK, or CTL_FAILED or
 * CTL_USAGE after a message. */
int token_open(const struct ctl *ctl, enum token_file_use use, struct token_file *ret);

/* Reports a failure of a token_file.h function. CTL_FAILED. */
int token_failed(const struct error *err, int r);

/* Prints the value alone; with --json an object with the id (NULL: none) and the value. Leaves no copy of it in memory.
 * 0, -ENOMEM, -EIO. */
int token_print(const struct ctl *ctl, const char *id, const char *key, const char *value);
