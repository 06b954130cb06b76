#pragma once
/* Crashes as people name them: by id, or by the first digits (at least four) of their dump's hash. */

#include "storage/index/index.h"

/* CTL_OK, or CTL_FAILED after a message. */
int crash_ids_find(struct index *x, const char *what, int64_t *ret);
