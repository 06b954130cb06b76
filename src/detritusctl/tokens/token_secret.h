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

/* 0, 1 with err (the id is too long), or -errno. */
int token_secret_new(const char *id, struct token_secret *ret, struct error *err);
void token_secret_done(struct token_secret *s); /* wipes it */

#define TOKEN_SECRET_INPUT_SIZE 4096

/* Reads the first line of `from`, without its line break. CTL_OK, or CTL_FAILED after a message: it is empty or too
 * long. */
int token_secret_read(FILE *from, char ret[TOKEN_SECRET_INPUT_SIZE]);
