#pragma once
/* The log journal: what makes a group of log lines durable by one sync, whatever number of files it touches. Lines are
 * appended to their files first, without a sync; then they are committed here, and answered. A checkpoint syncs the
 * files and frees the segments; after a crash log_recovery.c brings the lines back.
 *
 * A segment (journal/<n>.wal, format in journal_frame.h) is free, active (being written), full, or being retired by a
 * checkpoint. It grows when first used and is written over afterwards, since that syncs faster and cannot meet a full
 * disk.
 *
 * The committer's thread, but for journal_retire(): the checkpoint's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/logs/journal_frame.h"
#include "storage/logs/log_committer.h"
#include "util/cleanup.h"

#define JOURNAL_SEGMENTS 4

struct journal;

/* Makes journal/ when missing. Every segment there must be free: recover first. `bytes` bounds all segments together;
 * on a small file system it is less (a sixteenth of it). 0 or -errno. */
int journal_open(int datadir_fd, uint64_t bytes, struct journal **ret);
struct journal *journal_free(struct journal *j); /* NULL-safe; keeps what is on disk */
DEFINE_FREEP(journal_free, struct journal)
void journal_begin(struct journal *j); /* the calling thread is the committer's from now on */

/* The most bytes of lines that fit into one commit of that many appends. */
uint64_t journal_room(const struct journal *j, size_t appends);

/* What the next commit is to hold, in order. Appends and their lines are borrowed until it is over. Memory for that
 * many records must have been reserved: 0 or -ENOMEM. */
int journal_reserve(struct journal *j, size_t records);
void journal_stage(struct journal *j, const struct log_append *a,
                   uint64_t offset); /* where its lines begin in the file */
void journal_stage_forget(struct journal *j, const struct log_unlink *u);
size_t journal_staged(const struct journal *j);
void journal_unstage(struct journal *j, size_t n); /* back to the first n */

/* Makes what is staged durable and clears it; `day` is that of all its files. 0.
 * JOURNAL_FULL: no segment is free; nothing was done: seal, checkpoint, try again.
 * JOURNAL_BROKEN: a write or the sync failed, and the journal cannot be trusted any more; logged.
 * -ENOSPC, -EDQUOT, -ENOMEM, …: nothing was committed, and it may succeed later. */
enum { JOURNAL_FULL = 1, JOURNAL_BROKEN };
int journal_commit(struct journal *j, const char *day);

bool journal_has_frames(const struct journal *j); /* that no checkpoint has begun on */
bool journal_has_full(const struct journal *j);   /* a whole segment of such: time for one */
bool journal_is_live(const struct journal *j);    /* anything that a recovery would bring back */
/* Everything committed up to now is to be retired once the files are synced; another seal may come before that. */
void journal_seal(struct journal *j);
/* The files of everything that was sealed are durable: frees those segments. 0; or -errno: they stay, as if they were
 * live. */
int journal_retire(struct journal *j);

/* The live segments, the oldest first, for reading while no checkpoint runs. Returns how many. */
struct journal_live {
        unsigned slot;
        int fd; /* borrowed */
        uint64_t generation;
};
unsigned journal_list_live(const struct journal *j, struct journal_live ret[JOURNAL_SEGMENTS]);

/* What recovery needs of a segment. */
#define JOURNAL_PATH_SIZE 24
void journal_path(unsigned slot, char ret[JOURNAL_PATH_SIZE]);        /* "journal/<n>.wal" */
int journal_open_segment(int datadir_fd, unsigned slot, int *ret_fd); /* 0, -ENOENT, -errno */
int journal_read_head(int fd, struct journal_segment *ret);           /* 0, -errno, JOURNAL_NOT, JOURNAL_NEWER */
int journal_free_segment(int fd, uint64_t generation); /* writes a head that says so and syncs it; 0 or -errno */
