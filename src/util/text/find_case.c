/* Sixteen places at a time: a place is looked at closely only if the first and the last byte of what is sought are
 * where they would be, in either case. */
#include "util/text/find_case.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
typedef uint8_t lanes __attribute__((vector_size(LANES)));
typedef uint64_t halves __attribute__((vector_size(LANES)));

static uint8_t lower(uint8_t c)
{
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static uint8_t upper(uint8_t c)
{
        return c >= 'a' && c <= 'z' ? (uint8_t)(c & ~0x20) : c;
}

static lanes all(uint8_t c)
{
        return (lanes){ c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c };
}

static bool is_equal(const char *text, const char *what, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (lower((uint8_t)text[i]) != lower((uint8_t)what[i]))
                        return false;
        }
        return true;
}

static const char *look_closely(const char *text, size_t places, const char *what, size_t what_len)
{
        for (size_t i = 0; i < places; i++) {
                if (is_equal(text + i, what, what_len))
                        return text + i;
        }
        return NULL;
}

const char *find_case(const char *text, size_t len, const char *what, size_t what_len)
{
        if (what_len == 0 || what_len > len)
                return what_len == 0 ? text : NULL;
        const uint8_t first = (uint8_t)what[0], last = (uint8_t)what[what_len - 1];
        const lanes first_low = all(lower(first)), first_up = all(upper(first));
        const lanes last_low = all(lower(last)), last_up = all(upper(last));
        size_t i = 0, places = len - what_len + 1;
        for (; i + LANES <= places; i += LANES) {
                lanes a, b;
                memcpy(&a, text + i, LANES);
                memcpy(&b, text + i + what_len - 1, LANES);
                halves hits = (halves)(((a == first_low) | (a == first_up)) & ((b == last_low) | (b == last_up)));
                const char *found = hits[0] | hits[1] ? look_closely(text + i, LANES, what, what_len) : NULL;
                if (found)
                        return found;
        }
        return look_closely(text + i, places - i, what, what_len);
}
