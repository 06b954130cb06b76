#pragma once
/* What index_batch.c (rows) and index_publish.c (files) share of a batch. */

#include <assert.h>
#include <string.h>

#include "storage/writer/index_batch.h"

enum entry_state {
        ENTRY_PENDING,
        ENTRY_INDEXED,
        ENTRY_KNOWN,  /* in the index before this batch */
        ENTRY_REPEAT, /* of an earlier report in this batch */
        ENTRY_FAILED,
};

struct entry {
        struct crash_report *report;
        enum entry_state state;
        int64_t known_id;
        struct index_blob_use *uses; /* the dump, then the attachments */
        size_t published;            /* how many of them have a name */
        struct draft mirror;         /* its content, unless it has to be written later */
};

struct batch {
        const struct index_batch_disk *disk;
        bool together; /* one sync for all files, instead of one for each */
        bool durable;  /* the blobs of all that is pending, under their names */
        size_t n;
        struct entry entries[INDEX_BATCH_MAX];
};

/* The allowed moves: from pending to each other state, back to it when the transaction is done again, and to failed
 * when it is not. What was known before, and what failed, stays so. */
static inline void entry_move(struct entry *e, enum entry_state to)
{
        bool uncommitted = e->state == ENTRY_INDEXED || e->state == ENTRY_REPEAT;
        assert(e->state == ENTRY_PENDING ? to != ENTRY_PENDING
                                         : uncommitted && (to == ENTRY_PENDING || to == ENTRY_FAILED));
        e->state = to;
}

static inline void entry_fail(struct entry *e, int error)
{
        assert(error < 0);
        entry_move(e, ENTRY_FAILED);
        e->report->result = error;
}

static inline struct index_crash entry_crash(const struct entry *e)
{
        return (struct index_crash){
                .metadata = e->report->metadata,
                .received_at = e->report->received_at,
                .dump = e->uses[0],
                .n_attachments = e->report->n_attachments,
                .attachments = e->uses + 1,
        };
}

/* Makes the blobs of all new reports durable under their names, and the contents of their mirrors; finds those that the
 * index knows. What fails fails its report. < 0: final. */
int index_publish_blobs(struct batch *b);

/* Gives the mirrors of what was indexed their names, unsynced, and brings back those that are missing of what was
 * known. What fails is a warning. < 0: final; the rows are durable all the same. */
int index_publish_mirrors(struct batch *b);
