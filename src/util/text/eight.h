#pragma once
/* Eight bytes of text at once. Each test has the top bit of each byte for which it holds; of those, the lowest is
 * exact, and eight_first() is its place. Pure. */

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define EIGHT_ONES UINT64_C(0x0101010101010101)
#define EIGHT_TOPS UINT64_C(0x8080808080808080)

static inline uint64_t eight_load(const char *at)
{
        uint64_t x;
        memcpy(&x, at, sizeof(x));
        return le64toh(x);
}

/* Bytes below n, for n up to 0x80. */
static inline uint64_t eight_below(uint64_t x, uint8_t n)
{
        return (x - EIGHT_ONES * n) & ~x & EIGHT_TOPS;
}

static inline uint64_t eight_equal(uint64_t x, char c)
{
        return eight_below(x ^ EIGHT_ONES * (uint8_t)c, 1);
}

static inline unsigned eight_first(uint64_t found)
{
        return (unsigned)__builtin_ctzll(found) / 8;
}
