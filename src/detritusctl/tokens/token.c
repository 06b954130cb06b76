/* detritusctl token: the family, and what its commands have in common. A secret is printed once and kept nowhere. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "auth/phc.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/cli/settings.h"
#include "detritusctl/tokens/token_internal.h"
#include "detritusctl/tokens/token_secret.h"
#include "protocol/json/json_document.h"

int token_failed(const struct error *err, int r)
{
        return say_failed("%s", err->text[0] ? err->text : strerror(r < 0 ? -r : EINVAL));
}

/* Where the file is named directly, a configuration is not looked at. */
static int find_file(const struct ctl *ctl, char **ret)
{
        _cleanup_(config_freep) struct config *config = NULL;
        const char *file = ctl_value(ctl, "tokens-config");
        if (!file)
                file = ctl_environment("DETRITUS_TOKENS_CONFIG");
        if (!file && !ctl->config_path)
                return say_usage("which token file? Give --tokens-config FILE or --config FILE");
        if (!file) {
                int status = settings_read(ctl, NULL, &config);
                if (status != CTL_OK)
                        return status;
                file = config->tokens_config;
        }
        if (!file)
                return say_failed("%s names no token file", ctl->config_path);
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
        int r = 0;
        if (!ctl->json)
                return puts(value) >= 0 && fflush(stdout) == 0 ? 0 : -EIO;
        if (id)
                r = buf_append_str(&line, "{\"id\":");
        if (r == 0 && id)
                r = json_document_append_string(&line, id);
        if (r == 0)
                r = buf_printf(&line, "%s\"%s\":", id ? "," : "{", key);
        if (r == 0)
                r = json_document_append_string(&line, value);
        if (r == 0)
                r = buf_append_str(&line, "}\n");
        if (r == 0 && (fwrite(line.data, 1, line.len, stdout) != line.len || fflush(stdout) != 0))
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
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
}

static const struct command hash_command = {
        .name = "hash",
        .summary = "print the Argon2id hash of a token read from standard input",
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
        .heading = "Hand out tokens",
        .summary = "make, list, exchange, revoke and check tokens",
        .description =
                "Tokens say who may write what. The token file is changed in place: comments and all that is not "
                "meant stay as they are, and what comes out is read back by the daemon's own strict reader before it "
                "replaces the old file. A running daemon on the data directory is told.",
        .subcommands =
                (const struct command *const[]){ &token_add_command, &token_list_command, &token_rotate_command,
                                                 &token_revoke_command, &token_check_command, &hash_command, NULL },
};
