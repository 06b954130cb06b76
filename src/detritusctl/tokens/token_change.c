/* detritusctl token add, rotate and revoke: change the token file, then have the daemon read it. The token goes to
 * standard output, once; messages go to standard error, so that a script gets only the token. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "detritusctl/access/daemon.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/tokens/token_internal.h"
#include "detritusctl/tokens/token_secret.h"
#include "protocol/json/json_read.h"

/* Both exist, and are not the same file. */
static bool is_another_file(const char *a, const char *b)
{
        struct stat one, other;
        return a && b && *b == '/' && stat(a, &one) == 0 && stat(b, &other) == 0 &&
               (one.st_dev != other.st_dev || one.st_ino != other.st_ino);
}

static int say_answer(struct json_object *answer, const struct token_file *file)
{
        const char *error = json_read_string(answer, "error"), *path = json_read_string(answer, "tokens_config");
        if (error)
                return say_failed("%s was changed, but the daemon rejected it and still uses the old tokens: %s",
                                  file->path, error);
        if (is_another_file(file->path, path))
                return say_failed("%s was changed, but the daemon uses another token file, %s", file->path, path);
        say_note("the daemon has reloaded %s: %llu tokens", path ? path : "its token file",
                 (unsigned long long)json_read_u64(answer, "tokens"));
        return CTL_OK;
}

/* CTL_OK: the daemon uses the new tokens, or none runs, or --no-reload was given. */
static int reload(const struct ctl *ctl, const struct token_file *file)
{
        _cleanup_(json_read_freep) struct json_object *answer = NULL;
        pid_t holder = 0;
        if (ctl_flag(ctl, "no-reload"))
                return CTL_OK;
        int r = daemon_ask(ctl->data_dir, "{\"op\":\"reload\"}", &answer);
        if (r == 0)
                return say_answer(answer, file);
        if (r != -ECONNREFUSED && r != -ENOENT)
                return say_failed(
                        "the token file was changed, but the daemon on %s did not reload it (%s); send it SIGHUP",
                        ctl->data_dir, strerror(r < 0 ? -r : EBADMSG));
        if (daemon_find(ctl->data_dir, &holder) == 0 && holder > 0)
                return say_failed("the token file was changed, but process %d, which uses %s, answers no control "
                                  "socket; if it is a detritusd, send it SIGHUP",
                                  (int)holder, ctl->data_dir);
        say_note("no daemon runs on %s; the next one will read the new file when it starts", ctl->data_dir);
        return CTL_OK;
}

/* The file is written: print the token first, whatever happens to the reload. */
static int hand_out(const struct ctl *ctl, const struct token_file *file, const char *id,
                    const struct token_secret *secret)
{
        int r = token_print(ctl, id, "token", secret->text);
        int status = reload(ctl, file);
        return r == 0 ? status
                      : say_failed("the token could not be printed; get another with detritusctl token rotate");
}

static int check_id(const char *id)
{
        char why[TOKEN_SECRET_WHY_SIZE];
        if (!token_secret_id_problem(id, why))
                return CTL_OK;
        return say_failed("--id: \"%s\" does not fit into a token that clients can send: %s; use " TOKEN_SECRET_IDS, id,
                          why);
}

static int check_prefix(const struct token *t)
{
        const char *given = t->source_prefix, *install = strchr(given, '/');
        if (tokens_can_write(t))
                return CTL_OK;
        return say_failed(
                "--prefix: a token with the prefix \"%s\" could write nothing to project \"%s\"; use \"%s/%s\", "
                "or no --prefix for the whole project",
                given, t->project, t->project, install ? install + 1 : given);
}

static int add(const struct ctl *ctl)
{
        _cleanup_(token_file_done) struct token_file file = { .directory_fd = -1 };
        _cleanup_(token_secret_done) struct token_secret secret = { 0 };
        const char *id = ctl_value(ctl, "id"), *project = ctl_value(ctl, "project"), *given = ctl_value(ctl, "prefix");
        struct error err = { "" };
        char prefix[SOURCE_COMPONENT_MAX + 2];

        struct token token = {
                .id = (char *)id,
                .project = (char *)project,
                .source_prefix = given ? (char *)given : prefix,
                .url_key = ctl_flag(ctl, "url-key"),
        };
        snprintf(prefix, sizeof(prefix), "%s/", project);
        int status = check_id(id);
        if (status == CTL_OK && source_component_valid(project, strlen(project)))
                status = check_prefix(&token);
        if (status == CTL_OK)
                status = token_open(ctl, TOKEN_FILE_CREATE, &file);
        if (status != CTL_OK)
                return status;
        if (token_file_find(&file, id))
                return say_failed(
                        "there is a token \"%s\" in %s already; detritusctl token rotate gives it a new secret", id,
                        file.path);
        int r = token_secret_new(id, &secret, &err);
        token.secret = secret.phc;
        if (r == 0)
                r = token_file_add(&file, &token, &err);
        return r == 0 ? hand_out(ctl, &file, id, &secret) : token_failed(&err, r);
}

static int rotate(const struct ctl *ctl)
{
        _cleanup_(token_file_done) struct token_file file = { .directory_fd = -1 };
        _cleanup_(token_secret_done) struct token_secret secret = { 0 };
        const char *id = ctl->arguments[0];
        struct error err = { "" };

        int status = token_open(ctl, TOKEN_FILE_CHANGE, &file);
        if (status != CTL_OK)
                return status;
        if (!token_file_find(&file, id))
                return say_failed("there is no token \"%s\" in %s", id, file.path);
        status = check_id(id); /* an older file may have others */
        if (status != CTL_OK)
                return status;
        int r = token_secret_new(id, &secret, &err);
        if (r == 0)
                r = token_file_exchange(&file, id, secret.phc, &err);
        return r == 0 ? hand_out(ctl, &file, id, &secret) : token_failed(&err, r);
}

static int revoke_token(const struct ctl *ctl)
{
        _cleanup_(token_file_done) struct token_file file = { .directory_fd = -1 };
        const char *id = ctl->arguments[0];
        struct error err = { "" };
        int status = token_open(ctl, TOKEN_FILE_CHANGE, &file);
        if (status != CTL_OK)
                return status;
        const struct token *t = token_file_find(&file, id);
        if (!t)
                return say_failed("there is no token \"%s\" in %s", id, file.path);
        status = confirm(ctl, "revoke the token \"%s\" of project \"%s\"; its clients will be refused", t->id,
                         t->project);
        if (status != CTL_OK)
                return status;
        int r = token_file_remove(&file, id, &err);
        if (r != 0)
                return token_failed(&err, r);
        say_note("the token \"%s\" is revoked", id);
        return reload(ctl, &file);
}

#define NO_RELOAD_OPTION                                                                                               \
        {                                                                                                              \
                "no-reload", .help = "do not have a running daemon reload the file"                                    \
        }

const struct command token_add_command = {
        .name = "add",
        .summary = "create a token and add its hash to the token file",
        .description = "Creates a token, adds its hash to the token file (which is created when it does not exist) and "
                       "prints the token. It is printed only this once, since only its hash is stored.",
        .options =
                (const struct command_option[]){
                        { "id", "ID", "a name for the token: 1 to 64 of A-Z a-z 0-9 . _ ~ -", .required = true },
                        { "project", "PROJECT", "the project that it may write to", .required = true },
                        TOKEN_FILE_OPTION,
                        { "prefix", "PREFIX",
                          "only for sources \"<project>/<install_id>\" that begin with this [the whole project]" },
                        { "url-key", .help = "allow it in URLs (has no effect yet)" },
                        NO_RELOAD_OPTION,
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl token add --id acme-prod --project acme --tokens-config "
                          "/etc/detritus/tokens.yaml",
                          "a token for all installations of acme" },
                        { NULL },
                },
        .run = add,
};

const struct command token_rotate_command = {
        .name = "rotate",
        .summary = "replace a token's secret",
        .arguments = "ID",
        .min_arguments = 1,
        .max_arguments = 1,
        .description = "Prints the new token, once. The old one is refused as soon as the daemon has reloaded the "
                       "file. To replace a token without a gap, add a second one, move the clients to it, and revoke "
                       "the first.",
        .options = (const struct command_option[]){ TOKEN_FILE_OPTION, NO_RELOAD_OPTION, { NULL } },
        .examples =
                (const struct command_example[]){
                        { "detritusctl token rotate acme-prod --config /etc/detritus/detritusd.yaml",
                          "when the old one may have leaked" },
                        { NULL },
                },
        .run = rotate,
};

const struct command token_revoke_command = {
        .name = "revoke",
        .summary = "remove a token from the token file",
        .arguments = "ID",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = (const struct command_option[]){ TOKEN_FILE_OPTION, NO_RELOAD_OPTION, { NULL } },
        .examples =
                (const struct command_example[]){
                        { "detritusctl token revoke acme-old --config /etc/detritus/detritusd.yaml",
                          "asks first; then its clients are refused" },
                        { NULL },
                },
        .flags = COMMAND_YES,
        .run = revoke_token,
};
