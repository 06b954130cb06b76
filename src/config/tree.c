/* Reads a configuration file into a tree: the file is read whole (bounded), handed to the parser that its ending names,
 * and the parser's "<line>: reason" gets the path in front. Fails on a file that cannot be read or is too large, on an
 * unknown ending, and on whatever the parser refuses; nothing is left allocated then. */

#include "config/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/buf.h"

typedef int (*parse_fn)(const char *text, size_t len, struct tree_node *root, struct error *err);

static parse_fn parser_for(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *dot = strrchr(slash ? slash : path, '.');
        if (!dot)
                return NULL;
        if (strcmp(dot, ".toml") == 0)
                return tree_parse_toml;
        if (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0)
                return tree_parse_yaml;
        return NULL;
}

static int read_file(const char *path, struct buf *out, unsigned *ret_mode, struct error *err)
{
        struct stat st = { 0 };
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : buf_read_fd(out, fd, TREE_MAX_BYTES);
        if (r == -EFBIG) {
                error_set(err, "%s: the file is larger than %d bytes", path, TREE_MAX_BYTES);
                return TREE_REFUSED;
        }
        if (r < 0)
                error_set(err, "cannot read %s: %s", path, strerror(-r));
        else
                *ret_mode = (unsigned)st.st_mode & 07777;
        return r;
}

int tree_read(const char *path, struct tree **ret, struct error *err)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        unsigned mode = 0;

        parse_fn parse = parser_for(path);
        if (!parse) {
                error_set(err, "%s: the name must end in .toml, .yaml or .yml", path);
                return TREE_REFUSED;
        }
        int r = read_file(path, &text, &mode, err);
        if (r != 0)
                return r;

        _cleanup_(tree_freep) struct tree *t = calloc(1, sizeof(*t));
        if (!t || !(t->path = strdup(path))) {
                error_set(err, "%s: out of memory", path);
                return -ENOMEM;
        }
        t->mode = mode;
        r = parse(text.data ? (const char *)text.data : "", text.len, &t->root, err);
        if (r != 0) {
                if (err) {
                        struct error reason = *err;
                        error_set(err, "%s:%s", path, reason.text);
                }
                return r;
        }
        *ret = TAKE_PTR(t);
        return 0;
}

struct tree *tree_free(struct tree *t)
{
        if (!t)
                return NULL;
        tree_node_done(&t->root);
        free(t->path);
        free(t);
        return NULL;
}

/* Recursion is bounded by TREE_MAX_DEPTH: the parsers build nothing deeper. */
void tree_node_done(struct tree_node *n)
{
        for (size_t i = 0; i < n->n_children; i++)
                tree_node_done(&n->children[i]);
        free(n->children);
        free(n->key);
        free(n->string);
        *n = (struct tree_node){ 0 };
}

/* Grows at powers of two, so that the capacity need not be stored. */
static int reserve_child(struct tree_node *parent)
{
        size_t n = parent->n_children;
        if ((n & (n - 1)) != 0)
                return 0;
        struct tree_node *children = reallocarray(parent->children, n == 0 ? 1 : 2 * n, sizeof(*children));
        if (!children)
                return -ENOMEM;
        parent->children = children;
        return 0;
}

struct tree_node *tree_node_add(struct tree_node *parent, const char *key, size_t key_len, unsigned line)
{
        _cleanup_(freep) char *copy = NULL;
        if (key && !(copy = strndup(key, key_len)))
                return NULL;
        if (reserve_child(parent) < 0)
                return NULL;
        struct tree_node *n = &parent->children[parent->n_children++];
        *n = (struct tree_node){ .kind = TREE_NULL, .line = line, .key = TAKE_PTR(copy) };
        return n;
}

const char *tree_kind_name(enum tree_kind k)
{
        static const char *const names[] = {
                [TREE_NULL] = "nothing",      [TREE_STRING] = "a string", [TREE_INTEGER] = "an integer",
                [TREE_BOOLEAN] = "a boolean", [TREE_FLOAT] = "a float",   [TREE_DATE] = "a date or time",
                [TREE_LIST] = "a list",       [TREE_MAP] = "a map",
        };
        return (size_t)k < ARRAY_LEN(names) ? names[k] : "unknown";
}

const struct tree_node *tree_get(const struct tree_node *map, const char *key)
{
        if (map->kind != TREE_MAP)
                return NULL;
        for (size_t i = 0; i < map->n_children; i++) {
                if (strcmp(map->children[i].key, key) == 0)
                        return &map->children[i];
        }
        return NULL;
}

int tree_refuse(const struct tree *t, const struct tree_node *n, struct error *err, const char *fmt, ...)
{
        char reason[sizeof(err->text)];
        va_list args;
        va_start(args, fmt);
        vsnprintf(reason, sizeof(reason), fmt, args);
        va_end(args);
        error_set(err, "%s:%u: %s", t->path, n->line, reason);
        return TREE_REFUSED;
}
