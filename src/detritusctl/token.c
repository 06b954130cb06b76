/* detritusctl token: makes tokens and writes them into a token file. The file is edited as text, so that comments and
 * layout stay; what comes out is read back by the daemon's own strict reader before it replaces the old file. The secret
 * is printed once and kept nowhere. */

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/phc.h"
#include "auth/tokens.h"
#include "config/tree.h"
#include "detritusctl/commands.h"
#include "detritusctl/say.h"
#include "protocol/json_document.h"
#include "util/buf.h"
#include "util/durable.h"

#define SECRET_BYTES 32
#define SECRET_TEXT_SIZE 44 /* base64url of 32 bytes, no padding, + NUL */

struct add_options {
        const char *id, *project, *prefix, *file;
        bool url_key;
};

/* base64url (RFC 4648 §5) of fresh random bytes. */
static int make_secret(char ret[SECRET_TEXT_SIZE])
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        uint8_t bytes[SECRET_BYTES + 1] = { 0 };
        char *p = ret;
        if (RAND_bytes(bytes, SECRET_BYTES) != 1)
                return -EIO;
        for (size_t bit = 0; bit < SECRET_BYTES * 8; bit += 6) {
                unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
                *p++ = digits[pair >> (10 - bit % 8) & 63];
        }
        *p = '\0';
        OPENSSL_cleanse(bytes, sizeof(bytes));
        return 0;
}

static int read_whole(const char *path, struct buf *out)
{
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        return buf_read_fd(out, fd, TREE_MAX_BYTES);
}

static bool is_toml(const char *path)
{
        const char *dot = strrchr(path, '.');
        return dot && strcmp(dot, ".toml") == 0;
}

/* A string in double quotes, for either format. The values that come here have no control characters (checked when the
 * result is read back), so that quotes and backslashes are all there is to escape. */
static int append_quoted(struct buf *b, const char *s)
{
        int r = buf_append_char(b, '"');
        for (; r == 0 && *s; s++) {
                if (*s == '"' || *s == '\\')
                        r = buf_append_char(b, '\\');
                if (r == 0)
                        r = buf_append_char(b, *s);
        }
        return r == 0 ? buf_append_char(b, '"') : r;
}

static int append_member(struct buf *b, const char *before, const char *key, const char *separator, const char *value)
{
        int r = buf_printf(b, "%s%s%s", before, key, separator);
        if (r == 0)
                r = append_quoted(b, value);
        return r == 0 ? buf_append_char(b, '\n') : r;
}

static int render_toml(const struct add_options *o, const char *phc, struct buf *out)
{
        int r = buf_append_str(out, "[[token]]\n");
        if (r == 0)
                r = append_member(out, "", "id", " = ", o->id);
        if (r == 0)
                r = append_member(out, "", "secret", " = ", phc);
        if (r == 0)
                r = append_member(out, "", "project", " = ", o->project);
        if (r == 0)
                r = append_member(out, "", "source_prefix", " = ", o->prefix);
        return r == 0 && o->url_key ? buf_append_str(out, "url_key = true\n") : r;
}

static int render_yaml(const struct add_options *o, const char *phc, int indent, struct buf *out)
{
        char first[80], rest[80];
        snprintf(first, sizeof(first), "%*s- ", indent, "");
        snprintf(rest, sizeof(rest), "%*s  ", indent, "");
        int r = append_member(out, first, "id", ": ", o->id);
        if (r == 0)
                r = append_member(out, rest, "secret", ": ", phc);
        if (r == 0)
                r = append_member(out, rest, "project", ": ", o->project);
        if (r == 0)
                r = append_member(out, rest, "source_prefix", ": ", o->prefix);
        return r == 0 && o->url_key ? buf_printf(out, "%surl_key: true\n", rest) : r;
}

/* ---- where in a YAML file a new list item goes ---- */

static size_t line_start(const struct buf *text, unsigned line)
{
        size_t at = 0;
        for (unsigned i = 1; i < line && at < text->len; i++) {
                const uint8_t *newline = memchr(text->data + at, '\n', text->len - at);
                at = newline ? (size_t)(newline - text->data) + 1 : text->len;
        }
        return at;
}

/* Behind the last item of `token`: before the next top-level key, or at the end. *ret_indent: where its dashes stand. */
static int find_yaml_place(const struct buf *text, size_t *ret_at, int *ret_indent, struct error *err)
{
        struct tree_node root;
        int r = tree_parse_yaml((const char *)text->data, text->len, &root, err);
        if (r != 0)
                return r;
        const struct tree_node *list = tree_get(&root, "token");
        if (!list || list->kind != TREE_LIST || list->n_children == 0) {
                error_set(err, "no `token:` list with an entry to add to");
                tree_node_done(&root);
                return TREE_REFUSED;
        }
        size_t last = line_start(text, list->children[list->n_children - 1].line);
        int indent = 0;
        while (text->data[last + (size_t)indent] == ' ')
                indent++;
        unsigned next = 0;
        for (size_t i = 0; i < root.n_children; i++) {
                if (root.children[i].line > list->line && (next == 0 || root.children[i].line < next))
                        next = root.children[i].line;
        }
        *ret_at = next ? line_start(text, next) : text->len;
        *ret_indent = text->data[last + (size_t)indent] == '-' ? indent : 2;
        tree_node_done(&root);
        return 0;
}

static int add_to_yaml(const struct buf *old, const struct add_options *o, const char *phc, struct buf *out,
                       struct error *err)
{
        size_t at = 0;
        int indent = 2, r;
        if (old->len == 0) {
                r = buf_append_str(out, "token:\n");
                return r == 0 ? render_yaml(o, phc, indent, out) : r;
        }
        r = find_yaml_place(old, &at, &indent, err);
        if (r == 0)
                r = buf_append(out, old->data, at);
        if (r == 0 && at > 0 && old->data[at - 1] != '\n')
                r = buf_append_char(out, '\n');
        if (r == 0)
                r = render_yaml(o, phc, indent, out);
        return r == 0 ? buf_append(out, old->data + at, old->len - at) : r;
}

static int add_to_toml(const struct buf *old, const struct add_options *o, const char *phc, struct buf *out)
{
        int r = buf_append(out, old->data, old->len);
        if (r == 0 && old->len > 0)
                r = buf_append_str(out, old->data[old->len - 1] == '\n' ? "\n" : "\n\n");
        return r == 0 ? render_toml(o, phc, out) : r;
}

/* ---- commands ---- */

/* The new text goes to a file beside the old one, is read as the daemon would, and only then takes its place. */
static int replace_checked(const char *path, const struct buf *text, struct error *err)
{
        struct stat st;
        struct tokens *tokens;
        _cleanup_(freep) char *trial = NULL;
        mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0600;

        if (asprintf(&trial, "%s.new%s", path, is_toml(path) ? ".toml" : ".yaml") < 0)
                return -ENOMEM;
        int r = durable_replace_file(AT_FDCWD, trial, text->data, text->len, 0600);
        if (r == 0)
                r = tokens_read(trial, &tokens, err);
        unlink(trial);
        if (r != 0)
                return r;
        tokens_unref(tokens);
        return durable_replace_file(AT_FDCWD, path, text->data, text->len, mode);
}

/* "key":"value" members of one object, or the second value as it is. */
static int print_secret(const struct ctl *ctl, const char *id, const char *key, const char *value)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        int r = 0;
        if (!ctl->json) {
                puts(value);
                return 0;
        }
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
        if (r == 0)
                fwrite(line.data, 1, line.len, stdout);
        if (line.data)
                OPENSSL_cleanse(line.data, line.len);
        return r;
}

static int add_token(const struct ctl *ctl, const struct add_options *o, struct error *err)
{
        _cleanup_(buf_done) struct buf old = { 0 }, new = { 0 };
        char secret[SECRET_TEXT_SIZE], token[256], phc[PHC_MAX_BYTES];
        int r = read_whole(o->file, &old);
        if (r == 0)
                r = make_secret(secret);
        int n = r == 0 ? snprintf(token, sizeof(token), "dt_%s_%s", o->id, secret) : 0;
        if (r == 0 && (size_t)n >= sizeof(token)) {
                error_set(err, "the id is too long");
                return TOKENS_REFUSED;
        }
        if (r == 0)
                r = phc_hash(token, (size_t)n, phc);
        if (r == 0)
                r = is_toml(o->file) ? add_to_toml(&old, o, phc, &new) : add_to_yaml(&old, o, phc, &new, err);
        if (r == 0)
                r = replace_checked(o->file, &new, err);
        if (r == 0)
                r = print_secret(ctl, o->id, "token", token);
        OPENSSL_cleanse(token, sizeof(token));
        OPENSSL_cleanse(secret, sizeof(secret));
        return r;
}

static int add(const struct ctl *ctl)
{
        struct add_options o = {
                .id = ctl_value(ctl, "id"),
                .project = ctl_value(ctl, "project"),
                .prefix = ctl_value(ctl, "prefix"),
                .file = ctl_value(ctl, "tokens-config"),
                .url_key = ctl_flag(ctl, "url-key"),
        };
        char prefix[SOURCE_COMPONENT_MAX + 2];
        struct error err = { "" };
        snprintf(prefix, sizeof(prefix), "%s/", o.project);
        if (!o.prefix)
                o.prefix = prefix;
        int r = add_token(ctl, &o, &err);
        if (r == 0)
                return CTL_OK;
        return say_failed("%s", err.text[0] ? err.text : strerror(r < 0 ? -r : EINVAL));
}

static int hash(const struct ctl *ctl)
{
        char line[4096], phc[PHC_MAX_BYTES];
        if (!fgets(line, sizeof(line), stdin))
                line[0] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        if (!line[0])
                return say_failed("the token is empty");
        int r = phc_hash(line, strlen(line), phc);
        OPENSSL_cleanse(line, sizeof(line));
        if (r == 0)
                r = print_secret(ctl, NULL, "hash", phc);
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
}

static const struct command add_command = {
        .name = "add",
        .summary = "make a token and write its hash into a token file",
        .description =
                "Makes a token, adds its hash to the token file (.toml or .yaml; made when missing) and prints the "
                "token, once: it is kept nowhere. Comments in the file stay. Tell a running daemon with SIGHUP.",
        .options =
                (const struct command_option[]){
                        { "id", "ID", "a name for the token", .required = true },
                        { "project", "PROJECT", "the project that it writes to", .required = true },
                        { "tokens-config", "FILE", "the token file", .required = true, .complete = COMPLETE_FILE },
                        { "prefix", "PREFIX",
                          "only for sources \"<project>/<install_id>\" that start so [the whole project]" },
                        { "url-key", .help = "let it ride in a URL" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl token add --id acme-prod --project acme --tokens-config "
                          "/etc/detritus/tokens.yaml",
                          "a token for all installations of acme" },
                        { NULL },
                },
        .flags = COMMAND_NO_DATA_DIR,
        .run = add,
};

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
        .summary = "make tokens",
        .subcommands = (const struct command *const[]){ &add_command, &hash_command, NULL },
};
