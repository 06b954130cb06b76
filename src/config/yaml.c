/* YAML by libyaml's event interface, read strictly: whatever two readers of YAML could understand differently is
 * refused (anchors, aliases, tags, duplicate keys, several documents), and plain scalars follow the core schema of YAML
 * 1.2 §10.3.2, narrowed: true and false alone are booleans, integers are decimal, so "no", "010" and "1:30" stay text.
 *
 * The happy path is a recursive descent: node() takes the event that opens a node and reads up to its end. Each
 * failure leaves "<line>: reason" and the half-built tree, which tree_parse_yaml() frees. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "config/tree.h"

struct reader {
        yaml_parser_t parser;
        const char *text;
        struct error *err;
};

static unsigned line_of(const yaml_event_t *e)
{
        return (unsigned)e->start_mark.line + 1;
}

static int refuse_at(struct reader *r, unsigned line, const char *reason)
{
        error_set(r->err, "%u: %s", line, reason);
        return TREE_REFUSED;
}

static int no_memory(struct reader *r, unsigned line)
{
        error_set(r->err, "%u: out of memory", line);
        return -ENOMEM;
}

/* libyaml says the line of a syntax error, but only the offset of bytes that are not UTF-8. */
static int parser_failed(struct reader *r)
{
        const yaml_parser_t *p = &r->parser;
        if (p->error == YAML_MEMORY_ERROR)
                return no_memory(r, (unsigned)p->mark.line + 1);
        unsigned line = (unsigned)p->problem_mark.line + 1;
        if (p->error == YAML_READER_ERROR) {
                line = 1;
                for (size_t i = 0; i < p->problem_offset; i++)
                        line += r->text[i] == '\n';
        }
        return refuse_at(r, line, p->problem ? p->problem : "not YAML");
}

static int next(struct reader *r, yaml_event_t *ret)
{
        return yaml_parser_parse(&r->parser, ret) ? 0 : parser_failed(r);
}

static bool is_decimal(const char *s)
{
        if (*s == '-')
                s++;
        if (*s == '0')
                return s[1] == '\0';
        size_t n = strspn(s, "0123456789");
        return n > 0 && s[n] == '\0';
}

/* YAML 1.2 §10.3.2: [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, and having a dot or an
 * exponent, so that digits with leading zeros stay text. */
static bool is_float(const char *s)
{
        s += *s == '-' || *s == '+';
        size_t whole = strspn(s, "0123456789");
        s += whole;
        bool dot = *s == '.';
        s += dot;
        size_t fraction = dot ? strspn(s, "0123456789") : 0;
        s += fraction;
        if (whole + fraction == 0)
                return false;
        bool exponent = *s == 'e' || *s == 'E';
        if (exponent) {
                s++;
                s += *s == '-' || *s == '+';
                size_t digits = strspn(s, "0123456789");
                if (digits == 0)
                        return false;
                s += digits;
        }
        return *s == '\0' && (dot || exponent);
}

static enum tree_kind kind_of_plain(const char *s)
{
        if (*s == '\0' || strcmp(s, "~") == 0 || strcmp(s, "null") == 0)
                return TREE_NULL;
        if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
                return TREE_BOOLEAN;
        if (is_decimal(s))
                return TREE_INTEGER;
        return is_float(s) ? TREE_FLOAT : TREE_STRING;
}

/* For any scalar, key or value. libyaml drops the tag "!" itself and only records that a plain scalar may not be
 * read as plain. */
static int check_scalar(struct reader *r, const yaml_event_t *e)
{
        bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (e->data.scalar.anchor)
                return refuse_at(r, line_of(e), "anchors are not supported");
        if (e->data.scalar.tag || (plain && !e->data.scalar.plain_implicit))
                return refuse_at(r, line_of(e), "tags are not supported");
        if (memchr(e->data.scalar.value, '\0', e->data.scalar.length))
                return refuse_at(r, line_of(e), "strings must not contain a NUL character");
        return 0;
}

static int scalar(struct reader *r, const yaml_event_t *e, struct tree_node *n)
{
        int rc = check_scalar(r, e);
        if (rc != 0)
                return rc;
        n->string = strndup((const char *)e->data.scalar.value, e->data.scalar.length);
        if (!n->string)
                return no_memory(r, line_of(e));
        n->kind = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? kind_of_plain(n->string) : TREE_STRING;
        if (n->kind == TREE_BOOLEAN)
                n->boolean = n->string[0] == 't';
        if (n->kind == TREE_INTEGER) {
                errno = 0;
                n->integer = strtoll(n->string, NULL, 10);
                if (errno == ERANGE)
                        return refuse_at(r, line_of(e), "integer out of range");
        }
        return 0;
}

static int by_key_and_line(const void *a, const void *b)
{
        const struct tree_node *x = *(const struct tree_node *const *)a, *y = *(const struct tree_node *const *)b;
        int c = strcmp(x->key, y->key);
        return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* By sorting, not pair by pair: the largest file has some 100,000 keys. */
static int check_duplicates(struct reader *r, const struct tree_node *map)
{
        if (map->n_children < 2)
                return 0;
        _cleanup_(freep) const struct tree_node **sorted = calloc(map->n_children, sizeof(struct tree_node *));
        if (!sorted)
                return no_memory(r, map->line);
        for (size_t i = 0; i < map->n_children; i++)
                sorted[i] = &map->children[i];
        qsort(sorted, map->n_children, sizeof(struct tree_node *), by_key_and_line);
        for (size_t i = 1; i < map->n_children; i++) {
                if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0) {
                        error_set(r->err, "%u: duplicate key \"%.64s\"", sorted[i]->line, sorted[i]->key);
                        return TREE_REFUSED;
                }
        }
        return 0;
}

static int node(struct reader *r, const yaml_event_t *e, struct tree_node *n, unsigned depth);

/* Reads one event and the node that it opens. */
static int next_node(struct reader *r, struct tree_node *n, unsigned depth)
{
        _cleanup_(yaml_event_delete) yaml_event_t e = { 0 };
        int rc = next(r, &e);
        return rc != 0 ? rc : node(r, &e, n, depth);
}

static int map_entry(struct reader *r, const yaml_event_t *key, struct tree_node *map, unsigned depth)
{
        if (key->type == YAML_ALIAS_EVENT)
                return refuse_at(r, line_of(key), "aliases are not supported");
        if (key->type != YAML_SCALAR_EVENT)
                return refuse_at(r, line_of(key), "a key must be a string");
        int rc = check_scalar(r, key);
        if (rc != 0)
                return rc;
        struct tree_node *child =
                tree_node_add(map, (const char *)key->data.scalar.value, key->data.scalar.length, line_of(key));
        return child ? next_node(r, child, depth + 1) : no_memory(r, line_of(key));
}

static int list_item(struct reader *r, const yaml_event_t *first, struct tree_node *list, unsigned depth)
{
        struct tree_node *child = tree_node_add(list, NULL, 0, line_of(first));
        return child ? node(r, first, child, depth + 1) : no_memory(r, line_of(first));
}

static int collection(struct reader *r, struct tree_node *n, unsigned depth)
{
        for (;;) {
                _cleanup_(yaml_event_delete) yaml_event_t e = { 0 };
                int rc = next(r, &e);
                if (rc != 0)
                        return rc;
                if (e.type == YAML_MAPPING_END_EVENT)
                        return check_duplicates(r, n);
                if (e.type == YAML_SEQUENCE_END_EVENT)
                        return 0;
                rc = n->kind == TREE_MAP ? map_entry(r, &e, n, depth) : list_item(r, &e, n, depth);
                if (rc != 0)
                        return rc;
        }
}

static int open_collection(struct reader *r, const yaml_event_t *e, struct tree_node *n, unsigned depth)
{
        bool map = e->type == YAML_MAPPING_START_EVENT;
        if (map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor)
                return refuse_at(r, line_of(e), "anchors are not supported");
        if (map ? !e->data.mapping_start.implicit : !e->data.sequence_start.implicit)
                return refuse_at(r, line_of(e), "tags are not supported");
        if (depth > TREE_MAX_DEPTH)
                return refuse_at(r, line_of(e), "nested too deeply");
        n->kind = map ? TREE_MAP : TREE_LIST;
        return collection(r, n, depth);
}

static int node(struct reader *r, const yaml_event_t *e, struct tree_node *n, unsigned depth)
{
        switch (e->type) {
        case YAML_SCALAR_EVENT: return scalar(r, e, n);
        case YAML_MAPPING_START_EVENT:
        case YAML_SEQUENCE_START_EVENT: return open_collection(r, e, n, depth);
        case YAML_ALIAS_EVENT: return refuse_at(r, line_of(e), "aliases are not supported");
        default: return refuse_at(r, line_of(e), "expected a value");
        }
}

/* Stream start, at most one document, stream end. */
static int document(struct reader *r, struct tree_node *root)
{
        bool seen = false;
        for (;;) {
                _cleanup_(yaml_event_delete) yaml_event_t e = { 0 };
                int rc = next(r, &e);
                if (rc != 0)
                        return rc;
                if (e.type == YAML_STREAM_END_EVENT)
                        return 0;
                if (e.type != YAML_DOCUMENT_START_EVENT)
                        continue;
                if (seen)
                        return refuse_at(r, line_of(&e), "more than one document");
                if (e.data.document_start.tag_directives.start != e.data.document_start.tag_directives.end)
                        return refuse_at(r, line_of(&e), "tags are not supported");
                seen = true;
                rc = next_node(r, root, 1);
                if (rc != 0)
                        return rc;
        }
}

int tree_parse_yaml(const char *text, size_t len, struct tree_node *root, struct error *err)
{
        struct reader r = { .text = text, .err = err };
        if (!yaml_parser_initialize(&r.parser))
                return no_memory(&r, 1);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);

        struct tree_node n = { .kind = TREE_NULL, .line = 1 };
        int rc = document(&r, &n);
        yaml_parser_delete(&r.parser);
        if (rc != 0)
                tree_node_done(&n);
        else
                *root = n;
        return rc;
}
