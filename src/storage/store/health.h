#pragma once
/* What a data directory takes right now, and why not more: the board of troubles and the disk governor, together. For
 * /healthz, /metrics and `detritusctl status`. From memory alone; any thread. */

#include "protocol/answer.h"
#include "protocol/json/json_write.h"
#include "storage/store/store.h"

struct health {
        bool takes_logs, takes_crashes;
        /* ANSWER_OK while /healthz is 204; else ANSWER_UNAVAILABLE, with the reason and its path. */
        struct refusal refusal;
        char reason[400]; /* why something is not taken, although the daemon may be healthy; "": nothing */
        size_t n_troubles;
        struct trouble troubles[TROUBLE_KIND_MAX_];
};

void health_look(struct store *s, struct health *ret);
/* Members "ready", "takes_logs", "takes_crashes", "reason" and "troubles" of the object being written. */
void health_write(const struct health *h, struct json_write *w);
