/* Completion: the scripts for the shells are thin. They ask `detritusctl __complete WORDS...` how the last word may be
 * completed, so a new command needs no new script. The answer: on each line a candidate, a tab and its meaning; or
 * ":file" or ":directory". */
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "util/cleanup.h"

static const char bash[] =
        "_detritusctl() {\n"
        "    local current=${COMP_WORDS[COMP_CWORD]} line\n"
        "    [[ $current == \"=\" ]] && current=\n"
        "    COMPREPLY=()\n"
        "    while IFS= read -r line; do\n"
        "        case $line in\n"
        "        :file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
        "        :directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
        "        *) line=${line%%$'\\t'*}; [[ $line == \"$current\"* ]] && COMPREPLY+=(\"$line\") ;;\n"
        "        esac\n"
        "    done < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
        "}\n"
        "complete -F _detritusctl detritusctl\n";

static const char zsh[] = "#compdef detritusctl\n"
                          "_detritusctl() {\n"
                          "    local -a candidates\n"
                          "    local line name\n"
                          "    while IFS= read -r line; do\n"
                          "        case $line in\n"
                          "        (:file) compset -P '*='; _files ;;\n"
                          "        (:directory) compset -P '*='; _files -/ ;;\n"
                          "        (*) name=${line%%$'\\t'*}; candidates+=(\"${name//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
                          "        esac\n"
                          "    done < <(${words[1]} __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
                          "    (( ${#candidates} )) && _describe -t detritusctl detritusctl candidates\n"
                          "}\n"
                          "if [[ ${funcstack[1]} == _detritusctl ]]; then\n"
                          "    _detritusctl \"$@\"\n"
                          "else\n"
                          "    compdef _detritusctl detritusctl\n"
                          "fi\n";

static const char fish[] = "function __detritusctl_complete\n"
                           "    set -l words (commandline -opc) (commandline -ct)\n"
                           "    set -l program $words[1]\n"
                           "    set -e words[1]\n"
                           "    for line in ($program __complete $words 2>/dev/null)\n"
                           "        switch $line\n"
                           "            case :file\n"
                           "                __fish_complete_path (commandline -ct)\n"
                           "            case :directory\n"
                           "                __fish_complete_directories (commandline -ct)\n"
                           "            case '*'\n"
                           "                echo $line\n"
                           "        end\n"
                           "    end\n"
                           "end\n"
                           "complete -c detritusctl -f -a '(__detritusctl_complete)'\n";

static int print_script(const struct ctl *ctl)
{
        static const struct {
                const char *shell, *script;
        } scripts[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
        for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
                if (strcmp(ctl->arguments[0], scripts[i].shell) == 0) {
                        fputs(scripts[i].script, stdout);
                        return CTL_OK;
                }
        }
        return say_usage("there is no completion for \"%s\"; use one of bash, zsh, fish", ctl->arguments[0]);
}

const struct command completion_command = {
        .name = "completion",
        .summary = "print the completion script for a shell",
        .arguments = "bash|zsh|fish",
        .min_arguments = 1,
        .max_arguments = 1,
        .examples =
                (const struct command_example[]){
                        { "source <(detritusctl completion bash)", "in this bash, now" },
                        { "detritusctl completion zsh > ~/.zfunc/_detritusctl", "where ~/.zfunc is in $fpath" },
                        { "detritusctl completion fish > ~/.config/fish/completions/detritusctl.fish", "fish" },
                        { NULL },
                },
        .flags = COMMAND_NO_JSON | COMMAND_NO_DATA_DIR,
        .run = print_script,
};

/* ---- the answer ---- */

static bool is_option(const struct command_option *o, const char *word)
{
        if (strncmp(word, "--", 2) == 0)
                return strcmp(word + 2, o->name) == 0;
        return word[0] == '-' && word[1] && word[1] == o->letter && !word[2];
}

static const struct command_option *find_option(const struct command *c, const char *word)
{
        for (const struct command_option *o = c->options; o && o->name; o++) {
                if (is_option(o, word))
                        return o;
        }
        for (const struct command_global *g = command_globals; g->option.name; g++) {
                if (command_takes(c, g) && is_option(&g->option, word))
                        return &g->option;
        }
        return NULL;
}

static void offer_kind(enum command_complete kind)
{
        if (kind != COMPLETE_NOTHING)
                puts(kind == COMPLETE_FILE ? ":file" : ":directory");
}

/* `before` comes before each choice: the beginning of the word, "" or "--name=". */
static void offer_value(const struct command_option *o, const char *before, size_t before_len)
{
        for (const char *const *choice = o->choices; choice && *choice; choice++)
                printf("%.*s%s\t\n", (int)before_len, before, *choice);
        offer_kind(o->complete);
}

/* "--name=VALUE", as zsh and fish pass it; bash splits it. False: the word does not look like this. */
static bool offer_value_of_word(const struct command *c, const char *word)
{
        char name[64];
        size_t len = strcspn(word, "=");
        if (strncmp(word, "--", 2) != 0 || word[len] != '=' || len >= sizeof(name))
                return false;
        snprintf(name, sizeof(name), "%.*s", (int)len, word);
        const struct command_option *o = find_option(c, name);
        if (o && o->value)
                offer_value(o, word, len + 1);
        return true;
}

static void offer_options(const struct command *c)
{
        for (const struct command_option *o = c->options; o && o->name; o++)
                printf("--%s\t%s\n", o->name, o->help);
        for (const struct command_global *g = command_globals; g->option.name; g++) {
                if (command_takes(c, g))
                        printf("--%s\t%s\n", g->option.name, g->option.help);
        }
}

/* "bash|zsh|fish", "[show ID]": words in lower case are choices. */
static void offer_arguments(const struct command *c)
{
        const char *words = c->arguments ? c->arguments + (c->arguments[0] == '[') : "";
        while (*words >= 'a' && *words <= 'z') {
                size_t len = strcspn(words, "| ]");
                printf("%.*s\t\n", (int)len, words);
                words += len + (words[len] == '|');
        }
        if (c->arguments)
                offer_kind(c->complete);
}

static void offer_commands(const struct command *group)
{
        for (const struct command *const *c = group->subcommands; c && *c; c++) {
                if (!((*c)->flags & COMMAND_HIDDEN))
                        printf("%s\t%s\n", (*c)->name, (*c)->summary);
        }
}

/* The words before the last one lead to a command, which is returned; NULL: to none. *ret_open: the option whose value
 * comes next. */
static const struct command *follow(const struct ctl *ctl, const struct command_option **ret_open)
{
        const struct command *c = ctl->root;
        const struct command_option *open = NULL;
        for (size_t i = 0; i + 1 < ctl->n_arguments && c; i++) {
                const char *word = ctl->arguments[i];
                if (open && strcmp(word, "=") == 0) /* bash makes three words of --name=value */
                        continue;
                if (open) {
                        open = NULL;
                } else if (word[0] == '-') {
                        open = find_option(c, word);
                        if (open && !open->value)
                                open = NULL;
                } else if (c->subcommands) {
                        c = command_find(c, word);
                }
        }
        *ret_open = open;
        return c;
}

static int complete(const struct ctl *ctl)
{
        const struct command_option *open = NULL;
        const struct command *c = follow(ctl, &open);
        const char *last = ctl->n_arguments > 0 ? ctl->arguments[ctl->n_arguments - 1] : "";
        if (!c)
                return CTL_OK;
        if (open)
                offer_value(open, "", 0);
        else if (offer_value_of_word(c, last))
                return CTL_OK;
        else if (last[0] == '-')
                offer_options(c);
        else if (c->subcommands)
                offer_commands(c);
        else if (c == &help_command)
                offer_commands(ctl->root);
        else
                offer_arguments(c);
        return CTL_OK;
}

const struct command complete_command = {
        .name = "__complete",
        .summary = "print the completions of the last word",
        .arguments = "WORD...",
        .max_arguments = COMMAND_MANY,
        .flags = COMMAND_HIDDEN | COMMAND_RAW | COMMAND_NO_JSON | COMMAND_NO_DATA_DIR,
        .run = complete,
};
