#pragma once
/* Token buckets per (endpoint, token id, source), in a bounded table: the least recently used leave first. Any thread;
 * takes a short lock. */

#include <stddef.h>
#include <stdint.h>

#include "auth/tokens.h"
#include "protocol/source.h"
#include "util/cleanup.h"

enum rate_limit_kind { RATE_LIMIT_LOGS, RATE_LIMIT_CRASHES };

struct rate_limit;

struct rate_limit *rate_limit_new(size_t max_buckets); /* NULL on ENOMEM */
struct rate_limit *rate_limit_free(struct rate_limit *r);
DEFINE_FREEP(rate_limit_free, struct rate_limit)

/* What is taken: a unit from the bucket of each source. So no charge is more than a full table of buckets could pay. */
struct rate_limit_charge {
        enum rate_limit_kind kind;
        const struct tokens_rate_limit *limits; /* of the token's set; a burst of 0 refuses everything */
        const char *token_id;
        const struct source *const *sources; /* one that stands here twice costs one unit */
        size_t n_sources;
};

/* All or none: when any bucket is empty nothing is taken. 0, or RATE_LIMIT_EMPTY with *ret_retry_after_ms (>= 1):
 * when the emptiest bucket has a unit again. now_ns: clock_monotonic_ns(). -ENOMEM. */
enum { RATE_LIMIT_EMPTY = 1 };
int rate_limit_take(struct rate_limit *r, const struct rate_limit_charge *charge, uint64_t now_ns,
                    unsigned *ret_retry_after_ms);
/* What a rate_limit_take() that succeeded took: the request was refused for another reason. */
void rate_limit_give_back(struct rate_limit *r, const struct rate_limit_charge *charge);
