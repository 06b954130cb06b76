#pragma once
/* Which entries of a key-value list become members of an object: those that have a value, and the last one of several
 * with the same key. The work is bounded for hostile lists: O(n log n). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/otlp/otlp_view.h"
#include "util/cleanup.h"

struct otlp_keys {
        uint64_t few;   /* bit per entry, for up to 64 */
        uint64_t *many; /* owned; NULL for up to 64 */
};

/* 0 or -ENOMEM. list is borrowed for the call. */
int otlp_keys_init(struct otlp_keys *k, const struct otlp_pair *list, size_t n);

static inline void otlp_keys_done(struct otlp_keys *k)
{
        free(k->many);
}

static inline bool otlp_keys_shows(const struct otlp_keys *k, size_t i)
{
        return k->many ? k->many[i / 64] >> (i % 64) & 1 : k->few >> i & 1;
}
