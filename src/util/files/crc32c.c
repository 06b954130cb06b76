/* ISA-L's function lacks the inversions before and after, wants an int as length, and does not say const. */
#include "util/files/crc32c.h"

#include <isa-l/crc.h>

#define PIECE_MAX ((size_t)1 << 30)

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
        const unsigned char *p = data;
        uint32_t state = ~crc;
        while (len > 0) {
                size_t n = len < PIECE_MAX ? len : PIECE_MAX;
                state = crc32_iscsi((unsigned char *)p, (int)n, state);
                p += n;
                len -= n;
        }
        return ~state;
}
