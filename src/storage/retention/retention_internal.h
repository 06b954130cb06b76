#pragma once
/* What retention's files share: retention.c (the cycle), retention_caps.c (what is beyond a cap), retention_compress.c
 * (what becomes smaller). */

#include "storage/retention/deletion_internal.h"
#include "storage/retention/retention.h"

#define RETENTION_SECONDS_PER_DAY 86400

/* Wherever a cap is exceeded, the oldest goes. 0, -ECANCELED or -errno. */
int retention_caps_evict(struct retention *r, struct moment now);

/* 0, -ECANCELED or -errno. */
int retention_compress(const struct retention *r, struct moment now, uint64_t *ret_files);
