#pragma once
/* New tokens: dt_<id>_<256 bits as base64url>, as auth/verifier.h reads them, and their Argon2id hash; and tokens that are
 * handed in. */

#include <stdio.h>

#include "auth/phc.h"
#include "util/error.h"

#define TOKEN_SECRET_TEXT_SIZE 160 /* "dt_" + an id of 64 bytes + "_" + 43 characters + NUL, with slack */

struct token_secret {
        char text[TOKEN_SECRET_TEXT_SIZE]; /* shown once */
        char phc[PHC_MAX_BYTES];           /* what the token file keeps */
};

/* 0, 1 with words (the id is too long), or -errno. */
int token_secret_new(const char *id, struct token_secret *ret, struct error *err);
void token_secret_done(struct token_secret *s); /* wipes it */

#define TOKEN_SECRET_INPUT_SIZE 4096

/* The first line of `from`, without its end. CTL_OK; CTL_FAILED, said: there is none, or it does not fit. */
int token_secret_read(FILE *from, char ret[TOKEN_SECRET_INPUT_SIZE]);
