#pragma once
/* The token file: who may write what. A token set is immutable and reference-counted; a reload makes a new one.
 * Format: docs/protocol.md "Authentication". */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/source.h"
#include "util/cleanup.h"
#include "util/error.h"

struct token {
        char *id;     /* for logs and metrics */
        char *secret; /* PHC string */
        char *project;
        char *source_prefix; /* of "<project>/<install_id>" */
        bool url_key;        /* may ride in a URL */
        /* token_use.h's: when its use was noted last, monotonic; 0: never. Not the set's, so that it may change. */
        atomic_uint_fast64_t *noted_ns;
};

struct tokens_rate_limit {
        unsigned logs_per_minute;    /* 1000 */
        unsigned logs_burst;         /* 200 */
        unsigned crashes_per_minute; /* 30 */
        unsigned crashes_burst;      /* 5 */
};

struct tokens {
        _Atomic unsigned refs;
        size_t n;
        struct token *list;
        struct tokens_rate_limit rate_limit;
};

/* Strict: unknown keys, duplicate ids, an empty list, a bad PHC string, an id over 64 bytes or with control characters,
 * a project that is not a path component, and a `schema` table ("schemas are not supported yet") are refused with
 * "<path>:<line>: reason". A file readable by group or others is a logged warning. 0, TOKENS_REFUSED, or -errno with
 * words. The caller gets one reference. */
enum { TOKENS_REFUSED = 1 };
int tokens_read(const char *path, struct tokens **ret, struct error *err);

struct tokens *tokens_ref(struct tokens *t);
struct tokens *tokens_unref(struct tokens *t); /* NULL-safe, returns NULL; any thread */
DEFINE_FREEP(tokens_unref, struct tokens)

/* Project equal (compared in constant time) and canonical source starting with source_prefix. */
bool tokens_permit(const struct token *t, const struct source *s);

/* Is there any source of its project that begins with source_prefix? */
bool tokens_can_write(const struct token *t);
