#pragma once
/* JSON files of crashes that wait for the disk together. Zero-initialised and embedded; not small. One thread. */

#include "storage/blobs/draft.h"
#include "storage/crashes/mirror.h"

#define MIRROR_BATCH_MAX 256 /* each is an open file */

struct mirror_batch {
        size_t n;
        struct {
                struct draft file;
                char path[MIRROR_PATH_SIZE];
        } files[MIRROR_BATCH_MAX];
};

/* Writes one, without a name and unsynced. There must be room. 0 or -errno. */
int mirror_batch_add(struct mirror_batch *b, struct draft_dir *drafts, const struct index_crash *crash);
/* Gives all of them their names, unsynced, and empties the batch. Their contents must be durable: draft_sync_all(). 0
 * or -errno; then some have theirs. */
int mirror_batch_link(struct mirror_batch *b);
/* What has no name yet is gone. */
void mirror_batch_done(struct mirror_batch *b);
