/* detritusctl config check: reads the configuration and the token file with the daemon's own strict readers, and shows
 * every setting, defaults included. */
#include "auth/tokens.h"
#include "config/config_internal.h"
#include "detritusctl/access/settings.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/table.h"
#include "detritusctl/tokens/token_secret.h"
#include "protocol/json/json_write.h"

#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

/* ---- one setting ---- */

static uint64_t number_of(const struct config *c, const struct config_key *k)
{
        const char *at = (const char *)c + k->offset;
        uint64_t wide;
        unsigned narrow;
        bool truth;
        if (k->type == CONFIG_BOOL) {
                memcpy(&truth, at, sizeof(truth));
                return truth;
        }
        if (k->size == sizeof(wide)) {
                memcpy(&wide, at, sizeof(wide));
                return wide;
        }
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
}

static const char *text_of(const struct config *c, const struct config_key *k)
{
        return k->type == CONFIG_CHOICE ? k->choices[number_of(c, k)]
                                        : *(char *const *)(const void *)((const char *)c + k->offset);
}

static bool is_text(const struct config_key *k)
{
        return k->type == CONFIG_TEXT || k->type == CONFIG_CHOICE;
}

static bool is_default(const struct config *c, const struct config_key *k)
{
        if (k->type != CONFIG_TEXT)
                return number_of(c, k) == k->def;
        const char *text = text_of(c, k);
        return text && k->def_text ? strcmp(text, k->def_text) == 0 : text == k->def_text;
}

static bool is_default_listener(const struct config *c)
{
        return c->n_listeners == 1 && strcmp(c->listeners[0], CONFIG_DEFAULT_BIND) == 0;
}

/* ---- as a table ---- */

/* A size as a configuration may say it: "16MiB". */
static void print_number(uint64_t value, bool is_bytes, char *ret, size_t size)
{
        static const char *const units[] = { "", "KiB", "MiB", "GiB" };
        size_t unit = 0;
        while (is_bytes && value > 0 && value % 1024 == 0 && unit + 1 < ARRAY_LEN(units)) {
                value /= 1024;
                unit++;
        }
        snprintf(ret, size, "%" PRIu64 "%s", value, units[unit]);
}

static int add_key(struct table *table, const struct config *c, const struct config_key *k)
{
        char name[96], number[32];
        const char *value = number;
        snprintf(name, sizeof(name), "%s%s%s", k->section, *k->section ? "." : "", k->name);
        if (is_text(k))
                value = text_of(c, k);
        else if (k->type == CONFIG_BOOL)
                value = number_of(c, k) ? "true" : "false";
        else
                print_number(number_of(c, k), k->type == CONFIG_BYTES, number, sizeof(number));
        return table_add(table,
                         (const char *[]){ name, value ? value : "(none)", is_default(c, k) ? "default" : "set" });
}

static int print_table(const struct config *c)
{
        static const struct table_column columns[] = { { .title = "SETTING" },
                                                       { "VALUE", .max = 80 },
                                                       { .title = "FROM" } };
        _cleanup_(table_freep) struct table *table = NULL;
        char name[CONFIG_PROJECT_SIZE + 32], number[32];
        int r = table_new(columns, ARRAY_LEN(columns), &table);
        for (size_t i = 0; r == 0 && i < c->n_listeners; i++)
                r = table_add(table, (const char *[]){ "listeners.bind", c->listeners[i],
                                                       is_default_listener(c) ? "default" : "set" });
        for (size_t i = 0; r == 0 && i < config_n_keys; i++)
                r = add_key(table, c, &config_keys[i]);
        for (size_t i = 0; r == 0 && i < c->n_projects; i++) {
                const struct config_project *p = &c->projects[i];
                snprintf(name, sizeof(name), "projects.%s.logs_max_bytes", p->name);
                print_number(p->caps.logs_max_bytes, true, number, sizeof(number));
                r = table_add(table, (const char *[]){ name, number, "set" });
                snprintf(name, sizeof(name), "projects.%s.crashes_max_bytes", p->name);
                print_number(p->caps.crashes_max_bytes, true, number, sizeof(number));
                if (r == 0)
                        r = table_add(table, (const char *[]){ name, number, "set" });
        }
        return r == 0 ? table_finish(table) : r;
}

/* ---- as JSON ---- */

static void write_key(struct json_write *w, const struct config *c, const struct config_key *k)
{
        if (is_text(k))
                json_write_string(w, k->name, text_of(c, k));
        else if (k->type == CONFIG_BOOL)
                json_write_bool(w, k->name, number_of(c, k) != 0);
        else
                json_write_u64(w, k->name, number_of(c, k));
}

/* The keys of a section follow each other; those of "" are members of the document itself. */
static void write_keys(struct json_write *w, const struct config *c)
{
        const char *section = "";
        for (size_t i = 0; i < config_n_keys; i++) {
                const struct config_key *k = &config_keys[i];
                if (strcmp(k->section, section) != 0) {
                        if (*section)
                                json_write_end(w);
                        section = k->section;
                        json_write_object(w, section);
                }
                write_key(w, c, k);
        }
        if (*section)
                json_write_end(w);
}

static void write_projects(struct json_write *w, const struct config *c)
{
        json_write_object(w, "projects");
        for (size_t i = 0; i < c->n_projects; i++) {
                json_write_object(w, c->projects[i].name);
                json_write_u64(w, "logs_max_bytes", c->projects[i].caps.logs_max_bytes);
                json_write_u64(w, "crashes_max_bytes", c->projects[i].caps.crashes_max_bytes);
                json_write_end(w);
        }
        json_write_end(w);
}

static int print_json(const struct config *c, const struct tokens *tokens)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "path", c->path);
        json_write_array(&w, "listeners");
        for (size_t i = 0; i < c->n_listeners; i++) {
                json_write_object(&w, NULL);
                json_write_string(&w, "bind", c->listeners[i]);
                json_write_end(&w);
        }
        json_write_end(&w);
        write_keys(&w, c);
        write_projects(&w, c);
        if (tokens)
                json_write_u64(&w, "tokens", tokens->n);
        else
                json_write_null(&w, "tokens");
        json_write_end(&w);
        return screen_json_line(&line);
}

/* ---- the tokens ---- */

/* The daemon takes them: a token that somebody made up need not contain the id. */
static void name_odd_tokens(const char *path, const struct tokens *tokens)
{
        char why[TOKEN_SECRET_WHY_SIZE];
        for (size_t i = 0; i < tokens->n; i++) {
                const char *id = tokens->list[i].id;
                if (token_secret_id_problem(id, why))
                        say_note("%s: the token id \"%s\" does not fit into a token that clients can send: %s; "
                                 "use " TOKEN_SECRET_IDS,
                                 path, id, why);
        }
}

/* ---- the command ---- */

static int check(const struct ctl *ctl)
{
        _cleanup_(config_freep) struct config *config = NULL;
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        struct error err = { "out of memory" };
        int status = settings_read(ctl, ctl->n_arguments > 0 ? ctl->arguments[0] : ctl->config_path, NULL, &config);
        if (!config)
                return status;
        if (config->tokens_config && tokens_read(config->tokens_config, &tokens, &err) != 0)
                return say_failed("%s", err.text);
        int r = ctl->json ? print_json(config, tokens) : print_table(config);
        if (r < 0)
                return say_error("print the settings", r);
        if (tokens)
                name_odd_tokens(config->tokens_config, tokens);
        else
                say_note("%s: no errors; a daemon also needs a token file",
                         config->path ? config->path : "the defaults");
        return CTL_OK;
}

static const struct command check_command = {
        .name = "check",
        .summary = "check a configuration as the daemon would, and show every setting",
        .arguments = "[FILE]",
        .max_arguments = 1,
        .complete = COMPLETE_FILE,
        .description = "Reads FILE (by default the one of --config; if there is none, only the defaults) and the "
                       "token file that it names, with the daemon's own readers. Reports an error with file and line; "
                       "if there is none, shows every setting as the daemon would use it, without the daemon's flags. "
                       "Names the ids of tokens that do not fit into a token that clients can send. "
                       "--json prints one document.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl config check /etc/detritus/detritusd.yaml", "before a restart" },
                        { NULL },
                },
        .flags = COMMAND_NO_DATA_DIR | COMMAND_PAGER,
        .run = check,
};

const struct command config_command = {
        .name = "config",
        .heading = "Check the setup",
        .summary = "check the daemon's configuration",
        .subcommands = (const struct command *const[]){ &check_command, NULL },
};
