/* The man page, in the macros of man(7). A dash is printed as \-, so that examples can be copied from the page; dots
 * and quotes at the start of a line are escaped, since they would begin a macro. */
#include <ctype.h>
#include <string.h>

#include "detritusctl/cli/help.h"

static void print_text(const char *text, bool at_start)
{
        for (; *text; text++) {
                if (at_start && (*text == '.' || *text == '\''))
                        fputs("\\&", stdout);
                if (*text == '\\')
                        fputs("\\e", stdout);
                else if (*text == '-')
                        fputs("\\-", stdout);
                else if (*text == '\n' && text[1] == '\n')
                        fputs("\n.PP", stdout);
                else
                        fputc(*text, stdout);
                at_start = *text == '\n';
        }
}

static void print_line(const char *before, const char *text, const char *after)
{
        fputs(before, stdout);
        print_text(text, !*before);
        fputs(after, stdout);
}

static void print_option(const struct command_option *o)
{
        fputs(".TP\n", stdout);
        if (o->letter)
                printf("\\fB\\-%c\\fR, ", o->letter);
        print_line("\\fB\\-\\-", o->name, "\\fR");
        if (o->value)
                print_line(" \\fI", o->value, "\\fR");
        fputc('\n', stdout);
        print_line("", o->help, o->required ? " (required)\n" : "\n");
}

static void print_globals(unsigned flags)
{
        for (const struct command_global *g = command_globals; g->option.name; g++) {
                if (flags ? g->flag & flags : g->flag == 0)
                        print_option(&g->option);
        }
}

static void print_examples(const struct command *c)
{
        for (const struct command_example *e = c->examples; e && e->line; e++) {
                bool asks = strlen(e->what) > 0 && e->what[strlen(e->what) - 1] == '?';
                print_line(".PP\n", e->what, asks ? "\n" : ":\n");
                print_line(".RS 4\n.EX\n", e->line, "\n.EE\n.RE\n");
        }
}

static void print_command(const struct command *root, const struct command *c)
{
        char path[HELP_PATH_SIZE];
        if (c->flags & COMMAND_HIDDEN)
                return;
        for (const struct command *const *sub = c->subcommands; sub && *sub; sub++)
                print_command(root, *sub);
        if (c->subcommands)
                return;
        help_path(root, c, path);
        print_line(".SS \"", path + strlen(root->name) + 1, "");
        if (c->arguments)
                print_line(" ", c->arguments, "");
        fputs("\"\n", stdout);
        if (c->description) {
                print_line("", c->description, "\n");
        } else {
                fputc(toupper((unsigned char)c->summary[0]), stdout);
                print_text(c->summary + 1, false);
                fputs(".\n", stdout);
        }
        for (const struct command_option *o = c->options; o && o->name; o++)
                print_option(o);
        if (c->flags & (COMMAND_DRY_RUN | COMMAND_YES))
                print_globals(c->flags & (COMMAND_DRY_RUN | COMMAND_YES));
        print_examples(c);
}

static void print_end(void)
{
        fputs(".SH EXIT STATUS\n"
              ".TP\n"
              "0\n"
              "Success.\n"
              ".TP\n"
              "1\n"
              "It failed, or something was not found or is not in order.\n"
              ".TP\n"
              "2\n"
              "The command line is wrong.\n"
              ".SH ENVIRONMENT\n"
              ".TP\n"
              "DETRITUS_DATA_DIR\n"
              "The data directory, when neither \\-\\-data\\-dir nor \\-\\-config is given.\n"
              ".TP\n"
              "DETRITUS_CONFIG\n"
              "The daemon's configuration, when no other option or variable says where the data is.\n"
              ".TP\n"
              "DETRITUS_PAGER, PAGER\n"
              "The pager for long output on a terminal; empty or cat: no pager. Without them, less \\-FRXK, if it is "
              "installed.\n"
              ".TP\n"
              "NO_COLOR\n"
              "If it is not empty, there are no colours.\n"
              ".SH SEE ALSO\n"
              ".BR sqlite3 (1)\n",
              stdout);
}

void help_man(const struct command *root)
{
        fputs(".\\\" Made by detritusctl help --man; do not edit.\n"
              ".TH DETRITUSCTL 1 \"\" \"detritus " DETRITUS_VERSION "\"\n"
              ".SH NAME\n",
              stdout);
        print_line("", root->name, " \\- ");
        print_line("", root->summary, "\n");
        fputs(".SH SYNOPSIS\n.B detritusctl\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...\n.SH DESCRIPTION\n", stdout);
        print_line("", root->description, "\n");
        fputs(".SH OPTIONS\nThese may come before or after the command.\n", stdout);
        print_globals(0);
        fputs(".SH COMMANDS\n", stdout);
        print_command(root, root);
        fputs(".SH EXAMPLES\n", stdout);
        print_examples(root);
        print_end();
}
