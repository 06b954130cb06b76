#pragma once
/* A reader that sits in a transaction keeps the WAL of the database from being cut, and it grows with each upload. This
 * looks at it after each round of the index writer: how large it is (a metric), and when it is too large, who reads (a
 * trouble). The index writer's thread. */

#include <stdint.h>

#include "metrics/metrics.h"
#include "storage/index/index_write.h"
#include "util/troubles.h"

#define WAL_WATCH_BYTES (UINT64_C(24) << 20) /* a WAL is cut at 16 MiB when nobody reads */

struct wal_watch { /* zero-initialised */
        uint64_t looked_ns;
        bool warned;
};

/* Outside of a transaction. 0 or -errno, as index_checkpoint_if_due(). */
int wal_watch_look(struct wal_watch *w, struct index *index, struct metrics *metrics, struct troubles *troubles);
