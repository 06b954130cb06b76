#pragma once
/* How many uploads are under way, in all and by source. Any thread; takes a short lock. */

#include <stdbool.h>

#include "protocol/source.h"
#include "util/cleanup.h"

struct upload_slots;

struct upload_slots *upload_slots_new(unsigned max_total, unsigned max_per_source); /* NULL on ENOMEM */
struct upload_slots *upload_slots_free(struct upload_slots *u);                     /* NULL-safe */
DEFINE_FREEP(upload_slots_free, struct upload_slots)

/* False when the limit is reached (or memory is out): then nothing is held. */
bool upload_slots_take(struct upload_slots *u);
void upload_slots_give(struct upload_slots *u);
bool upload_slots_take_source(struct upload_slots *u, const struct source *source);
void upload_slots_give_source(struct upload_slots *u, const struct source *source);
