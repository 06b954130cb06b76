#include "http/http1_head.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static int refuse(int status, const char *reason, const char **ret_reason)
{
        *ret_reason = reason;
        return status;
}

static bool is_token_char(uint8_t c)
{
        return isalnum(c) || (c > ' ' && c < 0x7F && strchr("!#$%&'*+-.^_`|~", c));
}

/* RFC 9112 §3: method SP request-target SP HTTP-version, and no space more. */
static int check_request_line(const uint8_t *line, size_t len, const char **ret_reason)
{
        const uint8_t *first = memchr(line, ' ', len), *last = memrchr(line, ' ', len);
        if (!first || first == line || first == last || last == first + 1)
                return refuse(400, "bad request line", ret_reason);
        for (const uint8_t *p = first + 1; p < last; p++) {
                if (*p <= ' ' || *p == 0x7F)
                        return refuse(400, "bad request line", ret_reason);
        }
        const uint8_t *version = last + 1;
        if (line + len - version != 8 || memcmp(version, "HTTP/", 5) != 0 || !isdigit(version[5]) ||
            version[6] != '.' || !isdigit(version[7]))
                return refuse(400, "bad HTTP version", ret_reason);
        return version[5] == '1' ? 0 : refuse(505, "HTTP version not supported", ret_reason);
}

/* RFC 9112 §5: a name of token characters, and the colon directly after it. */
static bool is_field_line(const uint8_t *line, size_t len)
{
        size_t name = 0;
        while (name < len && is_token_char(line[name]))
                name++;
        return name > 0 && name < len && line[name] == ':';
}

/* One line of the head, without its CRLF; never empty. */
static int check_line(const uint8_t *line, size_t len, bool first, const char **ret_reason)
{
        if (memchr(line, '\0', len))
                return refuse(400, "NUL in the request head", ret_reason);
        if (memchr(line, '\r', len))
                return refuse(400, "bare CR in the request head", ret_reason);
        if (first)
                return check_request_line(line, len, ret_reason);
        if (*line == ' ' || *line == '\t')
                return refuse(400, "folded header line", ret_reason);
        return is_field_line(line, len) ? 0 : refuse(400, "bad header field", ret_reason);
}

int http1_head_check(const uint8_t *data, size_t len, size_t max, size_t *checked, size_t *ret_end,
                     const char **ret_reason)
{
        *ret_end = 0;
        while (*checked < len) {
                const uint8_t *line = data + *checked;
                const uint8_t *newline = memchr(line, '\n', len - *checked);
                size_t end = newline ? (size_t)(newline - data) + 1 : len;
                if (end > max)
                        return refuse(431, "request head too large", ret_reason);
                if (!newline && *checked == 0 && *line != '\r' && !is_token_char(*line))
                        return refuse(400, "bad request line",
                                      ret_reason); /* no letter of a method: TLS, most likely */
                if (!newline)
                        return 0;
                size_t n = (size_t)(newline - line);
                if (n == 0 || line[n - 1] != '\r')
                        return refuse(400, "bare LF in the request head", ret_reason);
                if (n == 1) {
                        *ret_end = end;
                        return 0;
                }
                int status = check_line(line, n - 1, *checked == 0, ret_reason);
                if (status != 0)
                        return status;
                *checked = end;
        }
        return 0;
}
