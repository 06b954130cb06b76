/* The token itself carries the time of its last note, so that the common case is one load. Whoever moves that time on
 * makes the note. What cannot be written is lost: the token's next use after the interval makes another. */
#include "auth/token_use.h"

#include <errno.h>
#include <string.h>

#include "storage/index/index_write.h"
#include "storage/writer/index_notes.h"
#include "util/clock.h"

#define INTERVAL_NS (TOKEN_USE_INTERVAL_SECS * UINT64_C(1000000000))

struct use {
        struct index_note note;
        struct moment at;
        char id[];
};

struct token_use {
        struct index_notes *notes;
};

static int write_use(struct index *index, const struct index_note *note)
{
        const struct use *use = container_of(note, const struct use, note);
        return index_upsert_token_use(index, use->id, use->at);
}

static void merge(struct index_note *into, const struct index_note *note, bool newer)
{
        if (newer)
                container_of(into, struct use, note)->at = container_of(note, const struct use, note)->at;
}

int token_use_new(struct index_writer *index, struct token_use **ret)
{
        _cleanup_(freep) struct token_use *u = calloc(1, sizeof(*u));
        const struct index_notes_config config = {
                .index = index, .pending_max = TOKEN_USE_PENDING_MAX, .write = write_use, .merge = merge
        };
        int r = u ? index_notes_new(&config, &u->notes) : -ENOMEM;
        if (r == 0)
                *ret = TAKE_PTR(u);
        return r;
}

struct token_use *token_use_free(struct token_use *u)
{
        if (!u)
                return NULL;
        index_notes_free(u->notes);
        free(u);
        return NULL;
}

static void add(struct token_use *u, const char *id)
{
        size_t size = strlen(id) + 1;
        struct use *use = calloc(1, sizeof(*use) + size);
        if (!use)
                return;
        use->at = clock_now();
        memcpy(use->id, id, size);
        use->note.key = use->id;
        if (index_notes_put(u->notes, &use->note) < 0)
                free(use);
}

void token_use_note(struct token_use *u, const struct token *token)
{
        if (!u)
                return;
        uint_fast64_t now = clock_monotonic_ns(), noted = atomic_load_explicit(token->noted_ns, memory_order_relaxed);
        if (noted != 0 && now - noted < INTERVAL_NS)
                return;
        if (atomic_compare_exchange_strong_explicit(token->noted_ns, &noted, now, memory_order_relaxed,
                                                    memory_order_relaxed))
                add(u, token->id);
}
