#pragma once
/* From a network thread to the log committer and back. The batches that a loop read in one pass are handed over
 * together: that takes one lock, and none of them gets a sync to itself. Loop's thread. */

#include "ingest/log_export.h"

/* The batches of a loop that wait for the end of its pass. */
struct log_handover_loop;
struct log_handover_loop *log_handover_loop_new(struct ingest_loop *in);       /* NULL on ENOMEM */
struct log_handover_loop *log_handover_loop_free(struct log_handover_loop *l); /* must hold no batch; NULL-safe */

/* Parks the call until the committer has stored e->batch, which must be ready and not empty. Then stored() answers, on
 * the loop. When the lines cannot be stored, the call is refused without stored(). */
void log_handover_submit(struct log_export *e, void (*stored)(struct call *c));
