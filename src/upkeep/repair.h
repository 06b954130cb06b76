#pragma once
/* Mends what verify.h found, where that is safe, and never deletes evidence of corruption. */

#include "upkeep/verify.h"

#define REPAIR_FINDINGS_MAX 100000 /* mended in one run; a further run mends the rest */
#define REPAIR_CORRUPT_DIR "corrupt"

enum repair_outcome {
        REPAIR_MENDED,
        REPAIR_GONE,     /* it is no more: opening the directory, as a start does, mended it, or it was deleted */
        REPAIR_ASIDE,    /* what is corrupt was set aside, and is still wanting */
        REPAIR_LEFT,     /* it cannot be mended; why is in words */
        REPAIR_FAILED,   /* it should have been; why is in words */
        REPAIR_OUTCOMES_ /* how many there are */
};

/* Findings to be mended: zero-initialise. */
struct repair {
        size_t n, dropped; /* dropped: beyond the maximum */
        struct repair_item *items;
};

/* As verify_config.finding, userdata a struct repair: keeps a copy. 0 or -ENOMEM. */
int repair_note(void *repair, const struct verify_finding *finding);
void repair_done(struct repair *repair);
/* Hands the i-th of repair->n to cb again. cb's result. */
int repair_get(const struct repair *repair, size_t i, int (*cb)(void *userdata, const struct verify_finding *finding),
               void *userdata);

/* Can there be such a finding? Its path is one that verify.h would look at, and nothing outside. */
bool repair_knows(const struct verify_finding *finding);

/* how: "counted anew", "renamed to corrupt/...", or why not. */
typedef void (*repair_cb)(void *userdata, const struct verify_finding *finding, enum repair_outcome outcome,
                          const char *how);
const char *repair_outcome_name(enum repair_outcome outcome);          /* "mended" */
bool repair_outcome_parse(const char *name, enum repair_outcome *ret); /* NULL is none */

/* Whoever may write the index. live: on the index writer's thread of a running daemon, inside its transaction; log files
 * are then left alone, since they are the log committer's. What was found is looked at again before it
 * is mended. */
void repair_run(struct repair *repair, int datadir_fd, struct index *index, bool live, repair_cb cb, void *userdata);
