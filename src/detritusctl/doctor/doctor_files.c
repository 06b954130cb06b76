/* detritusctl doctor: who may read and change which file. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/tokens.h"
#include "detritusctl/doctor/doctor.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/tokens/token_secret.h"
#include "storage/index/index.h"

/* The user of the daemon that runs; when none runs, the owner of the data directory. */
static uid_t daemon_user(const struct doctor *d, uid_t owner)
{
        char path[64];
        struct stat st;
        snprintf(path, sizeof(path), "/proc/%d", (int)d->daemon);
        return d->daemon && stat(path, &st) == 0 ? st.st_uid : owner;
}

static void look_at_directory(struct doctor *d)
{
        struct stat st;
        const char *path = d->config->data_dir;
        d->data_dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->data_dir_fd < 0 || fstat(d->data_dir_fd, &st) < 0) {
                doctor_find(d, DOCTOR_BAD, "data directory", "Create it, or name the right one with --data-dir.",
                            "%s: %s", path, strerror(errno));
                return;
        }
        unsigned mode = st.st_mode & 07777;
        uid_t user = daemon_user(d, st.st_uid);
        if (mode & 0002)
                doctor_find(d, DOCTOR_BAD, "data directory",
                            "chmod o-w it: every user of this machine can change what is stored.",
                            "%s is writable for everyone (mode %04o)", path, mode);
        else if (mode & 0005)
                doctor_find(d, DOCTOR_WARN, "data directory",
                            "chmod o-rx it, unless every user may read logs and crashes.",
                            "%s is readable for everyone (mode %04o)", path, mode);
        else if (user != st.st_uid && user != 0)
                doctor_find(d, DOCTOR_BAD, "data directory", "chown it to the daemon's user.",
                            "%s belongs to user %u, the daemon runs as %u", path, (unsigned)st.st_uid, (unsigned)user);
        else
                doctor_find(d, DOCTOR_OK, "data directory", NULL, "%s, mode %04o, user %u", path, mode,
                            (unsigned)st.st_uid);
}

static void look_at_database(struct doctor *d)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct error err = { "out of memory" };
        struct stat st;
        char size[32];
        if (d->data_dir_fd < 0)
                return;
        if (fstatat(d->data_dir_fd, "detritus.db", &st, 0) < 0) {
                bool absent = errno == ENOENT;
                doctor_find(d, absent ? DOCTOR_OK : DOCTOR_BAD, "database", NULL, "%s",
                            absent ? "there is none yet; the daemon creates it" : strerror(errno));
                return;
        }
        size_text((uint64_t)st.st_size, size);
        if (index_open_readonly(d->config->data_dir, &index, &err) != 0)
                doctor_find(d, DOCTOR_BAD, "database", "Start the daemon once, or restore a backup.", "%s", err.text);
        else if (st.st_mode & 0007)
                doctor_find(d, DOCTOR_WARN, "database", "chmod o-rwx it: crash reports may contain private data.",
                            "detritus.db is accessible to everyone (mode %04o)", st.st_mode & 07777);
        else
                doctor_find(d, DOCTOR_OK, "database", NULL, "detritus.db can be read, %s", size);
}

static bool may_read(const struct stat *st, uid_t user)
{
        return user == 0 || (st->st_uid == user ? st->st_mode & 0400 : st->st_mode & 0044);
}

/* The first entry that can write nothing; NULL: there is none. */
static const struct token *useless_token(const struct tokens *tokens)
{
        for (size_t i = 0; i < tokens->n; i++) {
                if (!tokens_can_write(&tokens->list[i]))
                        return &tokens->list[i];
        }
        return NULL;
}

/* The first id that does not fit into a token that clients can send; NULL: there is none. */
static const char *odd_id(const struct tokens *tokens, char ret_why[TOKEN_SECRET_WHY_SIZE])
{
        assert(tokens && (tokens->list || tokens->n == 0));
        for (size_t i = 0; i < tokens->n; i++) {
                if (token_secret_id_problem(tokens->list[i].id, ret_why))
                        return tokens->list[i].id;
        }
        return NULL;
}

static void look_at_tokens(struct doctor *d)
{
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        struct error err = { "out of memory" };
        struct stat st, data;
        char why[TOKEN_SECRET_WHY_SIZE];
        const char *path = d->config->tokens_config;
        if (!path) {
                doctor_find(d, DOCTOR_WARN, "token file", "Name it with --tokens-config or --config.",
                            "not checked, because none is named");
                return;
        }
        if (stat(path, &st) < 0) {
                doctor_find(d, DOCTOR_BAD, "token file", "detritusctl token add creates it.", "%s: %s", path,
                            strerror(errno));
                return;
        }
        bool known = d->data_dir_fd >= 0 && fstat(d->data_dir_fd, &data) == 0;
        if (tokens_read(path, &tokens, &err) != 0)
                doctor_find(d, DOCTOR_BAD, "token file",
                            "Correct it; until then a running daemon uses the tokens it has.", "%s", err.text);
        else if (st.st_mode & 0022)
                doctor_find(d, DOCTOR_BAD, "token file", "chmod go-w it: who can write it can add tokens.",
                            "%s is writable for others than its owner (mode %04o)", path, st.st_mode & 07777);
        else if (known && !may_read(&st, daemon_user(d, data.st_uid)))
                doctor_find(d, DOCTOR_BAD, "token file", "chown it to the daemon's user.",
                            "%s cannot be read by user %u, which the daemon runs as", path,
                            (unsigned)daemon_user(d, data.st_uid));
        else if (useless_token(tokens))
                doctor_find(d, DOCTOR_WARN, "token file", "Correct its source_prefix: it begins with \"<project>/\".",
                            "%s: the token \"%s\" can write nothing: no source of project \"%s\" begins with \"%s\"",
                            path, useless_token(tokens)->id, useless_token(tokens)->project,
                            useless_token(tokens)->source_prefix);
        else if (odd_id(tokens, why))
                doctor_find(d, DOCTOR_WARN, "token file", "Give it an id of " TOKEN_SECRET_IDS ".",
                            "%s: the token id \"%s\" does not fit into a token that clients can send: %s", path,
                            odd_id(tokens, why), why);
        else if (st.st_mode & 0007)
                doctor_find(d, DOCTOR_WARN, "token file", "chmod 600 it: weak tokens can be guessed from their hashes.",
                            "%s is readable for everyone (mode %04o)", path, st.st_mode & 07777);
        else
                doctor_find(d, DOCTOR_OK, "token file", NULL, "%s, %zu tokens, mode %04o", path, tokens->n,
                            st.st_mode & 07777);
}

void doctor_files(struct doctor *d)
{
        look_at_directory(d);
        look_at_database(d);
        look_at_tokens(d);
}
