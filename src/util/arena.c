#include "util/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES ((size_t)64 * 1024)
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

static int add_block(struct arena *a, size_t n)
{
        size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct block *b = malloc(sizeof(*b) + size);
        if (!b)
                return -1;
        b->next = NULL;
        b->size = size;
        if (a->current)
                a->current->next = b;
        else
                a->first = b;
        a->current = b;
        a->offset = 0;
        return 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
        if (n > a->max_bytes)
                return NULL;
        n = n == 0 ? ALIGN : (n + ALIGN - 1) & ~(ALIGN - 1);
        if (n > a->max_bytes - a->used_bytes)
                return NULL;
        if (!a->current || a->current->size - a->offset < n) {
                if (add_block(a, n) < 0)
                        return NULL;
        }
        void *p = a->current->bytes + a->offset;
        a->offset += n;
        a->used_bytes += n;
        return p;
}

void arena_reset(struct arena *a)
{
        if (!a->first)
                return;
        drop_blocks(a->first->next);
        a->first->next = NULL;
        a->current = a->first;
        a->offset = 0;
        a->used_bytes = 0;
        if (a->first->size > BLOCK_BYTES) { /* one outsized request must not keep its memory */
                free(a->first);
                a->first = a->current = NULL;
        }
}
