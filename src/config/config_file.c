/* The configuration file: its tree is walked key by key, each looked up in the table of config_keys.c; "bind",
 * "listeners", "projects" and "derive_install_id" alone are read by hand. Bounds that concern two settings at once
 * are checked when all is read. Every refusal reads "<path>:<line>: <dotted.key>: reason". */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/tree.h"

static const char *wanted(enum config_type type)
{
        switch (type) {
        case CONFIG_COUNT: return "an integer";
        case CONFIG_BYTES: return "a size";
        case CONFIG_BOOL: return "true or false";
        case CONFIG_CHOICE:
        case CONFIG_TEXT: break;
        }
        return "a string";
}

static int wrong_kind(const struct tree_node *n, const char *expected, struct error *err)
{
        error_set(err, "expected %s, got %s", expected, tree_kind_name(n->kind));
        return CONFIG_REFUSED;
}

static int parse_number(const struct config_key *k, const struct tree_node *n, uint64_t *ret, struct error *err)
{
        uint64_t value = 0;
        if (n->kind == TREE_INTEGER) {
                if (n->integer < 0) {
                        error_set(err, "must not be negative");
                        return CONFIG_REFUSED;
                }
                value = (uint64_t)n->integer;
        } else if (k->type != CONFIG_BYTES || n->kind != TREE_STRING) {
                return wrong_kind(n, wanted(k->type), err);
        } else if (config_parse_size(n->string, &value) != 0) {
                return config_refuse_size(n->string, err);
        }
        int r = config_check_bounds(k, value, err);
        if (r == 0)
                *ret = value;
        return r;
}

static int read_number(struct config *c, const struct config_key *k, const struct tree_node *n, struct error *err)
{
        uint64_t value;
        int r = parse_number(k, n, &value, err);
        if (r == 0)
                config_store_number(c, k, value);
        return r;
}

static int read_value(struct config *c, const struct config_key *k, const struct tree_node *n, struct error *err)
{
        switch (k->type) {
        case CONFIG_COUNT:
        case CONFIG_BYTES: return read_number(c, k, n, err);
        case CONFIG_BOOL:
                if (n->kind != TREE_BOOLEAN)
                        return wrong_kind(n, wanted(k->type), err);
                config_store_number(c, k, n->boolean);
                return 0;
        case CONFIG_CHOICE:
        case CONFIG_TEXT: break;
        }
        if (n->kind != TREE_STRING)
                return wrong_kind(n, wanted(k->type), err);
        return k->type == CONFIG_CHOICE ? config_store_choice(c, k, n->string, err)
                                        : config_store_text(c, k, n->string, err);
}

/* Puts file, line and key before the reason that a reader left. */
static int located(const struct tree *t, const struct tree_node *n, const char *section, struct error *err, int r)
{
        if (r > 0) {
                error_prefix(err, "%s:%u: %s%s%.64s", t->path, n->line, section, *section ? "." : "", n->key);
                return CONFIG_REFUSED;
        }
        if (r < 0)
                error_set(err, "%s: %s", t->path, strerror(-r));
        return r;
}

static int read_section(struct config *c, const struct tree *t, const struct tree_node *map, struct error *err)
{
        if (map->kind == TREE_NULL)
                return 0;
        if (map->kind != TREE_MAP)
                return located(t, map, "", err, wrong_kind(map, "a map", err));
        for (size_t i = 0; i < map->n_children; i++) {
                const struct tree_node *n = &map->children[i];
                const struct config_key *k = config_key_find(map->key, n->key);
                int r = CONFIG_REFUSED;
                if (k)
                        r = read_value(c, k, n, err);
                else
                        error_set(err, "unknown key");
                if (r != 0)
                        return located(t, n, map->key, err, r);
        }
        return 0;
}

static int read_bind(struct config *c, const struct tree_node *n, struct error *err)
{
        if (n->kind != TREE_STRING)
                return wrong_kind(n, "a string", err);
        return config_listener_add(c, n->string, err);
}

static int read_listener(struct config *c, const struct tree *t, const struct tree_node *map, struct error *err)
{
        if (map->kind != TREE_MAP)
                return tree_refuse(t, map, err, "listeners: expected a map, got %s", tree_kind_name(map->kind));
        for (size_t i = 0; i < map->n_children; i++) {
                const struct tree_node *n = &map->children[i];
                int r = CONFIG_REFUSED;
                if (strcmp(n->key, "bind") == 0)
                        r = read_bind(c, n, err);
                else if (strcmp(n->key, "tls") == 0)
                        error_set(err, "tls is not supported yet");
                else
                        error_set(err, "unknown key");
                if (r != 0)
                        return located(t, n, "listeners", err, r);
        }
        if (!tree_get(map, "bind"))
                return tree_refuse(t, map, err, "listeners: bind is missing");
        return 0;
}

static int read_listeners(struct config *c, const struct tree *t, const struct tree_node *list, struct error *err)
{
        if (list->kind != TREE_LIST)
                return located(t, list, "", err, wrong_kind(list, "a list", err));
        if (list->n_children == 0)
                return tree_refuse(t, list, err, "listeners: must not be empty");
        for (size_t i = 0; i < list->n_children; i++) {
                int r = read_listener(c, t, &list->children[i], err);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_cap(struct config_caps *caps, const struct tree_node *n, struct error *err)
{
        if (strcmp(n->key, "logs_max_bytes") == 0)
                return parse_number(config_key_find("logs", "max_bytes"), n, &caps->logs_max_bytes, err);
        if (strcmp(n->key, "crashes_max_bytes") == 0)
                return parse_number(config_key_find("crashes", "max_bytes"), n, &caps->crashes_max_bytes, err);
        error_set(err, "unknown key");
        return CONFIG_REFUSED;
}

/* As in docs/protocol.md, "Who sent it": a name that no source can have would be a cap on nothing. */
static bool is_project(const char *name)
{
        size_t len = strlen(name);
        return len > 0 && len < CONFIG_PROJECT_SIZE && *name != '.' &&
               strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+:~") == len;
}

static int read_project(struct config_project *p, const struct tree *t, const struct tree_node *map, struct error *err)
{
        char section[sizeof("projects.") + CONFIG_PROJECT_SIZE];
        if (!is_project(map->key))
                return tree_refuse(t, map, err, "projects: \"%.64s\" is not a project name", map->key);
        if (map->kind != TREE_MAP)
                return located(t, map, "projects", err, wrong_kind(map, "a map", err));
        snprintf(p->name, sizeof(p->name), "%s", map->key);
        snprintf(section, sizeof(section), "projects.%s", map->key);
        for (size_t i = 0; i < map->n_children; i++) {
                int r = read_cap(&p->caps, &map->children[i], err);
                if (r != 0)
                        return located(t, &map->children[i], section, err, r);
        }
        return 0;
}

static int read_projects(struct config *c, const struct tree *t, const struct tree_node *map, struct error *err)
{
        if (map->kind == TREE_NULL || (map->kind == TREE_MAP && map->n_children == 0))
                return 0;
        if (map->kind != TREE_MAP)
                return located(t, map, "", err, wrong_kind(map, "a map", err));
        if (map->n_children > CONFIG_PROJECTS_MAX)
                return tree_refuse(t, map, err, "projects: more than %d", CONFIG_PROJECTS_MAX);
        c->projects = calloc(map->n_children, sizeof(*c->projects));
        if (!c->projects)
                return located(t, map, "", err, -ENOMEM);
        for (size_t i = 0; i < map->n_children; i++) {
                int r = read_project(&c->projects[c->n_projects++], t, &map->children[i], err);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_derive(struct config *c, const struct tree *t, const struct tree_node *list, struct error *err)
{
        if (list->kind != TREE_LIST)
                return located(t, list, "", err, wrong_kind(list, "a list", err));
        config_derive_clear(c);
        for (size_t i = 0; i < list->n_children; i++) {
                const struct tree_node *n = &list->children[i];
                int r = n->kind == TREE_STRING ? config_derive_add(c, n->string, err) : wrong_kind(n, "a string", err);
                if (r > 0)
                        error_prefix(err, "%s:%u: %s", t->path, n->line, list->key);
                if (r != 0)
                        return r;
        }
        return 0;
}

static bool is_section(const char *name)
{
        for (size_t i = 0; i < config_n_keys; i++) {
                if (*name && strcmp(config_keys[i].section, name) == 0)
                        return true;
        }
        return false;
}

static int read_top(struct config *c, const struct tree *t, const struct tree_node *n, struct error *err)
{
        bool bind = strcmp(n->key, "bind") == 0;
        if (bind || strcmp(n->key, "listeners") == 0) {
                config_listeners_clear(c);
                return bind ? located(t, n, "", err, read_bind(c, n, err)) : read_listeners(c, t, n, err);
        }
        if (strcmp(n->key, "projects") == 0)
                return read_projects(c, t, n, err);
        if (strcmp(n->key, "derive_install_id") == 0)
                return read_derive(c, t, n, err);
        if (is_section(n->key))
                return read_section(c, t, n, err);
        const struct config_key *k = config_key_find("", n->key);
        if (!k)
                return tree_refuse(t, n, err, "%.64s: unknown key", n->key);
        return located(t, n, "", err, read_value(c, k, n, err));
}

struct place {
        const char *section, *name;
};

/* Where the first of two settings that the file holds stands, so that a complaint about both has a line. */
static const struct tree_node *place_of(const struct tree *t, const struct place *either, const struct place *other)
{
        const struct tree_node *map = tree_get(&t->root, either->section);
        const struct tree_node *n = map ? tree_get(map, either->name) : NULL;
        if (n)
                return n;
        return other ? place_of(t, other, NULL) : &t->root;
}

static int check_pairs(const struct config *c, const struct tree *t, struct error *err)
{
        static const struct place part = { "crashes", "max_part_bytes" }, request = { "crashes", "max_request_bytes" },
                                  inflight = { "limits", "inflight_body_bytes" },
                                  message = { "logs", "max_message_bytes" };
        if (c->crashes_max_request_bytes < c->crashes_max_part_bytes) {
                return tree_refuse(t, place_of(t, &part, &request), err,
                                   "crashes.max_part_bytes: larger than crashes.max_request_bytes");
        }
        if (c->limits.inflight_body_bytes < c->logs_max_message_bytes) {
                return tree_refuse(t, place_of(t, &inflight, &message), err,
                                   "limits.inflight_body_bytes: smaller than logs.max_message_bytes");
        }
        return 0;
}

int config_read(struct config *c, const char *path, struct error *err)
{
        _cleanup_(tree_freep) struct tree *t = NULL;
        int r = tree_read(path, &t, err);
        if (r != 0)
                return r < 0 ? r : CONFIG_REFUSED;
        if (config_replace_text(&c->path, path) < 0) {
                error_set(err, "%s: out of memory", path);
                return -ENOMEM;
        }
        if (t->root.kind == TREE_NULL)
                return 0;
        if (t->root.kind != TREE_MAP)
                return tree_refuse(t, &t->root, err, "expected a map, got %s", tree_kind_name(t->root.kind));

        const struct tree_node *listeners = tree_get(&t->root, "listeners");
        if (listeners && tree_get(&t->root, "bind"))
                return tree_refuse(t, listeners, err, "listeners: use bind or listeners, not both");
        for (size_t i = 0; i < t->root.n_children; i++) {
                r = read_top(c, t, &t->root.children[i], err);
                if (r != 0)
                        return r;
        }
        return check_pairs(c, t, err);
}
