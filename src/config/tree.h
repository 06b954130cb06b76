#pragma once
/* What a YAML or TOML file says, as one tree with line numbers, so that every complaint can name file and line. The
 * typed readers (config.c, auth/tokens.c) walk it and refuse what they do not know. Not thread-safe; immutable once
 * read. Limits: files of at most 1 MiB, nesting of at most 16, no YAML anchors, aliases or tags, no duplicate keys, one
 * document. toml.cc includes this header too, so it stays valid C++. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

#define TREE_MAX_BYTES (1024 * 1024)
#define TREE_MAX_DEPTH 16 /* the root is at depth 1 */

#ifdef __cplusplus
extern "C" {
#endif

/* TREE_DATE: a TOML date or time, which no setting of ours takes. */
enum tree_kind { TREE_NULL, TREE_STRING, TREE_INTEGER, TREE_BOOLEAN, TREE_FLOAT, TREE_DATE, TREE_LIST, TREE_MAP };

struct tree_node {
        enum tree_kind kind;
        unsigned line;     /* 1-based; in a map: where its key stands */
        char *key;         /* in a map: its key */
        char *string;      /* TREE_STRING; in YAML for other scalars the text as written */
        int64_t integer;   /* TREE_INTEGER */
        bool boolean;      /* TREE_BOOLEAN */
        size_t n_children; /* TREE_LIST, TREE_MAP */
        struct tree_node *children;
};

struct tree {
        char *path;    /* as given, for messages */
        unsigned mode; /* permission bits of the file that was read */
        struct tree_node root;
};

/* Chosen by the ending: .toml, .yaml, .yml; anything else is refused. 0, TREE_REFUSED with "<path>:<line>: reason"
 * ("<path>: reason" where no line is to blame), or -errno with the same kind of text. An empty file is a TREE_NULL
 * (YAML) or an empty TREE_MAP (TOML). */
enum { TREE_REFUSED = 1 };
int tree_read(const char *path, struct tree **ret, struct error *err);
struct tree *tree_free(struct tree *t); /* NULL-safe */
DEFINE_FREEP(tree_free, struct tree)

/* The two formats, over bytes. Both fill *root or say why ("<line>: reason"), and leave nothing allocated on
 * failure. */
int tree_parse_yaml(const char *text, size_t len, struct tree_node *root, struct error *err);
int tree_parse_toml(const char *text, size_t len, struct tree_node *root, struct error *err);
void tree_node_done(struct tree_node *n);

/* For the parsers: a new last child, TREE_NULL until filled; key NULL in a list. NULL on ENOMEM. Pointers to earlier
 * children of the same parent are void afterwards. */
struct tree_node *tree_node_add(struct tree_node *parent, const char *key, size_t key_len, unsigned line);

const char *tree_kind_name(enum tree_kind k);                                   /* "a string", "a list", … */
const struct tree_node *tree_get(const struct tree_node *map, const char *key); /* NULL when absent */

/* "<path>:<line>: <text>"; returns TREE_REFUSED so that a check is one line. */
int tree_refuse(const struct tree *t, const struct tree_node *n, struct error *err, const char *fmt, ...)
        _printf_(4, 5);

#ifdef __cplusplus
}
#endif
