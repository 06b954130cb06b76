/* The token file becomes an immutable, reference-counted set. The tree is walked key by key; whatever is unknown, not
 * well-formed or could never work is refused with file and line, so that a typo cannot silently lock clients out.
 * Messages name keys and reasons, never a secret. */

#include "auth/tokens.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>

#include "auth/phc.h"
#include "config/tree.h"
#include "util/log.h"

#define ID_MAX_BYTES 64
#define RATE_MAX 1000000000

static void token_done(struct token *t)
{
        free(t->id);
        free(t->secret);
        free(t->project);
        free(t->source_prefix);
        free(t->noted_ns);
}

struct tokens *tokens_ref(struct tokens *t)
{
        unsigned before = atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
        assert(before > 0); /* whoever passes it on has one */
        (void)before;
        return t;
}

struct tokens *tokens_unref(struct tokens *t)
{
        if (!t)
                return NULL;
        unsigned before = atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel);
        assert(before > 0);
        if (before != 1)
                return NULL;
        for (size_t i = 0; i < t->n; i++)
                token_done(&t->list[i]);
        free(t->list);
        free(t);
        return NULL;
}

bool tokens_permit(const struct token *t, const struct source *s)
{
        char canonical[SOURCE_CANONICAL_SIZE];
        size_t project_len = strlen(t->project);
        if (strlen(s->project) != project_len || CRYPTO_memcmp(t->project, s->project, project_len) != 0)
                return false;
        size_t len = source_canonical(s, canonical), prefix_len = strlen(t->source_prefix);
        return len >= prefix_len && memcmp(canonical, t->source_prefix, prefix_len) == 0;
}

static int no_memory(const struct tree *file, struct error *err)
{
        error_set(err, "%s: out of memory", file->path);
        return -ENOMEM;
}

static int wrong_kind(const struct tree *file, const struct tree_node *n, const char *in, const char *expected,
                      struct error *err)
{
        return tree_refuse(file, n, err, "%s.%s: expected %s, got %s", in, n->key, expected, tree_kind_name(n->kind));
}

static int check_id(const struct tree *file, const struct tree_node *n, struct error *err)
{
        size_t len = strlen(n->string);
        if (len == 0 || len > ID_MAX_BYTES)
                return tree_refuse(file, n, err, "token.id: must be 1 to %d bytes", ID_MAX_BYTES);
        for (const char *p = n->string; *p; p++) {
                if ((unsigned char)*p < 0x20 || *p == 0x7F)
                        return tree_refuse(file, n, err, "token.id: must not contain control characters");
        }
        return 0;
}

static int check_secret(const struct tree *file, const struct tree_node *n, struct error *err)
{
        struct error reason;
        if (phc_check(n->string, &reason) != 0)
                return tree_refuse(file, n, err, "token.secret: %s", reason.text);
        return 0;
}

static int check_project(const struct tree *file, const struct tree_node *n, struct error *err)
{
        if (!source_component_valid(n->string, strlen(n->string)))
                return tree_refuse(file, n, err,
                                   "token.project: must be 1 to %d of A-Z a-z 0-9 . _ - @ + : ~ without a leading dot",
                                   SOURCE_COMPONENT_MAX);
        return 0;
}

/* A token's strings: where each goes, and what it must be beyond a string. All are required. */
static const struct text_key {
        const char *name;
        size_t offset;
        int (*check)(const struct tree *file, const struct tree_node *n, struct error *err);
} text_keys[] = {
        { "id", offsetof(struct token, id), check_id },
        { "secret", offsetof(struct token, secret), check_secret },
        { "project", offsetof(struct token, project), check_project },
        { "source_prefix", offsetof(struct token, source_prefix), NULL },
};

static char **text_field(struct token *t, const struct text_key *k)
{
        return (char **)(void *)((char *)t + k->offset);
}

static int read_text(const struct tree *file, const struct tree_node *n, const struct text_key *k, struct token *t,
                     struct error *err)
{
        if (n->kind != TREE_STRING)
                return wrong_kind(file, n, "token", "a string", err);
        int r = k->check ? k->check(file, n, err) : 0;
        if (r != 0)
                return r;
        char *copy = strdup(n->string);
        if (!copy)
                return no_memory(file, err);
        *text_field(t, k) = copy;
        return 0;
}

static int read_token_key(const struct tree *file, const struct tree_node *n, struct token *t, struct error *err)
{
        if (strcmp(n->key, "url_key") == 0) {
                if (n->kind != TREE_BOOLEAN)
                        return wrong_kind(file, n, "token", "true or false", err);
                t->url_key = n->boolean;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_LEN(text_keys); i++) {
                if (strcmp(text_keys[i].name, n->key) == 0)
                        return read_text(file, n, &text_keys[i], t, err);
        }
        return tree_refuse(file, n, err, "token.%.64s: unknown key", n->key);
}

bool tokens_can_write(const struct token *t)
{
        size_t project_len = strlen(t->project), prefix_len = strlen(t->source_prefix);
        if (prefix_len <= project_len)
                return memcmp(t->project, t->source_prefix, prefix_len) == 0;
        const char *install = t->source_prefix + project_len + 1;
        return memcmp(t->project, t->source_prefix, project_len) == 0 && t->source_prefix[project_len] == '/' &&
               (*install == '\0' || source_component_valid(install, strlen(install)));
}

/* Not an error, because the reference accepts it, but surely a mistake. */
static void warn_unreachable(const struct tree *file, const struct tree_node *map, const struct token *t)
{
        if (!tokens_can_write(t))
                log_warn("no source of the project begins with source_prefix: this token can write nothing",
                         LOG_STR("path", file->path), LOG_INT("line", map->line), LOG_STR("token", t->id));
}

static int read_token(const struct tree *file, const struct tree_node *map, struct token *t, struct error *err)
{
        if (map->kind != TREE_MAP)
                return tree_refuse(file, map, err, "token: expected a map, got %s", tree_kind_name(map->kind));
        for (size_t i = 0; i < map->n_children; i++) {
                int r = read_token_key(file, &map->children[i], t, err);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < ARRAY_LEN(text_keys); i++) {
                if (!*text_field(t, &text_keys[i]))
                        return tree_refuse(file, map, err, "token: %s is missing", text_keys[i].name);
        }
        t->noted_ns = calloc(1, sizeof(*t->noted_ns));
        if (!t->noted_ns)
                return no_memory(file, err);
        warn_unreachable(file, map, t);
        return 0;
}

static int read_list(const struct tree *file, const struct tree_node *list, struct tokens *set, struct error *err)
{
        if (list->kind != TREE_LIST)
                return tree_refuse(file, list, err, "token: expected a list, got %s", tree_kind_name(list->kind));
        if (list->n_children == 0)
                return tree_refuse(file, list, err, "the file has no tokens");
        set->list = calloc(list->n_children, sizeof(*set->list));
        if (!set->list)
                return no_memory(file, err);
        for (size_t i = 0; i < list->n_children; i++) {
                const struct tree_node *n = &list->children[i];
                struct token *t = &set->list[set->n++];
                int r = read_token(file, n, t, err);
                if (r != 0)
                        return r;
                for (size_t j = 0; j < i; j++) {
                        /* read_token() filled it. NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
                        if (strcmp(set->list[j].id, t->id) == 0)
                                return tree_refuse(file, tree_get(n, "id"), err, "token.id: \"%s\" appears twice",
                                                   t->id);
                }
        }
        return 0;
}

static unsigned *rate_field(struct tokens_rate_limit *l, const char *name)
{
        if (strcmp(name, "logs_per_minute") == 0)
                return &l->logs_per_minute;
        if (strcmp(name, "logs_burst") == 0)
                return &l->logs_burst;
        if (strcmp(name, "crashes_per_minute") == 0)
                return &l->crashes_per_minute;
        if (strcmp(name, "crashes_burst") == 0)
                return &l->crashes_burst;
        return NULL;
}

static int read_rate_limit(const struct tree *file, const struct tree_node *map, struct tokens_rate_limit *l,
                           struct error *err)
{
        if (map->kind != TREE_MAP)
                return tree_refuse(file, map, err, "rate_limit: expected a map, got %s", tree_kind_name(map->kind));
        for (size_t i = 0; i < map->n_children; i++) {
                const struct tree_node *n = &map->children[i];
                unsigned *field = rate_field(l, n->key);
                if (!field)
                        return tree_refuse(file, n, err, "rate_limit.%.64s: unknown key", n->key);
                if (n->kind != TREE_INTEGER)
                        return wrong_kind(file, n, "rate_limit", "an integer", err);
                if (n->integer < 0 || n->integer > RATE_MAX)
                        return tree_refuse(file, n, err, "rate_limit.%s: must be between 0 and %d", n->key, RATE_MAX);
                *field = (unsigned)n->integer;
        }
        return 0;
}

static int read_set(const struct tree *file, struct tokens *set, struct error *err)
{
        const struct tree_node *root = &file->root;
        if (root->kind != TREE_MAP && root->kind != TREE_NULL)
                return tree_refuse(file, root, err, "expected a map, got %s", tree_kind_name(root->kind));
        for (size_t i = 0; i < root->n_children; i++) {
                const struct tree_node *n = &root->children[i];
                int r;
                if (strcmp(n->key, "token") == 0)
                        r = read_list(file, n, set, err);
                else if (strcmp(n->key, "rate_limit") == 0)
                        r = read_rate_limit(file, n, &set->rate_limit, err);
                else if (strcmp(n->key, "schema") == 0 || strcmp(n->key, "schema_validation") == 0)
                        r = tree_refuse(file, n, err, "schemas are not supported yet");
                else
                        r = tree_refuse(file, n, err, "%.64s: unknown key", n->key);
                if (r != 0)
                        return r;
        }
        if (set->n == 0)
                return tree_refuse(file, root, err, "the file has no tokens");
        return 0;
}

int tokens_read(const char *path, struct tokens **ret, struct error *err)
{
        _cleanup_(tree_freep) struct tree *file = NULL;
        int r = tree_read(path, &file, err);
        if (r != 0)
                return r < 0 ? r : TOKENS_REFUSED;

        _cleanup_(tokens_unrefp) struct tokens *set = calloc(1, sizeof(*set));
        if (!set)
                return no_memory(file, err);
        atomic_init(&set->refs, 1);
        set->rate_limit = (struct tokens_rate_limit){
                .logs_per_minute = 1000, .logs_burst = 200, .crashes_per_minute = 30, .crashes_burst = 5
        };
        r = read_set(file, set, err);
        if (r != 0)
                return r;
        if (file->mode & 077)
                log_warn("token file is accessible to group or others", LOG_STR("path", path));
        *ret = TAKE_PTR(set);
        return 0;
}
