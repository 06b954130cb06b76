#pragma once
/* The one thread that writes SQLite, publishes blobs and writes mirrors. Jobs come in a bounded queue, are gathered
 * into one transaction per batch, and are answered when that transaction is durable.
 *
 * Invariants; the index's thread, and the order of 2, are asserted:
 *   1. Only this thread calls blob_writer_link() and blob_unlink(), so dedup and deletion cannot race.
 *   2. Every blob is durable under its name before a row names it; a row is durable before done() says 0.
 *   3. done() runs on this thread, once per accepted job; it must not block.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "metrics/metrics.h"
#include "storage/blobs/blob.h"
#include "storage/index/index.h"
#include "util/troubles.h"
#include "util/work_queue.h"

struct index_writer;

struct index_writer_config {
        int datadir_fd;            /* borrowed */
        struct blob_store *blobs;  /* borrowed */
        struct metrics *metrics;   /* borrowed */
        struct troubles *troubles; /* borrowed; may be NULL */
        struct space *space;       /* borrowed; space_saw_full() when the disk is full. May be NULL */
        /* Borrowed; set when files and rows differ until the check after an unclean stop (reconcile.h): a JSON file
         * could not be written, or a blob that no row names not be removed. */
        atomic_bool *untidy;
        size_t queue_reports; /* reports that may wait; the few jobs of our own have room beside them */
};

/* Takes the index (already migrated) and starts the thread. 0, or -errno: the index is still the caller's. */
int index_writer_new(const struct index_writer_config *config, struct index *index, struct index_writer **ret);
/* Finishes what is queued, stops the thread, closes the index. NULL-safe. */
struct index_writer *index_writer_free(struct index_writer *w);
DEFINE_FREEP(index_writer_free, struct index_writer)

/* A file received: its writer is finished. */
struct crash_file {
        struct blob_writer *blob; /* owned by the report */
        char *key;                /* attachments only; owned, as are the next three */
        char *filename;           /* NULL: none */
        char *content_type;
        char *content_encoding; /* NULL: none */
};

/* What the queue holds; the writer fills it. */
struct index_work {
        struct work work;
        enum { INDEX_WORK_REPORT, INDEX_WORK_JOB } kind;
};

/* One report on its way to disk. The submitter fills it, the writer answers in result and dedup, and the submitter
 * frees it in (or after) done. */
struct crash_report {
        struct index_work queued;
        void (*done)(struct crash_report *report);
        void *userdata;                  /* the submitter's */
        struct crash_metadata *metadata; /* owned */
        struct crash_file dump;
        size_t n_attachments;
        struct crash_file *attachments; /* owned array */
        struct moment received_at;
        int result; /* 0: durable; -errno: nothing of it is indexed */
        bool dedup; /* the dump's blob, or the whole report, was there before */
};

struct crash_report *crash_report_free(struct crash_report *r); /* NULL-safe */
DEFINE_FREEP(crash_report_free, struct crash_report)

/* Takes the report on 0. WORK_QUEUE_FULL or WORK_QUEUE_CLOSED: still the caller's. Any thread. */
int index_writer_submit(struct index_writer *w, struct crash_report *r);

/* A small job of another kind, in a transaction of its own: retention's, and notes (index_notes.h). run() returns 0 to
 * commit, else the transaction is rolled back; done() is called with the outcome. Both run on the writer's thread. */
struct index_job {
        struct index_work queued;
        int (*run)(struct index_job *job, struct index *index);
        void (*done)(struct index_job *job, int result);
        bool write_back; /* the WAL first, for a deletion of which an earlier try met a full disk */
};
int index_writer_submit_job(struct index_writer *w, struct index_job *job);
/* What was deleted is to leave the WAL, too: it is emptied after the next job, or as soon as no reader needs it. Any
 * thread. */
void index_writer_want_empty_wal(struct index_writer *w);

/* How many transactions have been committed, jobs' too. Any thread. */
unsigned index_writer_commits(const struct index_writer *w);
/* True once a write failed in a way that is not a full disk: no report is acknowledged any more. Any thread. */
bool index_writer_failed(const struct index_writer *w);
size_t index_writer_depth(const struct index_writer *w);

/* For what waits for the index writer: it would wait for ever on the writer's own thread. */
void index_writer_assert_elsewhere(const struct index_writer *w);
