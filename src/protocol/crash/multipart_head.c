#include "protocol/crash/multipart_head.h"

#include <string.h>
#include <strings.h>

#include "protocol/crash/multipart_filename.h"
#include "util/text/utf8.h"

/* Header values of multipart: Content-Type with its boundary, and the header lines of a part. Three of these have a
 * meaning, and each may come once: Content-Disposition (RFC 7578 §4.2), Content-Type, Content-Encoding. Of the others
 * only the form is checked. A file name is taken however it is written, and made readable.
 *
 * Failure: the message says which part is wrong and what was expected there. It never repeats a value. */

static bool is_space(char c)
{
        return c == ' ' || c == '\t';
}

/* RFC 9110 §5.6.2 tchar. */
static bool is_token_char(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (!is_token_char(s[i]))
                        return false;
        }
        return len > 0;
}

static const char *skip_space(const char *s)
{
        while (is_space(*s))
                s++;
        return s;
}

/* value: the text between the quotes, escapes included, or the bare token. */
struct param {
        const char *name, *value;
        size_t name_len, value_len;
        bool quoted;
};

static bool param_is(const struct param *p, const char *name)
{
        return p->name_len == strlen(name) && strncasecmp(p->name, name, p->name_len) == 0;
}

enum next { NEXT_FOUND, NEXT_END, NEXT_BAD };

/* From after the opening quote to the closing one. Only \" and \\ are escapes: browsers send a lone backslash as is. */
static const char *quoted_end(const char *s)
{
        while (*s && *s != '"')
                s += s[0] == '\\' && (s[1] == '"' || s[1] == '\\') ? 2 : 1;
        return *s ? s : NULL;
}

static enum next next_value(const char **at, struct param *ret)
{
        const char *s = *at, *end;
        ret->quoted = *s == '"';
        if (ret->quoted) {
                end = quoted_end(++s);
                if (!end)
                        return NEXT_BAD;
                *at = end + 1;
        } else {
                end = s + strcspn(s, "; \t");
                if (end == s)
                        return NEXT_BAD;
                *at = end;
        }
        ret->value = s;
        ret->value_len = (size_t)(end - s);
        return NEXT_FOUND;
}

/* The closing quote of a file name: one that a parameter or the end follows, because clients also send quotes inside
 * the name as they are. NULL: there is none. */
static const char *filename_end(const char *s, bool escapes)
{
        for (; *s; s++) {
                const char *after = skip_space(s + 1);
                if (escapes && s[0] == '\\' && (s[1] == '"' || s[1] == '\\'))
                        s++;
                else if (*s == '"' && (*after == '\0' || *after == ';'))
                        return s;
        }
        return NULL;
}

/* Takes anything: with quotes inside, without the last one, bare with spaces. */
static void next_filename(const char **at, struct param *ret)
{
        const char *s = *at, *end;
        ret->quoted = *s == '"';
        if (ret->quoted) {
                end = filename_end(++s, true);
                if (!end) { /* "C:\logs\": those are no escapes */
                        ret->quoted = false;
                        end = filename_end(s, false);
                }
                if (!end)
                        end = s + strlen(s);
                *at = *end ? end + 1 : end;
        } else {
                end = s + strcspn(s, ";");
                *at = end;
                while (end > s && is_space(end[-1]))
                        end--;
        }
        ret->value = s;
        ret->value_len = (size_t)(end - s);
}

/* The next *( OWS ";" OWS [ token "=" ( token / quoted-string ) ] ), RFC 9110 §5.6.6. */
static enum next next_param(const char **at, struct param *ret)
{
        const char *s = skip_space(*at);
        if (*s != '\0' && *s != ';')
                return NEXT_BAD;
        while (*s == ';')
                s = skip_space(s + 1);
        if (*s == '\0')
                return NEXT_END;
        ret->name = s;
        while (is_token_char(*s))
                s++;
        ret->name_len = (size_t)(s - ret->name);
        if (ret->name_len == 0 || *s != '=')
                return NEXT_BAD;
        *at = s + 1;
        if (param_is(ret, "filename") || param_is(ret, "filename*")) {
                next_filename(at, ret);
                return NEXT_FOUND;
        }
        return next_value(at, ret);
}

/* Is word the first of value? *at: what follows it. */
static bool starts_with_word(const char *value, const char *word, const char **at)
{
        size_t n = strlen(word);
        value = skip_space(value);
        if (strncasecmp(value, word, n) != 0 || (value[n] != '\0' && value[n] != ';' && !is_space(value[n])))
                return false;
        *at = value + n;
        return true;
}

/* RFC 2046 §5.1.1: 1 to 70 of bchars, the last not a space. */
static bool boundary_valid(const char *s, size_t len)
{
        if (len == 0 || len > MULTIPART_BOUNDARY_MAX || s[len - 1] == ' ')
                return false;
        for (size_t i = 0; i < len; i++) {
                char c = s[i];
                bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
                if (!alnum && !strchr("'()+_,-./:=? ", c))
                        return false;
        }
        return true;
}

int multipart_head_boundary(const char *content_type, char ret[MULTIPART_BOUNDARY_MAX + 1], struct refusal *r)
{
        struct param p, boundary = { 0 };
        const char *at;
        enum next next;

        if (!content_type || !starts_with_word(content_type, "multipart/form-data", &at))
                return refuse(r, ANSWER_MEDIA_TYPE, "content type must be multipart/form-data");
        while ((next = next_param(&at, &p)) == NEXT_FOUND) {
                if (!param_is(&p, "boundary"))
                        continue;
                if (boundary.name)
                        return refuse(r, ANSWER_MALFORMED, "missing multipart boundary: there are two");
                boundary = p;
        }
        if (next == NEXT_BAD || !boundary.name)
                return refuse(r, ANSWER_MALFORMED, "missing multipart boundary");
        if (!boundary_valid(boundary.value, boundary.value_len))
                return refuse(r, ANSWER_MALFORMED, "missing multipart boundary: not 1 to %d characters of RFC 2046",
                              MULTIPART_BOUNDARY_MAX);
        memcpy(ret, boundary.value, boundary.value_len);
        ret[boundary.value_len] = '\0';
        return 0;
}

static int malformed(unsigned number, const char *expected, struct refusal *r)
{
        return refuse(r, ANSWER_MALFORMED, "multipart part %u: expected %s", number, expected);
}

/* Removes the escapes and terminates the string, over its closing quote or the byte after it. */
static const char *unquote(const struct param *p)
{
        char *to = (char *)p->value, *start = to;
        const char *from = p->value, *end = from + p->value_len;
        while (from < end) {
                if (p->quoted && *from == '\\' && (from[1] == '"' || from[1] == '\\'))
                        from++;
                *to++ = *from++;
        }
        *to = '\0';
        return start;
}

static bool has_control(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)s[i];
                if ((c < 0x20 && c != '\t') || c == 0x7F)
                        return true;
        }
        return false;
}

static bool is_text(const struct param *p)
{
        if (!p->quoted && !is_token(p->value, p->value_len))
                return false;
        return !has_control(p->value, p->value_len) && !memchr(p->value, '\t', p->value_len) &&
               utf8_valid(p->value, p->value_len);
}

/* RFC 6266 §4.3: filename* before filename. */
static int take_filename(const struct param *plain, const struct param *extended, struct buf *text, const char **ret)
{
        const struct param *p = extended->name ? extended : plain;
        int e = 0;
        *ret = NULL;
        if (!p->name)
                return 0;
        buf_clear(text);
        char *value = (char *)unquote(p);
        if (p == extended)
                e = multipart_filename_decode(value, strlen(value), text);
        else
                e = multipart_filename_mend(value, strlen(value), text);
        if (e == 0)
                *ret = (const char *)text->data;
        return e;
}

static int parse_disposition(const char *value, unsigned number, struct buf *text, struct multipart_part *part,
                             struct refusal *r)
{
        struct param p, name = { 0 }, filename = { 0 }, extended = { 0 };
        enum next next;

        if (!starts_with_word(value, "form-data", &value))
                return malformed(number, "Content-Disposition: form-data", r);
        while ((next = next_param(&value, &p)) == NEXT_FOUND) {
                struct param *file = param_is(&p, "filename")    ? &filename
                                     : param_is(&p, "filename*") ? &extended
                                                                 : NULL;
                if (file && !file->name)
                        *file = p; /* of several the first */
                if (file || !param_is(&p, "name"))
                        continue;
                if (name.name)
                        return malformed(number, "one name in Content-Disposition", r);
                if (!is_text(&p))
                        return malformed(number, "a name in UTF-8 without control characters", r);
                name = p;
        }
        if (next == NEXT_BAD)
                return malformed(number, "parameters as key=value in Content-Disposition", r);
        if (!name.name)
                return malformed(number, "a name in Content-Disposition", r);
        part->name = unquote(&name);
        return take_filename(&filename, &extended, text, &part->filename);
}

struct headers {
        const char *disposition, *content_type, *content_encoding;
};

/* Its file name may have control characters. A NUL would end it. */
static bool is_disposition(char *line, size_t len)
{
        static const char name[] = "Content-Disposition:";
        if (len < sizeof(name) - 1 || strncasecmp(line, name, sizeof(name) - 1) != 0)
                return false;
        for (char *p = line; (p = memchr(p, '\0', len - (size_t)(p - line)));)
                *p = '\x01';
        return true;
}

static int parse_line(char *line, size_t len, unsigned number, struct headers *headers, struct refusal *r)
{
        if (!is_disposition(line, len) && has_control(line, len))
                return malformed(number, "header lines without control characters", r);
        char *colon = memchr(line, ':', len), *value, *end = line + len;
        if (!colon || !is_token(line, (size_t)(colon - line)))
                return malformed(number, "a header's name and a colon", r);
        while (end > colon + 1 && is_space(end[-1]))
                end--;
        *colon = *end = '\0'; /* within the line: a CR follows its len bytes */
        value = colon + 1;
        value += strspn(value, " \t");

        const char **slot = strcasecmp(line, "Content-Disposition") == 0 ? &headers->disposition
                            : strcasecmp(line, "Content-Type") == 0      ? &headers->content_type
                            : strcasecmp(line, "Content-Encoding") == 0  ? &headers->content_encoding
                                                                         : NULL;
        if (!slot)
                return 0;
        if (*slot)
                return malformed(number, "each header at most once", r);
        if (slot != &headers->disposition && !utf8_valid(value, strlen(value)))
                return malformed(number, "headers in UTF-8", r);
        *slot = value;
        return 0;
}

int multipart_head_parse(char *head, size_t len, unsigned number, struct buf *text, struct multipart_part *ret,
                         struct refusal *r)
{
        struct headers headers = { 0 };
        struct multipart_part part = { 0 };

        for (char *line = head, *end = head + len, *lf; line < end; line = lf + 1) {
                lf = memchr(line, '\n', (size_t)(end - line));
                int answer = parse_line(line, (size_t)(lf - line) - 1, number, &headers, r);
                if (answer != 0)
                        return answer;
        }
        if (!headers.disposition)
                return malformed(number, "a Content-Disposition header", r);
        int answer = parse_disposition(headers.disposition, number, text, &part, r);
        if (answer != 0)
                return answer;
        part.content_type = headers.content_type;
        part.content_encoding = headers.content_encoding;
        *ret = part;
        return 0;
}
