#pragma once
/* Repairs what verify.h found, if that is safe, and never deletes evidence of corruption. */

#include "upkeep/verify.h"

#define REPAIR_FINDINGS_MAX 100000 /* repaired in one run; another run repairs the rest */
#define REPAIR_CORRUPT_DIR "corrupt"

enum repair_outcome {
        REPAIR_MENDED,
        REPAIR_GONE,   /* no longer a finding: opening the directory repaired it, as a start does, or it was deleted */
        REPAIR_ASIDE,  /* a corrupt file was set aside, and its content is still missing */
        REPAIR_LEFT,   /* it cannot be repaired; words say why */
        REPAIR_FAILED, /* the repair failed; words say why */
        REPAIR_OUTCOMES_ /* how many there are */
};

/* Findings to repair. Zero-initialised: none. */
struct repair {
        size_t n, dropped; /* dropped: beyond the maximum */
        struct repair_item *items;
};

/* For verify_config.finding, with a struct repair as userdata: keeps a copy. 0 or -ENOMEM. */
int repair_note(void *repair, const struct verify_finding *finding);
void repair_done(struct repair *repair);
/* Calls cb with the i-th of repair->n findings, and returns its result. */
int repair_get(const struct repair *repair, size_t i, int (*cb)(void *userdata, const struct verify_finding *finding),
               void *userdata);

/* Can verify.h have found this? Its path is one that verify.h checks, and nothing outside of those. */
bool repair_knows(const struct verify_finding *finding);

/* how: "counted again", "moved to corrupt/...", or why not. */
typedef void (*repair_cb)(void *userdata, const struct verify_finding *finding, enum repair_outcome outcome,
                          const char *how);
const char *repair_outcome_name(enum repair_outcome outcome);          /* "mended" */
bool repair_outcome_parse(const char *name, enum repair_outcome *ret); /* NULL is none */

/* For whoever may write to the index. live: on the index writer's thread of a running daemon, inside its transaction.
 * Log files are left alone then, because they belong to the log committer. Each finding is checked again before it is
 * repaired. */
void repair_run(struct repair *repair, int datadir_fd, struct index *index, bool live, repair_cb cb, void *userdata);
