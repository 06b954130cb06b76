#include "util/text/hex.h"

char *hex_encode(char *to, const void *data, size_t n)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *from = data;
        for (size_t i = 0; i < n; i++) {
                *to++ = digits[from[i] >> 4];
                *to++ = digits[from[i] & 15];
        }
        return to;
}

bool hex_is_lower(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
                        return false;
        }
        return true;
}
