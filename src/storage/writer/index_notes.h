#pragma once
/* Notes on their way into the index that nobody waits for: gathered by key in a bounded table, written in short jobs of
 * the index writer. A later note of the same key is merged with the one that waits. A lost note only makes its table
 * trail. */

#include <stdbool.h>
#include <stddef.h>

#include "storage/writer/index_writer.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* First in the user's struct, from malloc(). */
struct index_note {
        const char *key; /* in the same struct */
        UT_hash_handle hh;
};

struct index_notes_config {
        struct index_writer *index; /* borrowed; outlives the notes */
        size_t pending_max;
        /* On the index writer's thread, inside its transaction. 0 or -errno. */
        int (*write)(struct index *index, const struct index_note *note);
        /* Adds `note`, which is dropped then, to one of the same key. newer: it is, else it is the older one. */
        void (*merge)(struct index_note *into, const struct index_note *note, bool newer);
};

struct index_notes;

/* 0 or -errno. */
int index_notes_new(const struct index_notes_config *config, struct index_notes **ret);
/* Writes what is pending first, unless the index fails. No more notes. NULL-safe. */
struct index_notes *index_notes_free(struct index_notes *n);
DEFINE_FREEP(index_notes_free, struct index_notes)

/* Takes the note on 0, else it stays the caller's: -EAGAIN while too many wait, -ENOMEM. Any thread; blocks for no I/O.
 * */
int index_notes_put(struct index_notes *n, struct index_note *note);
/* Writes what is pending now, as far as the index takes it, and waits for that. Not on the index writer's thread. */
void index_notes_flush(struct index_notes *n);
