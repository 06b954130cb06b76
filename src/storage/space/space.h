#pragma once
/* The disk governor: how much space a data directory has, and who may still use it. A thread of its own looks at the file
 * system; everybody else reads and changes atomics, so a network thread may call all that is not said to block.
 *
 * Invariants:
 *   1. What counts as free is what the last look found, less what was written since, less what is promised.
 *   2. Whoever writes what clients send promises its bytes first; a promise is spent as it is written, or given back.
 *   3. Below the reserve of a kind nothing of that kind is promised, until there is RESUME times as much again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "metrics/metrics.h"
#include "protocol/answer.h"

struct space;

enum space_kind { SPACE_UPLOADS, SPACE_LOGS, SPACE_KIND_MAX_ };

struct space_config {
        int datadir_fd;          /* borrowed */
        struct metrics *metrics; /* borrowed */
        uint64_t full_pause_ns;  /* so long nothing is promised after a write that found the disk full */
        /* What stays free. 0: uploads 1/20 of the disk, at most 1 GiB; logs 1/50, at most 256 MiB. */
        uint64_t reserve_bytes[SPACE_KIND_MAX_];
};

/* Looks for the first time; gives the reserve file up when the disk is so full that a start may need it. 0 or -errno. */
int space_new(const struct space_config *config, struct space **ret);
/* Starts the thread. 0 or -errno. */
int space_start(struct space *s);
void space_stop(struct space *s);          /* ends the thread; the rest still works. NULL-safe */
struct space *space_free(struct space *s); /* NULL-safe */
DEFINE_FREEP(space_free, struct space)

/* May so many bytes be taken? 0, or ANSWER_UNAVAILABLE in *r, which is counted. */
int space_check(struct space *s, enum space_kind kind, uint64_t bytes, struct refusal *r);
/* The same, and on 0 they are kept for the caller: added to *promised. */
int space_promise(struct space *s, enum space_kind kind, uint64_t bytes, uint64_t *promised, struct refusal *r);
/* So many of them are written. */
void space_spend(struct space *s, uint64_t bytes, uint64_t *promised);
/* What was written is about to be deleted again, unused: before that, so that a look in between finds too little and not
 * too much. */
void space_unspend(struct space *s, uint64_t bytes);
/* The rest is not needed. */
void space_give_back(struct space *s, uint64_t *promised);

/* A write somewhere met -ENOSPC or -EDQUOT. NULL-safe. */
void space_saw_full(struct space *s);
/* Frees a portion of the reserve file, for a deletion that met a full disk. True: there is more space than before. Blocks.
 * NULL-safe. */
bool space_give_up_reserve(struct space *s);

bool space_refuses(struct space *s, enum space_kind kind);
/* 0 while anything is taken, else ANSWER_UNAVAILABLE in *r; not counted. For /healthz. */
int space_check_health(struct space *s, struct refusal *r);
/* The same for one kind. */
int space_check_kind(struct space *s, enum space_kind kind, struct refusal *r);

/* One look at the file system; what the thread does. Not beside it. */
void space_look(struct space *s);
