/* Strings are copied eight bytes at a time until one needs escaping. Doubles try, in order: integers; a decimal with
 * few places, found by exact arithmetic; printf's 17 digits, rounded. */

#include "protocol/json/json_text.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/text/hex.h"
#include "util/text/utf8.h"

#define CHUNK_BYTES ((size_t)4096) /* of input, so that the worst case reserved for it stays small */
#define ESCAPE_BYTES_MAX 6         /* \u0000 */
#define WORD sizeof(uint64_t)

uint8_t *json_put_u64(uint8_t *p, uint64_t v)
{
        static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                    "8081828384858687888990919293949596979899";
        uint8_t digits[JSON_U64_SIZE], *at = digits + sizeof(digits);
        while (v >= 100) {
                at -= 2;
                memcpy(at, pairs + v % 100 * 2, 2);
                v /= 100;
        }
        if (v >= 10) {
                at -= 2;
                memcpy(at, pairs + v * 2, 2);
        } else {
                *--at = (uint8_t)('0' + v);
        }
        size_t n = (size_t)(digits + sizeof(digits) - at);
        memcpy(p, at, n);
        return p + n;
}

uint8_t *json_put_i64(uint8_t *p, int64_t v)
{
        if (v >= 0)
                return json_put_u64(p, (uint64_t)v);
        *p = '-';
        return json_put_u64(p + 1, 0 - (uint64_t)v);
}

/* digits * 10^exponent */
struct decimal {
        uint64_t digits;
        int exponent;
};

/* v = m / 10^k for an m below 2^53 and the smallest such k: both are exact doubles, so their quotient is correctly
 * rounded, and reading "m e-k" gives v again. */
static bool few_places(double v, struct decimal *ret)
{
        static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };
        if (v >= 1e9)
                return false;
        for (int k = 1; k < (int)(sizeof(powers) / sizeof(powers[0])); k++) {
                double m = (double)(uint64_t)(v * powers[k] + 0.5);
                if (m / powers[k] == v && m < 1e15) {
                        *ret = (struct decimal){ (uint64_t)m, -k };
                        return true;
                }
        }
        return false;
}

/* Reads printf's "d.ddde-xx", whatever the locale puts for the point. */
static struct decimal decimal_of(const char *text)
{
        struct decimal d = { 0 };
        bool fraction = false;
        for (; *text != 'e'; text++) {
                if (*text >= '0' && *text <= '9') {
                        d.digits = d.digits * 10 + (uint64_t)(*text - '0');
                        d.exponent -= fraction;
                } else {
                        fraction = true;
                }
        }
        d.exponent += atoi(text + 1);
        return d;
}

static bool reads_back(struct decimal d, double v)
{
        uint8_t text[2 * JSON_U64_SIZE + 4], *p = json_put_u64(text, d.digits);
        *p++ = 'e'; /* no point, so no locale */
        *json_put_i64(p, d.exponent) = '\0';
        return strtod((const char *)text, NULL) == v;
}

/* v > 0. 17 digits tell any two doubles apart, and 15 are often enough; subnormals may have fewer. */
static struct decimal shortest(double v)
{
        struct decimal d;
        char text[48];
        if (few_places(v, &d))
                return d;
        snprintf(text, sizeof(text), "%.16e", v);
        d = decimal_of(text);
        uint64_t scale = v < DBL_MIN ? UINT64_C(10000000000000000) : 100;
        for (; scale > 1; scale /= 10) {
                struct decimal shorter = { (d.digits + scale / 2) / scale * scale, d.exponent };
                if (reads_back(shorter, v)) {
                        d = shorter;
                        break;
                }
        }
        while (d.digits % 10 == 0) {
                d.digits /= 10;
                d.exponent++;
        }
        return d;
}

static uint8_t *put_zeros(uint8_t *p, int n)
{
        memset(p, '0', (size_t)n);
        return p + n;
}

/* The layout of serde_json: plain digits from 1e-5 up to 1e16, else an exponent. */
static uint8_t *put_decimal(uint8_t *p, struct decimal d)
{
        uint8_t digits[JSON_U64_SIZE];
        int n = (int)(json_put_u64(digits, d.digits) - digits);
        int point = n + d.exponent; /* how many digits stand before it */

        if (d.exponent >= 0 && point <= 16) {
                memcpy(p, digits, (size_t)n);
                p = put_zeros(p + n, d.exponent);
                memcpy(p, ".0", 2);
                return p + 2;
        }
        if (point > 0 && point <= 16) {
                memcpy(p, digits, (size_t)point);
                p[point] = '.';
                memcpy(p + point + 1, digits + point, (size_t)(n - point));
                return p + n + 1;
        }
        if (point > -5 && point <= 0) {
                memcpy(p, "0.", 2);
                p = put_zeros(p + 2, -point);
                memcpy(p, digits, (size_t)n);
                return p + n;
        }
        *p++ = digits[0];
        if (n > 1) {
                *p++ = '.';
                memcpy(p, digits + 1, (size_t)n - 1);
                p += n - 1;
        }
        *p++ = 'e';
        return json_put_i64(p, point - 1);
}

uint8_t *json_put_double(uint8_t *p, double v)
{
        if (!isfinite(v)) {
                const char *name = isnan(v) ? "\"NaN\"" : v < 0 ? "\"-Infinity\"" : "\"Infinity\"";
                memcpy(p, name, strlen(name));
                return p + strlen(name);
        }
        if (signbit(v)) {
                *p++ = '-';
                v = -v;
        }
        if (v < 1e15 && v == (double)(uint64_t)v)
                return put_decimal(p, (struct decimal){ (uint64_t)v, 0 });
        return put_decimal(p, shortest(v));
}

void json_text_double(struct json_text *j, double v)
{
        uint8_t *p = json_text_room(j, JSON_DOUBLE_SIZE);
        if (p)
                j->buf->len += (size_t)(json_put_double(p, v) - p);
}

void json_text_i64(struct json_text *j, int64_t v)
{
        uint8_t *p = json_text_room(j, JSON_U64_SIZE + 1);
        if (p)
                j->buf->len += (size_t)(json_put_i64(p, v) - p);
}

/* Bytes 1 to 7 at p as the low bytes of a word, spaces above them. */
static inline uint64_t load_tail(const uint8_t *p, size_t n)
{
        uint64_t word;
        if (n >= 4) {
                uint32_t low, high;
                memcpy(&low, p, sizeof(low));
                memcpy(&high, p + n - 4, sizeof(high));
                word = low | (uint64_t)high << (8 * (n - 4));
        } else {
                word = p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1));
        }
        return word | UINT64_C(0x2020202020202020) << (8 * n);
}

/* The high bit of each byte that must be escaped; above the lowest such byte there may be false ones. */
static inline uint64_t must_escape(uint64_t word)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
        uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
        uint64_t control = (word - ones * 0x20) & ~word;
        return (control | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & highs;
}

static inline uint64_t little_endian(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        return __builtin_bswap64(word);
#else
        return word;
#endif
}

static uint8_t *put_escape(uint8_t *p, uint8_t c)
{
        static const char short_forms[0x20] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
        *p++ = '\\';
        if (c >= 0x20 || short_forms[c]) {
                *p++ = c >= 0x20 ? c : (uint8_t)short_forms[c];
                return p;
        }
        memcpy(p, "u00", 3);
        return (uint8_t *)hex_encode((char *)p + 3, &c, 1);
}

/* Needs ESCAPE_BYTES_MAX * n + WORD bytes at p: whole words are stored, whatever of them counts. */
static uint8_t *put_escaped(uint8_t *p, const uint8_t *s, size_t n)
{
        while (n > 0) {
                uint64_t word;
                size_t take = n < WORD ? n : WORD;
                if (take == WORD)
                        memcpy(&word, s, WORD);
                else
                        word = little_endian(load_tail(s, n));
                memcpy(p, &word, WORD);
                uint64_t special = must_escape(little_endian(word));
                if (special)
                        take = (size_t)__builtin_ctzll(special) / 8;
                p += take;
                s += take;
                n -= take;
                if (special) {
                        p = put_escape(p, *s++);
                        n--;
                }
        }
        return p;
}

/* Escaped, without quotes. False when there is an error. */
static bool put_part(struct json_text *j, const uint8_t *s, size_t len)
{
        while (len > 0) {
                size_t n = len < CHUNK_BYTES ? len : CHUNK_BYTES;
                uint8_t *p = json_text_room(j, ESCAPE_BYTES_MAX * n + WORD + 2);
                if (!p)
                        return false;
                j->buf->len = (size_t)(put_escaped(p, s, n) - j->buf->data);
                s += n;
                len -= n;
        }
        return j->error == 0;
}

/* False when the text cannot fit: then nothing is begun. */
static bool may_fit(struct json_text *j, size_t len)
{
        if (len <= j->end_max && j->buf->len <= j->end_max - len)
                return true;
        j->error = j->error ? j->error : JSON_TEXT_TOO_LONG;
        return false;
}

void json_text_string(struct json_text *j, const void *data, size_t len)
{
        const uint8_t *s = data;
        if (!may_fit(j, len))
                return;
        size_t n = len < CHUNK_BYTES ? len : CHUNK_BYTES;
        uint8_t *p = json_text_room(j, ESCAPE_BYTES_MAX * n + WORD + 2);
        if (!p)
                return;
        *p++ = '"';
        p = put_escaped(p, s, n);
        j->buf->len = (size_t)(p - j->buf->data);
        if (n < len && !put_part(j, s + n, len - n))
                return;
        if (n == len)
                j->buf->data[j->buf->len++] = '"'; /* there is room */
        else
                json_text_literal(j, "\"");
}

void json_text_mended(struct json_text *j, const void *data, size_t len)
{
        const uint8_t *s = data, *end = s + len;
        if (!may_fit(j, len))
                return;
        json_text_literal(j, "\"");
        while (s < end) {
                size_t bad, good = utf8_valid_part(s, (size_t)(end - s), &bad);
                if (!put_part(j, s, good))
                        return;
                if (bad > 0)
                        json_text_literal(j, UTF8_REPLACEMENT);
                s += good + bad;
        }
        json_text_literal(j, "\"");
}

void json_text_hex(struct json_text *j, const void *data, size_t len)
{
        const uint8_t *s = data;
        json_text_literal(j, "\"");
        while (len > 0) {
                size_t n = len < CHUNK_BYTES ? len : CHUNK_BYTES;
                uint8_t *p = json_text_room(j, 2 * n);
                if (!p)
                        return;
                hex_encode((char *)p, s, n);
                j->buf->len += 2 * n;
                s += n;
                len -= n;
        }
        json_text_literal(j, "\"");
}
