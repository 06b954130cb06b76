/* detritusctl config check: the daemon's own strict readers look at the configuration and the token file, and what comes
 * out of them is shown, defaults included. */
#include "detritusctl/cli/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "auth/tokens.h"
#include "config/config_internal.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/table.h"

static int set(struct config *c, const char *flag, const char *value, struct error *err)
{
        return value ? config_set(c, flag, value, err) : 0;
}

static int read_settings(const struct ctl *ctl, const char *path, const char *tokens_config, struct config **ret)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct error err = { "out of memory" };
        int r = config_new(&config);
        if (r == 0 && path)
                r = config_read(config, path, &err);
        if (r == 0 && (!path || ctl->data_dir_given))
                r = set(config, "data-dir", ctl->data_dir, &err);
        if (r == 0)
                r = set(config, "tokens-config",
                        tokens_config ? tokens_config : ctl_environment("DETRITUS_TOKENS_CONFIG"), &err);
        if (r != 0)
                return say_failed("%s", err.text);
        *ret = TAKE_PTR(config);
        return CTL_OK;
}

int settings_read(const struct ctl *ctl, const char *tokens_config, struct config **ret)
{
        return read_settings(ctl, ctl->config_path, tokens_config, ret);
}

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

/* A size as a file may say it: "16MiB". */
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

static struct json_object *value_of(const struct config *c, const struct config_key *k)
{
        if (is_text(k)) {
                const char *text = text_of(c, k);
                return text ? json_object_new_string(text) : NULL;
        }
        return k->type == CONFIG_BOOL ? json_object_new_boolean(number_of(c, k) != 0)
                                      : json_object_new_uint64(number_of(c, k));
}

static struct json_object *section_of(struct json_object *root, const char *name)
{
        struct json_object *section = *name ? json_object_object_get(root, name) : root;
        if (!section) {
                section = json_object_new_object();
                json_object_object_add(root, name, section);
        }
        return section;
}

static int print_json(const struct config *c, const struct tokens *tokens)
{
        struct json_object *root = json_object_new_object(), *listeners = json_object_new_array();
        for (size_t i = 0; i < c->n_listeners; i++) {
                struct json_object *listener = json_object_new_object();
                json_object_object_add(listener, "bind", json_object_new_string(c->listeners[i]));
                json_object_array_add(listeners, listener);
        }
        json_object_object_add(root, "path", c->path ? json_object_new_string(c->path) : NULL);
        json_object_object_add(root, "listeners", listeners);
        for (size_t i = 0; i < config_n_keys; i++)
                json_object_object_add(section_of(root, config_keys[i].section), config_keys[i].name,
                                       value_of(c, &config_keys[i]));
        struct json_object *projects = section_of(root, "projects");
        for (size_t i = 0; i < c->n_projects; i++) {
                struct json_object *project = section_of(projects, c->projects[i].name);
                json_object_object_add(project, "logs_max_bytes",
                                       json_object_new_uint64(c->projects[i].caps.logs_max_bytes));
                json_object_object_add(project, "crashes_max_bytes",
                                       json_object_new_uint64(c->projects[i].caps.crashes_max_bytes));
        }
        json_object_object_add(root, "tokens", tokens ? json_object_new_uint64(tokens->n) : NULL);
        const char *text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_NOSLASHESCAPE);
        int r = text ? screen_json(NULL, text) : -ENOMEM;
        json_object_put(root);
        return r;
}

/* ---- the command ---- */

static int check(const struct ctl *ctl)
{
        _cleanup_(config_freep) struct config *config = NULL;
        _cleanup_(tokens_unrefp) struct tokens *tokens = NULL;
        struct error err = { "out of memory" };
        int status = read_settings(ctl, ctl->n_arguments > 0 ? ctl->arguments[0] : ctl->config_path, NULL, &config);
        if (!config)
                return status;
        if (config->tokens_config && tokens_read(config->tokens_config, &tokens, &err) != 0)
                return say_failed("%s", err.text);
        int r = ctl->json ? print_json(config, tokens) : print_table(config);
        if (r < 0)
                return say_failed("%s", strerror(-r));
        if (!tokens)
                say_note("%s: fine; a daemon needs a token file besides", config->path ? config->path : "the defaults");
        return CTL_OK;
}

static const struct command check_command = {
        .name = "check",
        .summary = "read a configuration as the daemon would, and show every setting",
        .arguments = "[FILE]",
        .max_arguments = 1,
        .complete = COMPLETE_FILE,
        .description =
                "Reads FILE (else that of --config, else the defaults alone) and the token file that it names with the "
                "daemon's own readers, says what is wrong with file and line, and shows every setting as it would be "
                "used. Flags of the daemon are not known here. --json prints one document.",
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
        .heading = "Check what it stands on",
        .summary = "check the daemon's configuration",
        .subcommands = (const struct command *const[]){ &check_command, NULL },
};
