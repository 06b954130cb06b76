#include "detritusctl/logs/log_fields.h"

#include <string.h>

#include "util/text/eight.h"

struct scan {
        const char *at, *end;
        unsigned max_depth;
        bool escapes;
};

/* The next quote or backslash, or near the end. */
static const char *next_special(const char *at, const char *end)
{
        for (; end - at >= 8; at += 8) {
                uint64_t eight = eight_load(at), found = eight_equal(eight, '"') | eight_equal(eight, '\\');
                if (found)
                        return at + eight_first(found);
        }
        return at;
}

/* From after the opening quote to after the closing one. */
static bool skip_string(struct scan *s)
{
        for (; (s->at = next_special(s->at, s->end)) < s->end; s->at++) {
                if (*s->at == '"') {
                        s->at++;
                        return true;
                }
                if (*s->at == '\\') {
                        s->escapes = true;
                        s->at++;
                }
        }
        return false;
}

static bool is_scalar(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

/* An object or array, from its first bracket on: brackets are counted, strings passed over. */
static bool skip_nested(struct scan *s)
{
        unsigned depth = 0;
        while (s->at < s->end) {
                char c = *s->at++;
                if (c == '{' || c == '[')
                        depth++;
                else if (c == '}' || c == ']')
                        depth--;
                else if (c == '"' ? !skip_string(s) : c != ':' && c != ',' && !is_scalar(c))
                        return false;
                if (depth == 0)
                        return true;
                if (depth >= s->max_depth)
                        return false;
        }
        return false;
}

static bool skip_value(struct scan *s)
{
        if (s->at == s->end)
                return false;
        if (*s->at == '"') {
                s->at++;
                return skip_string(s);
        }
        if (*s->at == '{' || *s->at == '[')
                return skip_nested(s);
        const char *first = s->at;
        while (s->at < s->end && is_scalar(*s->at))
                s->at++;
        return s->at > first;
}

static struct log_field *field_of(struct log_fields *f, const char *name, size_t len)
{
        static const char severity_text[] = "severity_text", body[] = "body", attributes[] = "attributes";
        if (len == sizeof(body) - 1 && memcmp(name, body, len) == 0)
                return &f->body;
        if (len == sizeof(attributes) - 1 && memcmp(name, attributes, len) == 0)
                return &f->attributes;
        return len == sizeof(severity_text) - 1 && memcmp(name, severity_text, len) == 0 ? &f->severity_text : NULL;
}

static bool take_member(struct scan *s, struct log_fields *ret)
{
        if (s->at == s->end || *s->at++ != '"')
                return false;
        const char *name = s->at;
        s->escapes = false;
        if (!skip_string(s) || s->escapes || s->at == s->end || *s->at != ':')
                return false;
        struct log_field *field = field_of(ret, name, (size_t)(s->at - name) - 1);
        const char *value = ++s->at;
        if (!skip_value(s))
                return false;
        if (field)
                *field = (struct log_field){ value, (size_t)(s->at - value), s->escapes };
        return true;
}

/* The daemon writes these members in one order, and this one after them: nothing that follows is of interest. */
static bool is_rest_of_ours(const struct scan *s, const struct log_fields *f)
{
        static const char next[] = ",\"dropped_attributes_count\":";
        size_t left = (size_t)(s->end - s->at);
        return f->attributes.text && f->body.text && f->severity_text.text && left > sizeof(next) &&
               memcmp(s->at, next, sizeof(next) - 1) == 0 && s->end[-1] == '}';
}

bool log_fields_find(const char *text, size_t len, unsigned max_depth, struct log_fields *ret)
{
        struct scan s = { .at = text, .end = text + len, .max_depth = max_depth };
        *ret = (struct log_fields){ 0 };
        if (len == 0 || *s.at++ != '{' || memchr(text, '\0', len))
                return false;
        while (take_member(&s, ret)) {
                if (is_rest_of_ours(&s, ret))
                        return true;
                if (s.at == s.end)
                        return false;
                char c = *s.at++;
                if (c == '}')
                        return s.at == s.end;
                if (c != ',')
                        return false;
        }
        return false;
}
