#pragma once
/* Group commit of log lines: accepted batches are appended to logs/<project>/<install_id>/<YYYY-MM-DD>.ndjson and made
 * durable together by one sync of the journal (journal.h), or of the few files themselves where that is cheaper; a
 * batch is answered when its lines are durable. One thread owns all log files.
 *
 * Invariants:
 *   1. A batch is in its files whole or not at all: a failed append is cut off again before the next batch.
 *   2. After a failed sync nothing is acknowledged any more (log_committer_failed()).
 *   3. done() runs on the committer's thread and is called exactly once for each accepted batch; it must not block.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/metrics.h"
#include "protocol/source.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/troubles.h"
#include "util/work_queue.h"

struct log_committer;

#define LOG_FILE_TEXT_SIZE 256 /* platform and version in a note: longer ones are cut, at a character, with their NUL */

/* The totals of a file, noted when it is first opened or created, at most every few seconds while it grows, when the
 * day ends, when it leaves the descriptor cache, and at the end. Platform and version are those of the newest batch.
 * Everything is borrowed for the call. */
struct log_file_note {
        struct source source;
        const char *platform;
        const char *version;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes;   /* the file's size */
        uint64_t lines;   /* appended since the last note */
        struct moment at; /* receipt of the newest of them */
};

struct log_committer_config {
        int datadir_fd;            /* borrowed */
        struct metrics *metrics;   /* borrowed */
        struct troubles *troubles; /* borrowed; may be NULL */
        size_t queue_batches;      /* batches that may wait */
        size_t queue_bytes;        /* their bytes */
        unsigned open_files;       /* descriptors kept in the LRU */
        bool sync;                 /* durability: commit; false: answer after write(2) */
        uint64_t journal_bytes;    /* of all segments together; unused without sync */
        /* Called on the committer's thread, while no request waits for it; must not block. It returns 0 when it took
         * the note; otherwise the same totals are offered again later, or dropped if the file is being closed. May be
         * NULL. */
        int (*note)(void *userdata, const struct log_file_note *note);
        void *note_userdata;
};

/* First in everything that is queued; the committer's alone, need not be initialised. */
struct log_work {
        struct work item; /* weight: bytes */
        enum { LOG_WORK_BATCH, LOG_WORK_UNLINK, LOG_WORK_BARRIER } kind;
        enum { LOG_WORK_QUEUED = 1, LOG_WORK_ANSWERED } state;
};

/* The lines of one source within a batch. */
struct log_append {
        struct source source;
        const char *platform; /* borrowed until done() */
        const char *version;
        const uint8_t *data; /* whole lines; borrowed until done() */
        size_t len;
        unsigned lines;
};

struct log_batch {
        struct log_work work;
        /* Without an owner, called for each batch alone. Batches with the same owner all have the same done(), which is
         * called for a list (by next) of those in one group, in the order they were submitted. */
        void (*done)(struct log_batch *batches);
        void *owner;
        size_t n_appends;
        struct log_append *appends; /* borrowed until done() */
        int result;                 /* set before done(): 0 durable; -errno: not acknowledged, see below */
        struct log_batch *next;     /* the committer's; in done() the owner's next batch */
};

/* A batch's result. 0: durable (config.sync), or written. -EIO: a sync failed; whether its lines survive is unknown,
 * and the store takes nothing more. -EROFS: a sync had failed before. Any other -errno (-ENOSPC, -EMFILE, ...): nothing
 * of it was kept, and later batches may succeed. */

/* Starts the thread. What an earlier one left in the journal must have been recovered (log_recovery.h). 0 or -errno. */
int log_committer_new(const struct log_committer_config *config, struct log_committer **ret);
/* Commits what is queued and checkpoints, then stops. NULL-safe. */
struct log_committer *log_committer_free(struct log_committer *c);
DEFINE_FREEP(log_committer_free, struct log_committer)

/* 0: the committer has it until done(). WORK_QUEUE_FULL, WORK_QUEUE_CLOSED, or -EROFS after a failed sync: still the
 * caller's. Any thread. */
int log_committer_submit(struct log_committer *c, struct log_batch *batch);

/* The same for a list of batches: *ret_rest is what is still the caller's, from the first one not taken, and the result
 * says why. */
int log_committer_submit_list(struct log_committer *c, struct log_batch *list, struct log_batch **ret_rest);

bool log_committer_failed(const struct log_committer *c);
size_t log_committer_depth(const struct log_committer *c);

/* Unlinks a day's file, what it was compressed to (<file>.zst) and what was set aside from it (<file>.torn), then the
 * source's directories if they are empty. The committer's thread does it, so that no open descriptor outlives its file.
 * Today's file goes, too, with the batches submitted before.
 *
 * With only_plain just the plain file goes, because its lines are in the compressed one now, and only while it has
 * plain_bytes (else -EBUSY). If the plain file is gone already, somebody deleted the whole day meanwhile: then the
 * compressed file goes, too, and the result is -ENOENT.
 *
 * done() gets 0, -ENOENT, -errno, or -EROFS after a failed sync. Returns as submit does. */
struct log_unlink {
        struct log_work work;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        bool only_plain;
        uint64_t plain_bytes;
        void (*done)(struct log_unlink *u, int result);
        int result; /* the committer's */
};
int log_committer_unlink(struct log_committer *c, struct log_unlink *u);

/* Waits until all that was submitted before has been answered, and the note of each file that it began has been given.
 * 0;
 * -EAGAIN: the committer takes no work now; -EROFS or -EIO: a sync failed. Any thread but the committer's. */
int log_committer_barrier(struct log_committer *c);
