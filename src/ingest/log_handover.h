#pragma once
/* From a network thread to the log committer and back. What a loop read in one pass is handed over together: one lock for
 * all, and no sync for the first alone. Loop's thread. */

#include "ingest/log_export.h"

/* A loop's batches that wait for the end of the pass. */
struct log_handover_loop;
struct log_handover_loop *log_handover_loop_new(struct ingest_loop *in);       /* NULL on ENOMEM */
struct log_handover_loop *log_handover_loop_free(struct log_handover_loop *l); /* holds no batch any more; NULL-safe */

/* Parks the call until the committer has stored e->batch, which is ready and not empty; then stored() answers, on the
 * loop. When the lines are not stored the call is refused here. */
void log_handover_submit(struct log_export *e, void (*stored)(struct call *c));
