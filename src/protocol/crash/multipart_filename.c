#include "protocol/crash/multipart_filename.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "util/text/utf8.h"

/* ---- one character after the other ---- */

/* The character at p, which is valid UTF-8. */
static uint32_t take_character(const uint8_t **p)
{
        uint32_t c = *(*p)++;
        unsigned more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        static const uint8_t lead_bits[] = { 0x7F, 0x1F, 0x0F, 0x07 };
        for (c &= lead_bits[more]; more > 0; more--)
                c = c << 6 | (*(*p)++ & 0x3F);
        return c;
}

/* Would a terminal or a list of files show something else than the name? */
static bool misleads(uint32_t c)
{
        return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
               (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

static void append_readable(struct buf *out, const uint8_t *text, size_t len)
{
        for (const uint8_t *p = text, *start; p < text + len;) {
                start = p;
                uint32_t c = take_character(&p);
                if (c == '\t')
                        buf_append_char(out, ' ');
                else if (misleads(c))
                        buf_append_str(out, UTF8_REPLACEMENT);
                else
                        buf_append(out, start, (size_t)(p - start));
        }
}

int multipart_filename_mend(const char *name, size_t len, struct buf *out)
{
        const uint8_t *p = (const uint8_t *)name, *end = p + len;
        while (p < end) {
                size_t bad, good = utf8_valid_part(p, (size_t)(end - p), &bad);
                append_readable(out, p, good);
                if (bad > 0)
                        buf_append_str(out, UTF8_REPLACEMENT);
                p += good + bad;
        }
        buf_append_char(out, '\0');
        return out->error;
}

/* ---- filename* ---- */

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                return (c | 0x20) - 'a' + 10;
        return -1;
}

/* In place. Returns the new length. */
static size_t unescape(char *text, size_t len)
{
        size_t n = 0;
        for (size_t i = 0; i < len; i++) {
                int high = text[i] == '%' && len - i > 2 ? hex_value(text[i + 1]) : -1;
                int low = high >= 0 ? hex_value(text[i + 2]) : -1;
                if (low >= 0)
                        i += 2;
                text[n++] = low >= 0 ? (char)(high << 4 | low) : text[i];
        }
        return n;
}

static int mend_latin1(const char *name, size_t len, struct buf *out)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        for (size_t i = 0; i < len; i++) {
                uint8_t c = (uint8_t)name[i];
                if (c >= 0x80)
                        buf_append_char(&text, (char)(0xC0 | c >> 6));
                buf_append_char(&text, (char)(c >= 0x80 ? 0x80 | (c & 0x3F) : c));
        }
        if (text.error < 0)
                return text.error;
        return multipart_filename_mend((const char *)text.data, text.len, out);
}

int multipart_filename_decode(char *value, size_t len, struct buf *out)
{
        static const char latin1[] = "iso-8859-1";
        char *charset_end = memchr(value, '\'', len);
        char *language_end =
                charset_end ? memchr(charset_end + 1, '\'', len - (size_t)(charset_end + 1 - value)) : NULL;
        char *text = language_end ? language_end + 1 : value;
        size_t n = unescape(text, len - (size_t)(text - value));
        if (language_end && (size_t)(charset_end - value) == sizeof(latin1) - 1 &&
            strncasecmp(value, latin1, sizeof(latin1) - 1) == 0)
                return mend_latin1(text, n, out);
        return multipart_filename_mend(text, n, out);
}
