#include "util/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES ((size_t)64 * 1024)
#define KEEP_BLOCKS 16 /* 1 MiB over resets: what a large export needs; its pages stay mapped */
#define ALIGN ((size_t)16)

struct block {
        struct block *next;
        size_t size; /* of bytes */
        _Alignas(16) uint8_t bytes[];
};

struct arena {
        size_t max_bytes;
        size_t used_bytes; /* over all blocks */
        struct block *first, *current;
        size_t offset; /* into current */
        bool full;     /* something was refused for the limit */
};

struct arena *arena_new(size_t max_bytes)
{
        struct arena *a = calloc(1, sizeof(*a));
        if (a)
                a->max_bytes = max_bytes;
        return a;
}

static void drop_blocks(struct block *b)
{
        while (b) {
                struct block *next = b->next;
                free(b);
                b = next;
        }
}

struct arena *arena_free(struct arena *a)
{
        if (!a)
                return NULL;
        drop_blocks(a->first);
        free(a);
        return NULL;
}

/* Makes a block with room for n bytes the current one: the next kept block, or a new one before it. */
static int next_block(struct arena *a, size_t n)
{
        struct block **link = a->current ? &a->current->next : &a->first;
        struct block *b = *link;
        if (!b || b->size < n) {
                size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
                b = malloc(sizeof(*b) + size);
                if (!b)
                        return -1;
                b->next = *link;
                b->size = size;
                *link = b;
        }
        a->current = b;
        a->offset = 0;
        return 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
        assert(a->used_bytes <= a->max_bytes);
        size_t left = a->max_bytes - a->used_bytes;
        size_t rounded = n == 0 ? ALIGN : (n + ALIGN - 1) & ~(ALIGN - 1);
        if (n > SIZE_MAX / 2 || rounded > left) {
                a->full = true;
                return NULL;
        }
        n = rounded;
        if (!a->current || a->current->size - a->offset < n) {
                if (next_block(a, n) < 0)
                        return NULL;
        }
        void *p = a->current->bytes + a->offset;
        a->offset += n;
        a->used_bytes += n;
        return p;
}

bool arena_is_full(const struct arena *a)
{
        return a->full;
}

void arena_reset(struct arena *a)
{
        struct block **link = &a->first;
        for (size_t kept = 0; *link && kept < KEEP_BLOCKS;) {
                struct block *b = *link;
                if (b->size > BLOCK_BYTES) { /* a large request must not keep its memory */
                        *link = b->next;
                        free(b);
                } else {
                        link = &b->next;
                        kept++;
                }
        }
        drop_blocks(*link);
        *link = NULL;
        a->current = NULL;
        a->offset = 0;
        a->used_bytes = 0;
        a->full = false;
}
