#pragma once
/* A bump allocator with a ceiling: what one request may use. Freed as a whole. Not thread-safe. */

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* max_bytes: the sum of all allocations ever live, rounding included. NULL on ENOMEM. */
struct arena *arena_new(size_t max_bytes);
struct arena *arena_free(struct arena *a); /* NULL-safe, returns NULL */

/* 16-byte aligned, not zeroed. NULL past the ceiling or on ENOMEM. */
void *arena_alloc(struct arena *a, size_t n);

/* Has the ceiling been met since the last reset? Else a NULL was want of memory. */
bool arena_is_full(const struct arena *a);

/* Forgets all allocations; keeps up to 1 MiB of blocks for the next request. */
void arena_reset(struct arena *a);
