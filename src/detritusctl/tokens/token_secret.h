#pragma once
/* New tokens: dt_<id>_<256 bits as base64url>, as auth/verifier.h reads them, with their Argon2id hash; and tokens that
 * people enter. */

#include <stdio.h>

#include "auth/phc.h"
#include "util/error.h"

#define TOKEN_SECRET_TEXT_SIZE 160 /* "dt_" + an id of 64 bytes + "_" + 43 characters + NUL, with slack */

struct token_secret {
        char text[TOKEN_SECRET_TEXT_SIZE]; /* printed once */
        char phc[PHC_MAX_BYTES];           /* what the token file has */
};

/* Does an id fit into a token that clients can send? The file format allows more, which stays readable. But a token
 * dt_<id>_... has to get through headers, URLs, shells and configuration files. NULL: it does; else why not, in words,
 * in ret. */
#define TOKEN_SECRET_IDS "1 to 64 bytes of A-Z a-z 0-9 . _ ~ -"
#define TOKEN_SECRET_WHY_SIZE 32
const char *token_secret_id_problem(const char *id, char ret[TOKEN_SECRET_WHY_SIZE]);

/* 0, 1 with err (the id is too long), or -errno. */
int token_secret_new(const char *id, struct token_secret *ret, struct error *err);
void token_secret_done(struct token_secret *s); /* wipes it */

#define TOKEN_SECRET_INPUT_SIZE 4096

/* Reads the first line of `from`, without its line break. CTL_OK, or CTL_FAILED after a message: it is empty or too
 * long. */
int token_secret_read(FILE *from, char ret[TOKEN_SECRET_INPUT_SIZE]);
