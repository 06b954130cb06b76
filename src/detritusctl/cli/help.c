/* `--help`, and `detritusctl help [COMMAND]`, which prints the same. */
#include "detritusctl/cli/help.h"

#include <ctype.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "util/cleanup.h"

#define LINE_COLUMNS_MIN 50
#define LINE_COLUMNS_MAX 88
#define NAME_COLUMNS 26

static bool find_path(const struct command *at, const struct command *wanted, char ret[HELP_PATH_SIZE])
{
        size_t len = strlen(ret);
        snprintf(ret + len, HELP_PATH_SIZE - len, "%s%s", len ? " " : "", at->name);
        if (at == wanted)
                return true;
        for (const struct command *const *c = at->subcommands; c && *c; c++) {
                if (find_path(*c, wanted, ret))
                        return true;
        }
        ret[len] = '\0';
        return false;
}

void help_path(const struct command *root, const struct command *c, char ret[HELP_PATH_SIZE])
{
        ret[0] = '\0';
        find_path(root, c, ret);
}

static size_t line_columns(void)
{
        size_t n = screen_columns();
        return n == 0 || n > LINE_COLUMNS_MAX ? LINE_COLUMNS_MAX : n < LINE_COLUMNS_MIN ? LINE_COLUMNS_MIN : n;
}

/* Prints one paragraph, or several with empty lines between, from `column` on; further lines are indented by `indent`.
 */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
        size_t at = column, max = line_columns();
        for (bool first = true; *text; first = false) {
                size_t newlines = strspn(text, "\n"), len = strcspn(text + newlines, " \n");
                if (newlines > 0 || (!first && at + 1 + len > max)) {
                        fprintf(out, "%s%*s", newlines > 1 ? "\n\n" : "\n", (int)indent, "");
                        at = indent;
                } else if (!first) {
                        fputc(' ', out);
                        at++;
                }
                text += newlines;
                fwrite(text, 1, len, out);
                at += len;
                text += len + (text[len] == ' ');
        }
        fputc('\n', out);
}

static void print_entry(FILE *out, const char *name, const char *text)
{
        int n = fprintf(out, "  %-*s  ", NAME_COLUMNS, name);
        if (n > NAME_COLUMNS + 4)
                fprintf(out, "\n%*s", NAME_COLUMNS + 4, "");
        print_wrapped(out, text, NAME_COLUMNS + 4, NAME_COLUMNS + 4);
}

static void print_option(FILE *out, const struct command_option *o)
{
        char name[64], text[512];
        snprintf(name, sizeof(name), "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                 o->letter ? ", " : "  ", o->name, o->value ? " " : "", o->value ? o->value : "");
        snprintf(text, sizeof(text), "%s%s", o->help, o->required ? " (required)" : "");
        print_entry(out, name, text);
}

static void print_usage(const struct command *root, const struct command *c, FILE *out)
{
        char path[HELP_PATH_SIZE];
        help_path(root, c, path);
        fprintf(out, "Usage: %s", path);
        for (const struct command_option *o = c->options; o && o->name; o++) {
                if (o->required)
                        fprintf(out, " --%s %s", o->name, o->value);
        }
        fprintf(out, " [OPTIONS]%s%s\n", c->subcommands || c->arguments ? " " : "",
                c->subcommands ? "COMMAND ..."
                : c->arguments ? c->arguments
                               : "");
}

static void print_commands(const struct command *group, FILE *out)
{
        if (!group->subcommands[0]->heading)
                fputs("\nCommands:\n", out);
        for (const struct command *const *c = group->subcommands; *c; c++) {
                if ((*c)->heading)
                        fprintf(out, "\n%s:\n", (*c)->heading);
                if (!((*c)->flags & COMMAND_HIDDEN))
                        print_entry(out, (*c)->name, (*c)->summary);
        }
}

static void print_examples(const struct command *c, FILE *out)
{
        if (c->examples)
                fputs("\nExamples:\n", out);
        for (const struct command_example *e = c->examples; e && e->line; e++)
                fprintf(out, "  %s\n      %s\n", e->line, e->what);
}

static void print_globals(const struct command *root, const struct command *c, FILE *out)
{
        bool all = c == root;
        fputs(all ? "\nOptions of every command:\n" : "\nOptions of every command (see detritusctl --help):\n ", out);
        for (const struct command_global *g = command_globals; g->option.name; g++) {
                if (all && g->flag == 0)
                        print_option(out, &g->option);
                else if (!all && g->flag == 0 && command_takes(c, g))
                        fprintf(out, " --%s", g->option.name);
        }
        if (all)
                print_wrapped(out,
                              "\n"
                              "Exit status: 0: success; 1: it failed, or something was not found or is not in order; "
                              "2: the command line is wrong.",
                              0, 0);
        else
                fputc('\n', out);
}

static void print_options(const struct command *c, FILE *out)
{
        bool titled = false;
        for (const struct command_option *o = c->options; o && o->name; o++) {
                fputs(titled ? "" : "\nOptions:\n", out);
                titled = true;
                print_option(out, o);
        }
        for (const struct command_global *g = command_globals; g->option.name; g++) {
                if (g->flag == 0 || !(c->flags & g->flag))
                        continue;
                fputs(titled ? "" : "\nOptions:\n", out);
                titled = true;
                print_option(out, &g->option);
        }
}

int help_print(const struct command *root, const struct command *c, FILE *out)
{
        print_usage(root, c, out);
        fputc('\n', out);
        if (c->description) {
                print_wrapped(out, c->description, 0, 0);
        } else {
                fprintf(out, "%c%s.\n", toupper((unsigned char)c->summary[0]), c->summary + 1);
        }
        if (c->subcommands)
                print_commands(c, out);
        print_options(c, out);
        print_examples(c, out);
        print_globals(root, c, out);
        return CTL_OK;
}

static int run(const struct ctl *ctl)
{
        const struct command *c = ctl->root;
        if (ctl_flag(ctl, "man")) {
                help_man(ctl->root);
                return CTL_OK;
        }
        for (size_t i = 0; i < ctl->n_arguments; i++) {
                const struct command *sub = command_find(c, ctl->arguments[i]);
                if (!sub)
                        return say_usage("there is no command \"%s\"", ctl->arguments[i]);
                c = sub;
        }
        return help_print(ctl->root, c, stdout);
}

const struct command help_command = {
        .name = "help",
        .heading = "Get help",
        .summary = "explain a command",
        .arguments = "[COMMAND ...]",
        .max_arguments = COMMAND_DEPTH_MAX,
        .options =
                (const struct command_option[]){
                        { "man", .help = "print the man page detritusctl(1), with all commands, for man -l" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl help crashes list", "the options and examples of a command" },
                        { NULL },
                },
        .flags = COMMAND_PAGER | COMMAND_NO_JSON | COMMAND_NO_DATA_DIR,
        .run = run,
};
