/* detritusctl token: the group of commands, and what they share. A secret is printed once and stored nowhere. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "auth/phc.h"
#include "detritusctl/access/settings.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/tokens/token_internal.h"
#include "detritusctl/tokens/token_secret.h"
#include "protocol/json/json_write.h"

int token_failed(const struct error *err, int r)
{
        return say_failed("%s", err->text[0] ? err->text : strerror(r < 0 ? -r : EINVAL));
}

/* When the file is named directly, no configuration is read. */
static int find_file(const struct ctl *ctl, char **ret)
{
        _cleanup_(config_freep) struct config *config = NULL;
        const char *file = ctl_value(ctl, "tokens-config");
        if (!file)
                file = ctl_environment("DETRITUS_TOKENS_CONFIG");
        if (!file && !ctl->config_path)
                return say_usage("name the token file with --tokens-config FILE or --config FILE");
        if (!file) {
                int status = settings_read(ctl, ctl->config_path, NULL, &config);
                if (status != CTL_OK)
                        return status;
                file = config->tokens_config;
        }
        if (!file)
                return say_failed("%s does not name a token file (tokens_config); use --tokens-config FILE",
                                  ctl->config_path);
        *ret = strdup(file);
        return *ret ? CTL_OK : say_failed("out of memory");
}

int token_open(const struct ctl *ctl, enum token_file_use use, struct token_file *ret)
{
        _cleanup_(freep) char *file = NULL;
        struct error err = { "" };
        int status = find_file(ctl, &file);
        if (status != CTL_OK)
                return status;
        int r = token_file_open(file, use, ret, &err);
        return r == 0 ? CTL_OK : token_failed(&err, r);
}

int token_print(const struct ctl *ctl, const char *id, const char *key, const char *value)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        if (!ctl->json)
                return puts(value) >= 0 && fflush(stdout) == 0 ? 0 : -EIO;
        json_write_object(&w, NULL);
        if (id)
                json_write_string(&w, "id", id);
        json_write_string(&w, key, value);
        json_write_end(&w);
        buf_append_char(&line, '\n');
        int r = screen_put(&line);
        if (r == 0 && fflush(stdout) != 0)
                r = -EIO;
        if (line.data)
                OPENSSL_cleanse(line.data, line.len);
        return r;
}

static int hash(const struct ctl *ctl)
{
        char line[TOKEN_SECRET_INPUT_SIZE], phc[PHC_MAX_BYTES];
        int status = token_secret_read(stdin, line);
        if (status != CTL_OK)
                return status;
        int r = phc_hash(line, strlen(line), phc);
        OPENSSL_cleanse(line, sizeof(line));
        if (r == 0)
                r = token_print(ctl, NULL, "hash", phc);
        return r == 0 ? CTL_OK : say_error("hash the token", r);
}

static const struct command hash_command = {
        .name = "hash",
        .summary = "print the Argon2id hash of the token on standard input",
        .examples =
                (const struct command_example[]){
                        { "detritusctl token hash < token.txt", "for a token file written by hand" },
                        { NULL },
                },
        .flags = COMMAND_NO_DATA_DIR,
        .run = hash,
};

const struct command token_command = {
        .name = "token",
        .heading = "Manage tokens",
        .summary = "add, list, rotate, revoke and check tokens",
        .description =
                "Tokens say who may write what. The token file is edited: comments and everything else in it stay as "
                "they are, and the daemon's own strict reader checks the new file before it replaces the old one. A "
                "daemon that runs on the data directory then reads the file again.",
        .subcommands =
                (const struct command *const[]){ &token_add_command, &token_list_command, &token_rotate_command,
                                                 &token_revoke_command, &token_check_command, &hash_command, NULL },
};
