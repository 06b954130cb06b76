#include "protocol/json/json_document.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/text/eight.h"
#include "util/text/utf8.h"

/* A recursive descent over RFC 8259's grammar; max_depth bounds the recursion. Every check returns 0, JSON_DOCUMENT_BAD
 * with the words in err, or -ENOMEM. Bytes are copied to `out` in runs: `copied` is where the next run starts. */

struct scan {
        const char *begin, *at, *end, *copied;
        unsigned depth_left;
        struct buf *out;
        struct error *err;
};

static int bad(const struct scan *s, const char *what)
{
        error_set(s->err, "%s at byte %zu", what, (size_t)(s->at - s->begin));
        return JSON_DOCUMENT_BAD;
}

static bool next_is(const struct scan *s, char c)
{
        return s->at < s->end && *s->at == c;
}

static bool take(struct scan *s, char c)
{
        if (!next_is(s, c))
                return false;
        s->at++;
        return true;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool take_digits(struct scan *s)
{
        const char *first = s->at;
        while (s->at < s->end && is_digit(*s->at))
                s->at++;
        return s->at > first;
}

static void skip_space(struct scan *s)
{
        while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
                s->at++;
}

static int flush(struct scan *s)
{
        int r = buf_append(s->out, s->copied, (size_t)(s->at - s->copied));
        s->copied = s->at;
        return r;
}

/* Digits compare like numbers when they are equally many and have no leading zero. */
static bool integer_fits(const char *digits, size_t n, bool negative)
{
        const char *limit = negative ? "9223372036854775808" : "18446744073709551615";
        size_t limit_len = strlen(limit);
        return n < limit_len || (n == limit_len && memcmp(digits, limit, n) <= 0);
}

static int check_number(struct scan *s)
{
        bool negative = take(s, '-'), integer = true;
        const char *digits = s->at;
        if (!take(s, '0') && !take_digits(s))
                return bad(s, "expected a digit");
        size_t n = (size_t)(s->at - digits);
        if (take(s, '.')) {
                integer = false;
                if (!take_digits(s))
                        return bad(s, "expected a digit after the point");
        }
        if (take(s, 'e') || take(s, 'E')) {
                integer = false;
                if (!take(s, '+'))
                        take(s, '-');
                if (!take_digits(s))
                        return bad(s, "expected a digit in the exponent");
        }
        bool minus_zero = negative && n == 1 && *digits == '0';
        if (!integer || (integer_fits(digits, n, negative) && !minus_zero))
                return 0;
        int r = flush(s);
        return r < 0 ? r : buf_append_str(s->out, ".0");
}

static int hex_value(char c)
{
        if (is_digit(c))
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int take_hex4(struct scan *s, unsigned *ret)
{
        unsigned value = 0;
        for (int i = 0; i < 4; i++, s->at++) {
                int digit = s->at < s->end ? hex_value(*s->at) : -1;
                if (digit < 0)
                        return bad(s, "expected four hex digits");
                value = value << 4 | (unsigned)digit;
        }
        *ret = value;
        return 0;
}

/* Behind "\u". RFC 8259 §7: beyond the BMP a character is a pair of surrogates. */
static int check_unicode_escape(struct scan *s, bool key)
{
        unsigned high, low;
        int r = take_hex4(s, &high);
        if (r != 0)
                return r;
        if (high == 0 && key)
                return bad(s, "NUL in an object's key");
        if (high < 0xD800 || high > 0xDFFF)
                return 0;
        if (high > 0xDBFF || !take(s, '\\') || !take(s, 'u'))
                return bad(s, "unpaired surrogate");
        r = take_hex4(s, &low);
        if (r == 0 && (low < 0xDC00 || low > 0xDFFF))
                return bad(s, "unpaired surrogate");
        return r;
}

/* Past bytes of a string that need no look, eight at a time. */
static const char *skip_plain(const char *at, const char *end)
{
        for (; end - at >= 8; at += 8) {
                uint64_t eight = eight_load(at);
                if (eight_equal(eight, '"') | eight_equal(eight, '\\') | eight_below(eight, 0x20))
                        break;
        }
        return at;
}

static int check_string(struct scan *s, bool key)
{
        if (!take(s, '"'))
                return bad(s, key ? "expected a key in quotes" : "expected a string");
        for (;;) {
                s->at = skip_plain(s->at, s->end);
                if (s->at == s->end)
                        return bad(s, "string without end");
                if ((uint8_t)*s->at < 0x20)
                        return bad(s, "control character in a string");
                char c = *s->at++;
                if (c == '"')
                        return 0;
                if (c != '\\')
                        continue;
                if (take(s, 'u')) {
                        int r = check_unicode_escape(s, key);
                        if (r != 0)
                                return r;
                } else if (s->at == s->end || !*s->at || !strchr("\"\\/bfnrt", *s->at)) {
                        return bad(s, "unknown escape");
                } else {
                        s->at++;
                }
        }
}

static int check_word(struct scan *s, const char *word)
{
        size_t n = strlen(word);
        if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
                return bad(s, "expected a value");
        s->at += n;
        return 0;
}

static int check_value(struct scan *s);

static int check_member(struct scan *s)
{
        skip_space(s);
        int r = check_string(s, true);
        if (r != 0)
                return r;
        skip_space(s);
        return take(s, ':') ? check_value(s) : bad(s, "expected ':'");
}

/* The rest of an array or an object: what follows its opening bracket, including the closing one. */
static int check_container(struct scan *s, int (*check_item)(struct scan *), char close)
{
        if (s->depth_left == 0)
                return bad(s, "nested too deeply");
        s->depth_left--;
        skip_space(s);
        if (!next_is(s, close)) {
                do {
                        int r = check_item(s);
                        if (r != 0)
                                return r;
                        skip_space(s);
                } while (take(s, ','));
        }
        s->depth_left++;
        return take(s, close) ? 0 : bad(s, close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
}

static int check_value(struct scan *s)
{
        skip_space(s);
        if (s->at == s->end)
                return bad(s, "expected a value");
        switch (*s->at) {
        case '{': s->at++; return check_container(s, check_member, '}');
        case '[': s->at++; return check_container(s, check_value, ']');
        case '"': return check_string(s, false);
        case 't': return check_word(s, "true");
        case 'f': return check_word(s, "false");
        case 'n': return check_word(s, "null");
        default: return *s->at == '-' || is_digit(*s->at) ? check_number(s) : bad(s, "expected a value");
        }
}

int json_document_check(const char *text, size_t len, unsigned max_depth, struct buf *out, struct error *err)
{
        struct scan s = { text, text, text + len, text, max_depth, out, err };

        if (!utf8_valid(text, len))
                return bad(&s, "not UTF-8");
        int r = check_value(&s);
        if (r != 0)
                return r;
        skip_space(&s);
        return s.at == s.end ? flush(&s) : bad(&s, "expected the end");
}

static int append_escaped(struct buf *out, uint8_t c)
{
        switch (c) {
        case '"': return buf_append_str(out, "\\\"");
        case '\\': return buf_append_str(out, "\\\\");
        case '\b': return buf_append_str(out, "\\b");
        case '\f': return buf_append_str(out, "\\f");
        case '\n': return buf_append_str(out, "\\n");
        case '\r': return buf_append_str(out, "\\r");
        case '\t': return buf_append_str(out, "\\t");
        default: return buf_printf(out, "\\u%04x", c);
        }
}

int json_document_append_string(struct buf *out, const char *s)
{
        int r = buf_append_char(out, '"');
        while (r == 0 && *s) {
                size_t plain = 0;
                while ((uint8_t)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
                        plain++;
                r = buf_append(out, s, plain);
                s += plain;
                if (r == 0 && *s)
                        r = append_escaped(out, (uint8_t)*s++);
        }
        return r < 0 ? r : buf_append_char(out, '"');
}

static int new_line(struct buf *out, size_t depth)
{
        int r = buf_reserve(out, 1 + 2 * depth);
        if (r < 0)
                return r;
        out->data[out->len++] = '\n';
        if (depth > 0)
                memset(out->data + out->len, ' ', 2 * depth);
        out->len += 2 * depth;
        return 0;
}

/* The length of the string or scalar at p: what indenting leaves alone. */
static size_t atom_length(const char *p, size_t left)
{
        size_t n = 1;
        if (*p == '"') {
                while (n < left && p[n] != '"')
                        n += p[n] == '\\' ? 2 : 1;
                return n < left ? n + 1 : left;
        }
        while (n < left && !strchr("{}[],:\"", p[n]))
                n++;
        return n;
}

int json_document_indent(const char *compact, size_t len, struct buf *out)
{
        size_t depth = 0;
        int r = 0;

        for (size_t i = 0, n; i < len && r == 0; i += n) {
                char c = compact[i];
                n = 1;
                if (c == '{' || c == '[') {
                        bool empty = i + 1 < len && (compact[i + 1] == '}' || compact[i + 1] == ']');
                        n = empty ? 2 : 1;
                        r = buf_append(out, compact + i, n);
                        if (r == 0 && !empty)
                                r = new_line(out, ++depth);
                } else if (c == '}' || c == ']') {
                        r = new_line(out, depth > 0 ? --depth : 0);
                        if (r == 0)
                                r = buf_append_char(out, c);
                } else if (c == ',') {
                        r = buf_append_char(out, c);
                        if (r == 0)
                                r = new_line(out, depth);
                } else if (c == ':') {
                        r = buf_append_str(out, ": ");
                } else {
                        n = atom_length(compact + i, len - i);
                        r = buf_append(out, compact + i, n);
                }
        }
        return r;
}
