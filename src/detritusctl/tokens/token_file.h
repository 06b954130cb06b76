#pragma once
/* Edits the token file: adds one entry, replaces one hash, or removes the lines of one entry, and leaves every other
 * byte as it is, comments above all. The result is read as the daemon reads it and compared with what was intended
 * before it replaces the file, so a layout that is not understood is refused, not damaged.
 *
 * While a struct token_file is open for a change, other changes wait: the directory that holds the file is locked. */

#include <stdbool.h>

#include "auth/tokens.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"

struct token_file {
        char *path; /* without symbolic links, so that those stay */
        int directory_fd;
        bool is_toml, is_new;
        struct buf text;
        struct tokens *tokens; /* NULL when it is new */
};

/* The functions return 0, TOKEN_FILE_REFUSED with err, or -errno (err may say more). */
enum { TOKEN_FILE_REFUSED = 1 };

/* Locks, except for TOKEN_FILE_READ, and reads. TOKEN_FILE_CREATE: a file that does not exist counts as empty. */
enum token_file_use { TOKEN_FILE_READ, TOKEN_FILE_CHANGE, TOKEN_FILE_CREATE };
int token_file_open(const char *path, enum token_file_use use, struct token_file *ret, struct error *err);
void token_file_done(struct token_file *f); /* zero-initialised with directory_fd -1 is fine */

const struct token *token_file_find(const struct token_file *f, const char *id); /* NULL: there is none */

/* These write the file: atomically, with the mode and the owner that it had (0600 and ours when it is new). */
int token_file_add(struct token_file *f, const struct token *token, struct error *err);
int token_file_exchange(struct token_file *f, const char *id, const char *phc, struct error *err);
int token_file_remove(struct token_file *f, const char *id, struct error *err);
