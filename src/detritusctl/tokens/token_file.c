/* A change locks the file's directory, since the file itself is replaced. Reading needs no lock: it gets the old file
 * or the new one. A change writes the new text to another file, reads that as the daemon would, compares it entry by
 * entry with what was intended, gives it the old file's mode and owner, syncs it, and renames it over the old file. */
#include "detritusctl/tokens/token_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "config/tree.h"
#include "detritusctl/tokens/token_text.h"
#include "util/files/durable.h"

static int refuse_file(struct error *err, const char *text)
{
        error_set(err, "%s", text);
        return TOKEN_FILE_REFUSED;
}

/* ---- reading ---- */

/* Resolves symbolic links, for a new file those of its directory. A dangling link is not a new file: it would be
 * replaced. */
static int resolve(const char *path, bool create, struct token_file *f, struct error *err)
{
        struct stat st;
        f->path = realpath(path, NULL);
        if (f->path)
                return 0;
        if (errno != ENOENT || !create || lstat(path, &st) == 0) {
                error_set(err, "%s: %s", path, strerror(errno));
                return -errno;
        }
        _cleanup_(freep) char *for_directory = strdup(path), *for_name = strdup(path);
        _cleanup_(freep) char *directory = for_directory ? realpath(dirname(for_directory), NULL) : NULL;
        if (!directory || !for_name) {
                error_set(err, "%s: %s", path, strerror(errno));
                return -errno;
        }
        return asprintf(&f->path, "%s/%s", directory, basename(for_name)) < 0 ? -ENOMEM : 0;
}

static int lock(struct token_file *f, struct error *err)
{
        _cleanup_(freep) char *copy = strdup(f->path);
        if (!copy)
                return -ENOMEM;
        f->directory_fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->directory_fd >= 0 && flock(f->directory_fd, LOCK_EX) == 0)
                return 0;
        error_set(err, "cannot lock the directory of %s: %s", f->path, strerror(errno));
        return -errno;
}

/* Under the lock: whoever held it before may have created the file. */
static int read_text(struct token_file *f, bool create, struct error *err)
{
        _cleanup_(closep) int fd = open(f->path, O_RDONLY | O_CLOEXEC);
        f->is_new = fd < 0 && errno == ENOENT && create;
        if (f->is_new)
                return 0;
        int r = fd < 0 ? -errno : buf_read_fd(&f->text, fd, TREE_MAX_BYTES);
        if (r < 0) {
                error_set(err, "%s: %s", f->path, strerror(-r));
                return r;
        }
        return f->text.len == 0 ? 0 : tokens_read(f->path, &f->tokens, err);
}

int token_file_open(const char *path, enum token_file_use use, struct token_file *ret, struct error *err)
{
        struct token_file f = { .directory_fd = -1 };
        bool create = use == TOKEN_FILE_CREATE;
        int r = resolve(path, create, &f, err);
        if (r == 0 && use != TOKEN_FILE_READ)
                r = lock(&f, err);
        const char *dot = f.path ? strrchr(f.path, '.') : NULL;
        f.is_toml = dot && strcmp(dot, ".toml") == 0;
        if (r == 0 && !f.is_toml && (!dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0)))
                r = refuse_file(err, "the name of a token file must end in .toml, .yaml or .yml");
        if (r == 0)
                r = read_text(&f, create, err);
        if (r == 0)
                *ret = f;
        else
                token_file_done(&f);
        return r;
}

void token_file_done(struct token_file *f)
{
        free(f->path);
        buf_done(&f->text);
        tokens_unref(f->tokens);
        if (f->directory_fd >= 0)
                close(f->directory_fd);
        *f = (struct token_file){ .directory_fd = -1 };
}

static const struct token *find(const struct tokens *set, const char *id)
{
        for (size_t i = 0; set && i < set->n; i++) {
                if (strcmp(set->list[i].id, id) == 0)
                        return &set->list[i];
        }
        return NULL;
}

const struct token *token_file_find(const struct token_file *f, const char *id)
{
        return find(f->tokens, id);
}

/* ---- writing ---- */

static bool same(const struct token *a, const struct token *b)
{
        return a && b && strcmp(a->id, b->id) == 0 && strcmp(a->secret, b->secret) == 0 &&
               strcmp(a->project, b->project) == 0 && strcmp(a->source_prefix, b->source_prefix) == 0 &&
               a->url_key == b->url_key;
}

/* The new file must say what the old one says, except for the entry `id`, which is `changed` (NULL: removed). */
static bool is_as_meant(const struct token_file *f, const struct tokens *new, const char *id,
                        const struct token *changed)
{
        size_t others = 0;
        for (size_t i = 0; f->tokens && i < f->tokens->n; i++) {
                const struct token *t = &f->tokens->list[i];
                if (strcmp(t->id, id) == 0)
                        continue;
                others++;
                if (!same(t, find(new, t->id)))
                        return false;
        }
        bool limits = !f->tokens || memcmp(&f->tokens->rate_limit, &new->rate_limit, sizeof(new->rate_limit)) == 0;
        return limits && new->n == others + (changed != NULL) && (!changed || same(changed, find(new, id)));
}

static int check(const struct token_file *f, const char *trial, const char *id, const struct token *changed,
                 struct error *err)
{
        _cleanup_(tokens_unrefp) struct tokens *new = NULL;
        int r = tokens_read(trial, &new, err);
        if (r == 0 && !is_as_meant(f, new, id, changed))
                return refuse_file(err, "detritusctl cannot edit a file with this layout; edit it by hand");
        return r;
}

/* If the daemon could not read the new file, nobody could send anything after its next start. */
static int take_over_owner(const struct token_file *f, const char *trial)
{
        struct stat st;
        if (f->is_new)
                return 0;
        if (stat(f->path, &st) < 0 || chown(trial, st.st_uid, st.st_gid) < 0 || chmod(trial, st.st_mode & 07777) < 0)
                return -errno;
        return 0;
}

static int replace(const struct token_file *f, const struct buf *text, const char *id, const struct token *changed,
                   struct error *err)
{
        _cleanup_(freep) char *trial = NULL;
        assert(f->directory_fd >= 0); /* locked: it was not opened to be read */
        if (asprintf(&trial, "%s.new%s", f->path, f->is_toml ? ".toml" : ".yaml") < 0)
                return -ENOMEM;
        int r = durable_replace_file(AT_FDCWD, trial, text->data, text->len, 0600);
        if (r == 0)
                r = check(f, trial, id, changed, err);
        if (r == 0)
                r = take_over_owner(f, trial);
        if (r == 0 && rename(trial, f->path) < 0)
                r = -errno;
        if (r != 0) {
                unlink(trial);
                size_t named = strlen(trial);
                if (strncmp(err->text, trial, named) == 0) { /* the name of a file that nobody knows */
                        struct error inner = *err;
                        error_set(err, "%s: %s", f->path,
                                  inner.text + named + strspn(inner.text + named, ":0123456789 "));
                }
                if (r < 0 && err->text[0] == '\0')
                        error_set(err, "cannot write %s: %s", f->path, strerror(-r));
                return r;
        }
        return durable_sync_dir(f->directory_fd, NULL);
}

int token_file_add(struct token_file *f, const struct token *token, struct error *err)
{
        _cleanup_(buf_done) struct buf new = { 0 };
        const struct token_text old = { &f->text, f->is_toml };
        int r = token_text_add(&old, token, &new, err);
        return r == 0 ? replace(f, &new, token->id, token, err) : r;
}

int token_file_exchange(struct token_file *f, const char *id, const char *phc, struct error *err)
{
        _cleanup_(buf_done) struct buf new = { 0 };
        _cleanup_(freep) char *copy = strdup(phc);
        const struct token *old = token_file_find(f, id);
        if (!copy)
                return -ENOMEM;
        if (!old)
                return refuse_file(err, "there is no entry with this id");
        struct token changed = *old;
        changed.secret = copy;
        const struct token_text text = { &f->text, f->is_toml };
        const struct token_text_change change = { id, old->secret, phc };
        int r = token_text_exchange(&text, &change, &new, err);
        return r == 0 ? replace(f, &new, id, &changed, err) : r;
}

int token_file_remove(struct token_file *f, const char *id, struct error *err)
{
        _cleanup_(buf_done) struct buf new = { 0 };
        if (!token_file_find(f, id))
                return refuse_file(err, "there is no entry with this id");
        if (f->tokens->n == 1)
                return refuse_file(err,
                                   "it is the only token, and a token file must have at least one; add another first");
        const struct token_text old = { &f->text, f->is_toml };
        int r = token_text_remove(&old, id, &new, err);
        return r == 0 ? replace(f, &new, id, NULL, err) : r;
}
