#include "util/text/utf8.h"

#include <stdint.h>
#include <string.h>

/* The length of the sequence that starts at p with a byte >= 0x80, or 0 when it is not one (RFC 3629 §4). */
static size_t sequence_length(const uint8_t *p, size_t left)
{
        uint8_t low = 0x80, high = 0xBF; /* what the second byte may be */
        size_t n;

        if (p[0] >= 0xC2 && p[0] <= 0xDF) {
                n = 2;
        } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
                n = 3;
                if (p[0] == 0xE0)
                        low = 0xA0;
                else if (p[0] == 0xED)
                        high = 0x9F;
        } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
                n = 4;
                if (p[0] == 0xF0)
                        low = 0x90;
                else if (p[0] == 0xF4)
                        high = 0x8F;
        } else {
                return 0;
        }
        if (left < n || p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++) {
                if ((p[i] & 0xC0) != 0x80)
                        return 0;
        }
        return n;
}

bool utf8_valid(const void *data, size_t len)
{
        const uint8_t *p = data, *end = p + len;

        while (p < end) {
                uint64_t eight;
                while (end - p >= 8) { /* most text is ASCII */
                        memcpy(&eight, p, sizeof(eight));
                        if (eight & 0x8080808080808080u)
                                break;
                        p += 8;
                }
                if (p == end)
                        break;
                if (*p < 0x80) {
                        p++;
                        continue;
                }
                size_t n = sequence_length(p, (size_t)(end - p));
                if (n == 0)
                        return false;
                p += n;
        }
        return true;
}
