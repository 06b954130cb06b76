#pragma once
/* The disk governor: how much space a data directory has, and who may still use it. A thread of its own looks at the
 * file system. All other threads read and change atomics, so a network thread may call whatever is not marked as
 * blocking.
 *
 * Invariants:
 *   1. Free is what the last look found, less what was written since, less what is promised.
 *   2. Before somebody writes what clients send, its bytes are promised. A promise is spent by the write, or given
 *      back; nobody spends more than that.
 *   3. Below the reserve of a kind nothing of that kind is promised, until a quarter more than the reserve is free.
 *   4. One thread at a time looks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "metrics/metrics.h"
#include "protocol/answer.h"

struct space;

enum space_kind { SPACE_UPLOADS, SPACE_LOGS, SPACE_KIND_MAX_ };

struct space_config {
        int datadir_fd;            /* borrowed */
        struct metrics *metrics;   /* borrowed */
        struct troubles *troubles; /* borrowed; may be NULL. A look also looks for what is denied (denied.h) */
        uint64_t full_pause_ns;    /* how long nothing is promised after a write found the disk full */
        /* How much stays free. 0: uploads 1/20 of the disk, at most 1 GiB; logs 1/50, at most 256 MiB. */
        uint64_t reserve_bytes[SPACE_KIND_MAX_];
};

/* Looks for the first time. Gives up most of the reserve file if the disk is so full that a start may need it. 0 or
 * -errno. */
int space_new(const struct space_config *config, struct space **ret);
/* Starts the thread. 0 or -errno. */
int space_start(struct space *s);
void space_stop(struct space *s);          /* ends the thread; the rest still works. NULL-safe */
struct space *space_free(struct space *s); /* NULL-safe */
DEFINE_FREEP(space_free, struct space)

/* Is there room for that many bytes? 0, or ANSWER_UNAVAILABLE in *r, which is counted. */
int space_check(struct space *s, enum space_kind kind, uint64_t bytes, struct refusal *r);
/* The same, and on 0 they are kept for the caller and added to *promised. */
int space_promise(struct space *s, enum space_kind kind, uint64_t bytes, uint64_t *promised, struct refusal *r);
/* That many of the promised bytes are written. */
void space_spend(struct space *s, uint64_t bytes, uint64_t *promised);
/* Written bytes are about to be deleted, unused. Call it before deleting, so that a look in between finds too little
 * space and not too much. */
void space_unspend(struct space *s, uint64_t bytes);
/* The rest of the promise is not needed. */
void space_give_back(struct space *s, uint64_t *promised);

/* A write somewhere failed with -ENOSPC or -EDQUOT. NULL-safe. */
void space_saw_full(struct space *s);
/* Frees a portion of the reserve file, for a deletion that found the disk full. True: there is more space than before.
 * Blocks. NULL-safe. */
bool space_give_up_reserve(struct space *s);

bool space_refuses(struct space *s, enum space_kind kind);
/* 0 while at least one kind is accepted, else ANSWER_UNAVAILABLE in *r; not counted. For /healthz. */
int space_check_health(struct space *s, struct refusal *r);
/* The same for one kind. */
int space_check_kind(struct space *s, enum space_kind kind, struct refusal *r);

/* One look at the file system. While the thread runs, only the thread. */
void space_look(struct space *s);
