#include "util/text/utf8.h"

#include <stdint.h>
#include <string.h>

/* Of the sequence that starts at p with a byte >= 0x80 (RFC 3629 §4): its length, or 0 when it is not one. *ret_bad is
 * then how much of it could have begun one, at least 1. */
static size_t sequence_length(const uint8_t *p, size_t left, size_t *ret_bad)
{
        uint8_t low = 0x80, high = 0xBF; /* what the second byte may be */
        size_t n, i;

        *ret_bad = 1;
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
        if (left < 2 || p[1] < low || p[1] > high)
                return 0;
        for (i = 2; i < n && i < left && (p[i] & 0xC0) == 0x80; i++)
                ;
        *ret_bad = i;
        return i == n ? n : 0;
}

size_t utf8_valid_part(const void *data, size_t len, size_t *ret_bad)
{
        const uint8_t *p = data, *end = p + len;

        *ret_bad = 0;
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
                size_t bad, n = sequence_length(p, (size_t)(end - p), &bad);
                if (n == 0) {
                        *ret_bad = bad;
                        break;
                }
                p += n;
        }
        return (size_t)(p - (const uint8_t *)data);
}

bool utf8_valid(const void *data, size_t len)
{
        size_t bad;
        utf8_valid_part(data, len, &bad);
        return bad == 0;
}
