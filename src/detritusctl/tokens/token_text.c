#include "detritusctl/tokens/token_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/tree.h"

#define YAML_INDENT 2

/* ---- lines ---- */

/* Where line `line` (from 1) begins; the end when there are fewer. */
static size_t line_start(const struct buf *text, unsigned line)
{
        size_t at = 0;
        for (unsigned i = 1; i < line && at < text->len; i++) {
                const uint8_t *newline = memchr(text->data + at, '\n', text->len - at);
                at = newline ? (size_t)(newline - text->data) + 1 : text->len;
        }
        return at;
}

/* The first character of a line that is not a blank; '\0': the line is empty. */
static char first_character(const struct buf *text, unsigned line)
{
        for (size_t i = line_start(text, line); i < text->len && text->data[i] != '\n'; i++) {
                if (text->data[i] != ' ' && text->data[i] != '\t' && text->data[i] != '\r')
                        return (char)text->data[i];
        }
        return '\0';
}

static unsigned indent_of(const struct buf *text, unsigned line)
{
        unsigned n = 0;
        for (size_t i = line_start(text, line); i < text->len && text->data[i] == ' '; i++)
                n++;
        return n;
}

static bool is_blank_or_comment(const struct buf *text, unsigned line)
{
        char c = first_character(text, line);
        return c == '\0' || c == '#';
}

/* As the first line ends. */
static const char *line_break(const struct buf *text)
{
        const uint8_t *newline = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
        return newline && newline > text->data && newline[-1] == '\r' ? "\r\n" : "\n";
}

static unsigned count_lines(const struct buf *text)
{
        unsigned n = 0;
        for (size_t i = 0; i < text->len; i++)
                n += text->data[i] == '\n';
        return n + (text->len > 0 && text->data[text->len - 1] != '\n');
}

/* ---- entries ---- */

struct parsed {
        struct tree_node root;
        const struct tree_node *list; /* of tokens, with at least one */
};

static void parsed_done(struct parsed *p)
{
        tree_node_done(&p->root);
}

static int parse(const struct buf *text, bool toml, struct parsed *ret, struct error *err)
{
        const char *bytes = (const char *)text->data;
        int r = toml ? tree_parse_toml(bytes, text->len, &ret->root, err)
                     : tree_parse_yaml(bytes, text->len, &ret->root, err);
        if (r != 0)
                return r;
        ret->list = tree_get(&ret->root, "token");
        if (ret->list && ret->list->kind == TREE_LIST && ret->list->n_children > 0)
                return 0;
        error_set(err, "the file has no list of tokens");
        return TREE_REFUSED;
}

static const struct tree_node *find_entry(const struct parsed *p, const char *id)
{
        for (size_t i = 0; i < p->list->n_children; i++) {
                const struct tree_node *n = tree_get(&p->list->children[i], "id");
                if (n && n->string && strcmp(n->string, id) == 0)
                        return &p->list->children[i];
        }
        return NULL;
}

/* An entry begins with "[[token]]", or with the dash, which may be alone on a line before the first key. */
static unsigned first_line(const struct buf *text, bool toml, const struct tree_node *entry)
{
        unsigned line = entry->line;
        for (size_t i = 0; i < entry->n_children; i++)
                line = entry->children[i].line < line ? entry->children[i].line : line;
        for (char begins = toml ? '[' : '-'; line > 1 && first_character(text, line) != begins; line--)
                ;
        return line;
}

/* The first line after this entry where another entry or setting begins. 0: there is none. */
static unsigned next_line(const struct buf *text, bool toml, const struct parsed *p, const struct tree_node *entry)
{
        unsigned own = first_line(text, toml, entry), next = 0;
        for (size_t i = 0; i < p->root.n_children; i++) {
                unsigned line = p->root.children[i].line;
                if (&p->root.children[i] != p->list && line > own && (next == 0 || line < next))
                        next = line;
        }
        for (size_t i = 0; i < p->list->n_children; i++) {
                unsigned line = first_line(text, toml, &p->list->children[i]);
                if (&p->list->children[i] != entry && line > own && (next == 0 || line < next))
                        next = line;
        }
        return next;
}

/* The line after the entry's last one. In YAML a line that is not indented deeper than the dash, "..." for example, is
 * not part of the entry. */
static unsigned end_line(const struct buf *text, bool toml, const struct parsed *p, const struct tree_node *entry)
{
        unsigned first = first_line(text, toml, entry), next = next_line(text, toml, p, entry);
        unsigned end = first + 1, limit = next ? next : count_lines(text) + 1;
        while (end < limit && (toml || is_blank_or_comment(text, end) || indent_of(text, end) > indent_of(text, first)))
                end++;
        while (end > first + 1 && is_blank_or_comment(text, end - 1))
                end--;
        return end;
}

/* ---- adding ---- */

/* A string in double quotes, for either format. The values that come here have no control characters (checked when the
 * result is read back), so only quotes and backslashes are escaped. */
static void append_quoted(struct buf *b, const char *s)
{
        buf_append_char(b, '"');
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        buf_append_char(b, '\\');
                buf_append_char(b, *s);
        }
        buf_append_char(b, '"');
}

/* How an entry is written. */
struct style {
        const char *first, *rest; /* what the lines begin with */
        const char *separator;    /* between key and value */
        const char *end;          /* of a line */
};

static void append_entry(struct buf *out, const struct token *t, const struct style *style)
{
        const char *members[][2] = { { "id", t->id },
                                     { "secret", t->secret },
                                     { "project", t->project },
                                     { "source_prefix", t->source_prefix } };
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                buf_printf(out, "%s%s%s", i == 0 ? style->first : style->rest, members[i][0], style->separator);
                append_quoted(out, members[i][1]);
                buf_append_str(out, style->end);
        }
        if (t->url_key)
                buf_printf(out, "%surl_key%strue%s", style->rest, style->separator, style->end);
}

/* The last line gets its line break when it has none. */
static void end_last_line(const struct buf *old, const char *end, struct buf *out)
{
        if (old->len > 0 && old->data[old->len - 1] != '\n' && out->len == old->len)
                buf_append_str(out, end);
}

static int add_to_toml(const struct buf *old, const struct token *token, struct buf *out)
{
        const struct style style = { "", "", " = ", line_break(old) };
        buf_append(out, old->data, old->len);
        end_last_line(old, style.end, out);
        buf_printf(out, "%s[[token]]%s", old->len > 0 ? style.end : "", style.end);
        append_entry(out, token, &style);
        return out->error;
}

static void append_yaml_entry(struct buf *out, const struct token *token, unsigned indent, const char *end)
{
        char first[80], rest[80];
        const struct style style = { first, rest, ": ", end };
        snprintf(first, sizeof(first), "%*s- ", (int)(indent & 31), "");
        snprintf(rest, sizeof(rest), "%*s  ", (int)(indent & 31), "");
        append_entry(out, token, &style);
}

/* After the last item, before the comments of what follows; its dash is below the last one's. */
static int add_to_yaml(const struct buf *old, const struct token *token, struct buf *out, struct error *err)
{
        _cleanup_(parsed_done) struct parsed p = { 0 };
        if (old->len == 0) {
                buf_append_str(out, "token:\n");
                append_yaml_entry(out, token, YAML_INDENT, "\n");
                return out->error;
        }
        int r = parse(old, false, &p, err);
        if (r != 0)
                return r;
        const struct tree_node *last = &p.list->children[p.list->n_children - 1];
        size_t at = line_start(old, end_line(old, false, &p, last));
        buf_append(out, old->data, at);
        end_last_line(old, line_break(old), out);
        append_yaml_entry(out, token, indent_of(old, first_line(old, false, last)), line_break(old));
        return buf_append(out, old->data + at, old->len - at);
}

int token_text_add(const struct token_text *old, const struct token *token, struct buf *out, struct error *err)
{
        return old->is_toml ? add_to_toml(old->text, token, out) : add_to_yaml(old->text, token, out, err);
}

/* ---- changing ---- */

int token_text_exchange(const struct token_text *t, const struct token_text_change *change, struct buf *out,
                        struct error *err)
{
        _cleanup_(parsed_done) struct parsed p = { 0 };
        const struct buf *old = t->text;
        int r = parse(old, t->is_toml, &p, err);
        if (r != 0)
                return r;
        const struct tree_node *entry = find_entry(&p, change->id), *secret = entry ? tree_get(entry, "secret") : NULL;
        size_t start = secret ? line_start(old, secret->line) : old->len;
        const uint8_t *found = memmem(old->data + start, old->len - start, change->from, strlen(change->from));
        if (!found) {
                error_set(err, "the hash of this token is not written out in the file; edit it by hand");
                return 1;
        }
        size_t at = (size_t)(found - old->data), after = at + strlen(change->from);
        buf_append(out, old->data, at);
        buf_append_str(out, change->to);
        return buf_append(out, old->data + after, old->len - after);
}

int token_text_remove(const struct token_text *t, const char *id, struct buf *out, struct error *err)
{
        _cleanup_(parsed_done) struct parsed p = { 0 };
        const struct buf *old = t->text;
        int r = parse(old, t->is_toml, &p, err);
        if (r != 0)
                return r;
        const struct tree_node *entry = find_entry(&p, id);
        if (!entry) {
                error_set(err, "there is no entry with this id");
                return 1;
        }
        unsigned first = first_line(old, t->is_toml, entry), end = end_line(old, t->is_toml, &p, entry);
        /* Blank lines on one side are enough. */
        if (first == 1 || first_character(old, first - 1) == '\0')
                for (unsigned last = count_lines(old); end <= last && first_character(old, end) == '\0'; end++)
                        ;
        size_t at = line_start(old, first), after = line_start(old, end);
        buf_append(out, old->data, at);
        return buf_append(out, old->data + after, old->len - after);
}
