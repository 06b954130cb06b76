#pragma once
/* When each token was last shown and found good, kept in the index (token_use) so that people see which tokens are
 * idle. A token in use is written at most once a minute, by a note that nothing waits for (index_notes.h). */

#include "auth/tokens.h"
#include "storage/writer/index_writer.h"
#include "util/cleanup.h"

/* How long a token's uses after a written one go unwritten. */
#define TOKEN_USE_INTERVAL_SECS 60
/* Notes that may wait for the index writer; more are dropped, and made again after the interval. */
#define TOKEN_USE_PENDING_MAX 8192

struct token_use;

/* The index writer is borrowed, and must outlive it. 0 or -errno. */
int token_use_new(struct index_writer *index, struct token_use **ret);
/* Writes what is pending first. No more notes. NULL-safe. */
struct token_use *token_use_free(struct token_use *u);
DEFINE_FREEP(token_use_free, struct token_use)

/* Any thread; blocks for no I/O, and does next to nothing but once an interval. u may be NULL: nobody keeps it. */
void token_use_note(struct token_use *u, const struct token *token);
