#pragma once
/* Random requests, most of which otlp_scan() passes, with everything that the encoding allows and no exporter writes:
 * fields in any order, scalars given several times, several fields of a oneof, unknown fields, numbers and
 * lengths longer than they need to be, keys given several times. The same seed makes the same request. */

#include <stdint.h>

#include "util/buf.h"

struct buf otlp_random_request(uint64_t seed);

/* 0 to n - 1, from the seed that state is. */
uint64_t otlp_random(uint64_t *state, uint64_t n);
