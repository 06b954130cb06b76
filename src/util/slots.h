#pragma once
/* How many of something there are, in all and by key, with a limit for each: connections by address, uploads by source.
 * Any thread; takes a short lock. */

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct slots;

struct slots *slots_new(unsigned max_total, unsigned max_per_key); /* NULL on ENOMEM */
struct slots *slots_free(struct slots *s);                         /* NULL-safe */
DEFINE_FREEP(slots_free, struct slots)

/* False when the limit is reached; then nothing is taken. */
bool slots_take(struct slots *s);
void slots_give(struct slots *s);

/* Likewise for the key's own limit; the total is not touched. False also when memory is out. key is copied. */
bool slots_take_key(struct slots *s, const void *key, size_t len);
void slots_give_key(struct slots *s, const void *key, size_t len);
