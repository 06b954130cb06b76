/* The man page, in man(7)'s macros. A dash is \-, so that what is copied from the page can be pasted; a line that
 * begins with a dot or a quote is no macro. */
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
        print_line("", o->help, o->required ? " (needed)\n" : "\n");
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
              ".TP\n0\nDone.\n"
              ".TP\n1\nIt failed, or what was asked for was not found or is not in order.\n"
              ".TP\n2\nThe command line is wrong.\n"
              ".SH ENVIRONMENT\n"
              ".TP\nDETRITUS_DATA_DIR\nThe data directory, when neither \\-\\-data\\-dir nor \\-\\-config is given.\n"
              ".TP\nDETRITUS_CONFIG\nThe daemon's configuration, when no other option or variable says where the data "
              "is.\n"
              ".TP\nDETRITUS_PAGER, PAGER\nWhat pages long output; empty or cat: nothing. Without them, less \\-FRXK, "
              "where there is one.\n"
              ".TP\nNO_COLOR\nWhen it is not empty, no colours.\n"
              ".SH SEE ALSO\n.BR sqlite3 (1)\n",
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
        fputs(".SH OPTIONS\nThese stand before or behind the command.\n", stdout);
        print_globals(0);
        fputs(".SH COMMANDS\n", stdout);
        print_command(root, root);
        fputs(".SH EXAMPLES\n", stdout);
        print_examples(root);
        print_end();
}
