#include "detritusctl/screen/terminal.h"

#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/text/eight.h"

/* The next character. The database holds only valid UTF-8; anything else counts as one bad byte. */
static const char *next(const char *p, uint32_t *ret)
{
        const unsigned char *b = (const unsigned char *)p;
        size_t n = b[0] < 0x80 ? 1 : b[0] >= 0xC2 && b[0] < 0xE0 ? 2 : b[0] >= 0xE0 && b[0] < 0xF0 ? 3 : 4;
        static const uint32_t first_bits[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 }, least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t c = b[0] & first_bits[n];
        for (size_t i = 1; i < n; i++) {
                if ((b[i] & 0xC0) != 0x80 || b[0] < 0xC2 || b[0] > 0xF4) {
                        *ret = 0xFFFD;
                        return p + 1;
                }
                c = c << 6 | (b[i] & 0x3F);
        }
        if (c < least[n] || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) { /* RFC 3629: none of these is UTF-8 */
                *ret = 0xFFFD;
                return p + 1;
        }
        *ret = c;
        return p + n;
}

/* Control characters, and the marks that change the direction of text (Unicode's Bidi_Control) or break lines. */
static bool is_dangerous(uint32_t c)
{
        return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x61C || c == 0x200E || c == 0x200F ||
               (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFFFD;
}

/* How many bytes from p on are printable ASCII. */
static size_t plain_len(const char *p, const char *end)
{
        const char *start = p;
        for (; end - p >= 8; p += 8) {
                uint64_t eight = eight_load(p);
                if (eight_below(eight, 0x20) | eight_equal(eight, 0x7F) | (eight & EIGHT_TOPS))
                        break;
        }
        while (p < end && *p >= 0x20 && *p < 0x7F)
                p++;
        return (size_t)(p - start);
}

static const char *put_plain(struct buf *out, const char *p, const char *end)
{
        size_t n = plain_len(p, end);
        if (n > 0)
                buf_append(out, p, n);
        return p + n;
}

size_t terminal_width(const char *text)
{
        size_t n = 0;
        for (uint32_t c; *text; n++)
                text = next(text, &c);
        return n;
}

int terminal_line(struct buf *out, const char *text, size_t max_columns)
{
        size_t n = strcspn(text, "\r\n"), columns = 0;
        const char *end = text + n, *p = text;
        size_t start = out->len, cut = start;
        while ((p = max_columns > 0 ? p : put_plain(out, p, end)) < end) {
                uint32_t c;
                const char *after = next(p, &c);
                if (max_columns > 0 && columns == max_columns) {
                        out->len = cut;
                        return buf_append_str(out, &"..."[max_columns < 3 ? 3 - max_columns : 0]);
                }
                if (is_dangerous(c))
                        buf_append_char(out, '?');
                else
                        buf_append(out, p, (size_t)(after - p));
                p = after;
                if (++columns + 3 <= max_columns)
                        cut = out->len;
        }
        return out->error;
}

int terminal_text(struct buf *out, const char *text, const char *indent)
{
        buf_append_str(out, indent);
        while (*text) {
                uint32_t c;
                const char *after = next(text, &c);
                if (c == '\n' && *after) {
                        buf_append_char(out, '\n');
                        buf_append_str(out, indent);
                } else if (c == '\n' || (c == '\r' && *after == '\n')) {
                        /* the end of a line */
                } else if (c != '\t' && is_dangerous(c)) {
                        buf_append_char(out, '?');
                } else {
                        buf_append(out, text, (size_t)(after - text));
                }
                text = after;
        }
        return buf_append_char(out, '\n');
}

int terminal_json(struct buf *out, const char *json)
{
        const char *end = json + strlen(json);
        while (*(json = put_plain(out, json, end))) {
                uint32_t c;
                const char *after = next(json, &c);
                if (c == '\t' || c == '\r') /* RFC 8259: raw ones stand between values only */
                        buf_append_char(out, ' ');
                else if (is_dangerous(c) && c != '\n')
                        buf_printf(out, "\\u%04x", c);
                else
                        buf_append(out, json, (size_t)(after - json));
                json = after;
        }
        return out->error;
}

int terminal_json_string(struct buf *out, const char *text, size_t len)
{
        const char *end = text + len;
        buf_append_char(out, '"');
        while (text < end) {
                uint32_t c;
                const char *after = next(text, &c);
                if (c == 0xFFFD)
                        buf_append_char(out, '?');
                else if (is_dangerous(c))
                        buf_printf(out, "\\u%04x", c);
                else if (c == '"' || c == '\\')
                        buf_printf(out, "\\%c", (char)c);
                else
                        buf_append(out, text, (size_t)(after - text));
                text = after;
        }
        return buf_append_char(out, '"');
}

size_t terminal_columns(void)
{
        struct winsize size;
        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
