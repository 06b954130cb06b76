#pragma once
/* What the commands of the token family share: token.c (the file, secrets, hash), token_change.c, token_list.c. */

#include <stdbool.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/tokens/token_file.h"

/* The option that names the token file. */
#define TOKEN_FILE_OPTION                                                                                              \
        {                                                                                                              \
                "tokens-config", "FILE",                                                                               \
                        "the token file, .toml or .yaml [$DETRITUS_TOKENS_CONFIG, else what --config names]",          \
                        .complete = COMPLETE_FILE                                                                      \
        }

extern const struct command token_add_command, token_rotate_command, token_revoke_command; /* token_change.c */
extern const struct command token_list_command, token_check_command;                       /* token_list.c */

/* The token file that the command, the environment or the configuration names (token_file_open()). CTL_OK, or what went
 * wrong was said. */
int token_open(const struct ctl *ctl, enum token_file_use use, struct token_file *ret);

/* What of a failure of token_file.h is to be said. CTL_FAILED. */
int token_failed(const struct error *err, int r);

/* The value alone; with --json one object that names it, and the id (NULL: none). It is wiped from where it was put
 * together. 0, -ENOMEM, -EIO. */
int token_print(const struct ctl *ctl, const char *id, const char *key, const char *value);
