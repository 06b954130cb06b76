#pragma once
/* A bump allocator with a limit: what one request may use. Freed as a whole. Not thread-safe. */

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* max_bytes: of all allocations since the last reset, including rounding. NULL on ENOMEM. */
struct arena *arena_new(size_t max_bytes);
struct arena *arena_free(struct arena *a); /* NULL-safe, returns NULL */

/* 16-byte aligned, not zeroed. NULL above the limit or on ENOMEM. */
void *arena_alloc(struct arena *a, size_t n);

/* Was something refused for the limit since the last reset? If not, a NULL means ENOMEM. */
bool arena_is_full(const struct arena *a);

/* Forgets all allocations; keeps up to 1 MiB of blocks for the next request. */
void arena_reset(struct arena *a);
