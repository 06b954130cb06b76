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

/* Its first character that is no blank; '\0' for an empty one. */
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

static bool is_between(const struct buf *text, unsigned line)
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
        error_set(err, "there is no list of tokens in it");
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

/* An entry begins with "[[token]]", or with the dash, which may stand alone on a line before the first key. */
static unsigned first_line(const struct buf *text, bool toml, const struct tree_node *entry)
{
        unsigned line = entry->line;
        for (size_t i = 0; i < entry->n_children; i++)
                line = entry->children[i].line < line ? entry->children[i].line : line;
        for (char begins = toml ? '[' : '-'; line > 1 && first_character(text, line) != begins; line--)
                ;
        return line;
}

/* The lines at which anything begins that is not this entry: other entries, other settings. 0: there is none behind. */
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

/* The line behind the entry's last one. In YAML what is indented no deeper than the dash is no part of it, "..." for
 * instance. */
static unsigned end_line(const struct buf *text, bool toml, const struct parsed *p, const struct tree_node *entry)
{
        unsigned first = first_line(text, toml, entry), next = next_line(text, toml, p, entry);
        unsigned end = first + 1, behind = next ? next : count_lines(text) + 1;
        while (end < behind && (toml || is_between(text, end) || indent_of(text, end) > indent_of(text, first)))
                end++;
        while (end > first + 1 && is_between(text, end - 1))
                end--;
        return end;
}

/* ---- adding ---- */

/* A string in double quotes, for either format. The values that come here have no control characters (checked when the
 * result is read back), so that quotes and backslashes are all there is to escape. */
static int append_quoted(struct buf *b, const char *s)
{
        int r = buf_append_char(b, '"');
        for (; r == 0 && *s; s++) {
                if (*s == '"' || *s == '\\')
                        r = buf_append_char(b, '\\');
                if (r == 0)
                        r = buf_append_char(b, *s);
        }
        return r == 0 ? buf_append_char(b, '"') : r;
}

/* How an entry is written. */
struct style {
        const char *first, *rest; /* begin the lines */
        const char *separator;    /* between key and value */
        const char *end;          /* of a line */
};

static int render(const struct token *t, const struct style *style, struct buf *out)
{
        const char *members[][2] = { { "id", t->id },
                                     { "secret", t->secret },
                                     { "project", t->project },
                                     { "source_prefix", t->source_prefix } };
        int r = 0;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(members); i++) {
                r = buf_printf(out, "%s%s%s", i == 0 ? style->first : style->rest, members[i][0], style->separator);
                if (r == 0)
                        r = append_quoted(out, members[i][1]);
                if (r == 0)
                        r = buf_append_str(out, style->end);
        }
        return r == 0 && t->url_key ? buf_printf(out, "%surl_key%strue%s", style->rest, style->separator, style->end)
                                    : r;
}

/* What is last gets its line break when it has none. */
static int end_last_line(const struct buf *old, const char *end, struct buf *out)
{
        bool open = old->len > 0 && old->data[old->len - 1] != '\n' && out->len == old->len;
        return open ? buf_append_str(out, end) : 0;
}

static int add_to_toml(const struct buf *old, const struct token *token, struct buf *out)
{
        const struct style style = { "", "", " = ", line_break(old) };
        int r = buf_append(out, old->data, old->len);
        if (r == 0)
                r = end_last_line(old, style.end, out);
        if (r == 0)
                r = buf_printf(out, "%s[[token]]%s", old->len > 0 ? style.end : "", style.end);
        return r == 0 ? render(token, &style, out) : r;
}

static int render_yaml(const struct token *token, unsigned indent, const char *end, struct buf *out)
{
        char first[80], rest[80];
        const struct style style = { first, rest, ": ", end };
        snprintf(first, sizeof(first), "%*s- ", (int)(indent & 31), "");
        snprintf(rest, sizeof(rest), "%*s  ", (int)(indent & 31), "");
        return render(token, &style, out);
}

/* Behind the last item, before the comments of what follows, its dash below the last one's. */
static int add_to_yaml(const struct buf *old, const struct token *token, struct buf *out, struct error *err)
{
        _cleanup_(parsed_done) struct parsed p = { 0 };
        if (old->len == 0) {
                int r = buf_append_str(out, "token:\n");
                return r == 0 ? render_yaml(token, YAML_INDENT, "\n", out) : r;
        }
        int r = parse(old, false, &p, err);
        if (r != 0)
                return r;
        const struct tree_node *last = &p.list->children[p.list->n_children - 1];
        size_t at = line_start(old, end_line(old, false, &p, last));
        r = buf_append(out, old->data, at);
        if (r == 0)
                r = end_last_line(old, line_break(old), out);
        if (r == 0)
                r = render_yaml(token, indent_of(old, first_line(old, false, last)), line_break(old), out);
        return r == 0 ? buf_append(out, old->data + at, old->len - at) : r;
}

int token_text_add(const struct buf *old, bool toml, const struct token *token, struct buf *out, struct error *err)
{
        return toml ? add_to_toml(old, token, out) : add_to_yaml(old, token, out, err);
}

/* ---- changing ---- */

int token_text_exchange(const struct buf *old, bool toml, const char *id, const char *from, const char *to,
                        struct buf *out, struct error *err)
{
        _cleanup_(parsed_done) struct parsed p = { 0 };
        int r = parse(old, toml, &p, err);
        if (r != 0)
                return r;
        const struct tree_node *entry = find_entry(&p, id), *secret = entry ? tree_get(entry, "secret") : NULL;
        size_t start = secret ? line_start(old, secret->line) : old->len;
        const uint8_t *found = memmem(old->data + start, old->len - start, from, strlen(from));
        if (!found) {
                error_set(err, "its hash is not written out in the file");
                return 1;
        }
        size_t at = (size_t)(found - old->data), behind = at + strlen(from);
        r = buf_append(out, old->data, at);
        if (r == 0)
                r = buf_append_str(out, to);
        return r == 0 ? buf_append(out, old->data + behind, old->len - behind) : r;
}

int token_text_remove(const struct buf *old, bool toml, const char *id, struct buf *out, struct error *err)
{
        _cleanup_(parsed_done) struct parsed p = { 0 };
        int r = parse(old, toml, &p, err);
        if (r != 0)
                return r;
        const struct tree_node *entry = find_entry(&p, id);
        if (!entry) {
                error_set(err, "no such entry");
                return 1;
        }
        unsigned first = first_line(old, toml, entry), end = end_line(old, toml, &p, entry);
        /* Of the blank lines on both sides one side is enough. */
        if (first == 1 || first_character(old, first - 1) == '\0')
                for (unsigned last = count_lines(old); end <= last && first_character(old, end) == '\0'; end++)
                        ;
        size_t at = line_start(old, first), behind = line_start(old, end);
        r = buf_append(out, old->data, at);
        return r == 0 ? buf_append(out, old->data + behind, old->len - behind) : r;
}
