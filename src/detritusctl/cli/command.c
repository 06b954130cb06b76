/* Parses the command line: options of the program may be anywhere, a command's own come after its name. --version is
 * detritusctl's alone: behind a command that has no such filter it must not look like success. getopt_long(3)
 * splits the words; for what it refuses we have our own messages, with the nearest name. */
#include "detritusctl/cli/command.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "detritusctl/cli/help.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/cli/suggest.h"
#include "detritusctl/screen/pager.h"
#include "detritusctl/screen/screen.h"

enum global { DATA_DIR, CONFIG, JSON, NO_PAGER, COLOR, YES, DRY_RUN, HELP, VERSION, N_GLOBALS };

static const char *const color_choices[] = { "auto", "always", "never", NULL };

const struct command_global command_globals[] = {
        [DATA_DIR] = { { .name = "data-dir",
                         .value = "DIR",
                         .help = "the data directory of the daemon [$DETRITUS_DATA_DIR, else ./data/]",
                         .complete = COMPLETE_DIRECTORY } },
        [CONFIG] = { { .name = "config",
                       .value = "FILE",
                       .help = "the configuration of the daemon, which names the data directory [$DETRITUS_CONFIG]",
                       .complete = COMPLETE_FILE } },
        [JSON] = { { .name = "json", .help = "print JSON, one object per line" } },
        [NO_PAGER] = { { .name = "no-pager", .help = "do not use a pager for long output" } },
        [COLOR] = { { .name = "color",
                      .value = "WHEN",
                      .help = "when to use colours: auto, always or never [auto: on a terminal, unless $NO_COLOR is "
                              "set]",
                      .choices = color_choices } },
        [YES] = { { .name = "yes", .letter = 'y', .help = "do not ask for confirmation" }, COMMAND_YES },
        [DRY_RUN] = { { .name = "dry-run", .help = "print what would be done, and change nothing" }, COMMAND_DRY_RUN },
        [HELP] = { { .name = "help", .letter = 'h', .help = "print this help" } },
        [VERSION] = { { .name = "version", .letter = 'V', .help = "print the version" }, COMMAND_ROOT },
        [N_GLOBALS] = { { NULL } },
};

#define LONG_BASE 256 /* getopt's values for a command's own options; those of the program follow */
#define GLOBAL_BASE (LONG_BASE + CTL_OPTIONS_MAX)

bool command_takes(const struct command *c, const struct command_global *global)
{
        if (strcmp(global->option.name, "json") == 0)
                return !(c->flags & COMMAND_NO_JSON);
        return global->flag == 0 || (c->flags & global->flag);
}

const struct command *command_find(const struct command *group, const char *name)
{
        for (const struct command *const *c = group->subcommands; c && *c; c++) {
                if (strcmp((*c)->name, name) == 0)
                        return *c;
        }
        return NULL;
}

/* ---- one level's options ---- */

struct spelling {
        struct option longs[CTL_OPTIONS_MAX + N_GLOBALS + 1];
        char letters[3 * (CTL_OPTIONS_MAX + N_GLOBALS) + 3];
};

static void spell(struct spelling *s, size_t *n, const struct command_option *o, int value)
{
        size_t len = strlen(s->letters);
        s->longs[(*n)++] = (struct option){ o->name, o->value ? required_argument : no_argument, NULL, value };
        if (o->letter)
                snprintf(s->letters + len, sizeof(s->letters) - len, "%c%s", o->letter, o->value ? ":" : "");
}

/* "+": stop at the first word that is not an option, the name of a subcommand. ":": getopt prints nothing itself. */
static void spell_all(struct spelling *s, const struct command *c)
{
        size_t n = 0;
        *s = (struct spelling){ 0 };
        snprintf(s->letters, sizeof(s->letters), c->subcommands ? "+:" : ":");
        for (int i = 0; c->options && c->options[i].name; i++) {
                assert(i < CTL_OPTIONS_MAX);
                spell(s, &n, &c->options[i], LONG_BASE + i);
        }
        for (int i = 0; i < N_GLOBALS; i++) {
                if (command_takes(c, &command_globals[i]))
                        spell(s, &n, &command_globals[i].option, GLOBAL_BASE + i);
        }
}

static int refuse_choice(const struct command_option *o, const char *value)
{
        char known[256] = "";
        for (const char *const *choice = o->choices; *choice; choice++) {
                size_t len = strlen(known);
                snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", *choice);
        }
        return say_usage("--%s: \"%s\" is not a choice; use one of %s", o->name, value, known);
}

static int check_choice(const struct command_option *o, const char *value)
{
        for (const char *const *choice = o->choices; choice && *choice; choice++) {
                if (strcmp(*choice, value) == 0)
                        return CTL_OK;
        }
        return o->choices ? refuse_choice(o, value) : CTL_OK;
}

#define GO_ON (-1)

/* One of the program's own options. */
static int take_global(struct ctl *ctl, int which, const char *value)
{
        const struct command_option *o = &command_globals[which].option;
        if (o->choices && check_choice(o, value) != CTL_OK)
                return CTL_USAGE;
        switch ((enum global)which) {
        case DATA_DIR:
                ctl->data_dir = value;
                ctl->data_dir_given = true;
                break;
        case CONFIG: ctl->config_path = value; break;
        case JSON: ctl->json = true; break;
        case NO_PAGER: ctl->no_pager = true; break;
        case COLOR: screen_set_color(value); break;
        case YES: ctl->yes = true; break;
        case DRY_RUN: ctl->dry_run = true; break;
        case HELP: return help_print(ctl->root, ctl->command, stdout);
        case VERSION: puts("detritusctl " DETRITUS_VERSION); return CTL_OK;
        case N_GLOBALS: break;
        }
        return GO_ON;
}

static int take_own(struct ctl *ctl, int which, const char *value)
{
        const struct command_option *o = &ctl->command->options[which];
        if (o->value && ctl->values[which])
                return say_usage("--%s is given twice", o->name);
        if (o->value && check_choice(o, value) != CTL_OK)
                return CTL_USAGE;
        ctl->values[which] = o->value ? value : "";
        return GO_ON;
}

/* LONG_BASE + i or GLOBAL_BASE + i, for a letter too. */
static int code_of(const struct ctl *ctl, int value)
{
        if (value >= LONG_BASE)
                return value;
        for (int i = 0; ctl->command->options && ctl->command->options[i].name; i++) {
                if (value == ctl->command->options[i].letter)
                        return LONG_BASE + i;
        }
        for (int i = 0; i < N_GLOBALS; i++) {
                if (value == command_globals[i].option.letter)
                        return GLOBAL_BASE + i;
        }
        return GLOBAL_BASE + N_GLOBALS;
}

static const char *name_of(const struct ctl *ctl, int code)
{
        return code >= GLOBAL_BASE ? command_globals[code - GLOBAL_BASE].option.name
                                   : ctl->command->options[code - LONG_BASE].name;
}

static int refuse_option(const struct ctl *ctl, const struct spelling *s, const char *word)
{
        struct suggestion nearest = { 0 };
        if (strncmp(word, "--", 2) != 0)
                return optopt ? say_usage("there is no option -%c here", optopt)
                              : say_usage("%s is not an option", word);
        if (optopt >= LONG_BASE)
                return say_usage("--%s takes no value", name_of(ctl, optopt));
        for (const struct option *o = s->longs; o->name; o++)
                suggest(&nearest, word + 2, o->name);
        if (nearest.name)
                return say_usage("there is no option %s here; did you mean --%s?", word, nearest.name);
        return say_usage("there is no option %s here", word);
}

/* getopt takes "--vers" for --version. A new option would change what such a word means, so we want all of it. */
static bool is_whole(const struct option *o, const char *word)
{
        size_t len = strlen(o->name);
        return strncmp(word, "--", 2) == 0 && strncmp(word + 2, o->name, len) == 0 &&
               (word[2 + len] == '\0' || word[2 + len] == '=');
}

/* The options of ctl->command, which come in argv after its name. GO_ON, or the exit status. */
static int parse_level(struct ctl *ctl, int argc, char **argv)
{
        struct spelling s;
        int status = GO_ON;
        spell_all(&s, ctl->command);
        optind = 0; /* getopt_long(3): start again, with another argv */
        for (int c, at = -1; status == GO_ON && (c = getopt_long(argc, argv, s.letters, s.longs, &at)) != -1; at = -1) {
                const char *word = argv[optind - 1 - (optarg && optarg == argv[optind - 1])];
                if (at >= 0 && c != '?' && c != ':' && !is_whole(&s.longs[at], word)) {
                        optopt = 0;
                        return refuse_option(ctl, &s, word);
                }
                if (c == '?')
                        return refuse_option(ctl, &s, argv[optind - 1]);
                if (c == ':')
                        return say_usage("%s needs a value", argv[optind - 1]);
                int code = code_of(ctl, c);
                status = code >= GLOBAL_BASE ? take_global(ctl, code - GLOBAL_BASE, optarg)
                                             : take_own(ctl, code - LONG_BASE, optarg);
        }
        return status;
}

/* ---- the command ---- */

static int refuse_command(const struct command *group, const char *name)
{
        struct suggestion nearest = { 0 };
        for (const struct command *const *c = group->subcommands; *c; c++) {
                if (!((*c)->flags & COMMAND_HIDDEN))
                        suggest(&nearest, name, (*c)->name);
        }
        if (nearest.name)
                return say_usage("there is no command \"%s\"; did you mean \"%s\"?", name, nearest.name);
        return say_usage("there is no command \"%s\"", name);
}

static int check_arguments(const struct ctl *ctl)
{
        const struct command *c = ctl->command;
        for (size_t i = 0; c->options && c->options[i].name; i++) {
                if (c->options[i].required && !ctl->values[i])
                        return say_usage("%s: --%s is needed", c->name, c->options[i].name);
        }
        if (ctl->n_arguments < c->min_arguments)
                return say_usage("%s: %s is needed", c->name, c->arguments);
        if (ctl->n_arguments > c->max_arguments)
                return say_usage("%s: one argument too many: \"%s\"", c->name, ctl->arguments[c->max_arguments]);
        return CTL_OK;
}

static int run(struct ctl *ctl)
{
        assert(ctl->command->run && !ctl->command->subcommands);
        _cleanup_(config_freep) struct config *config = NULL;
        int status = check_arguments(ctl);
        if (status == CTL_OK)
                status = ctl_find_data_dir(ctl, &config);
        if (status != CTL_OK)
                return status;
        if ((ctl->command->flags & COMMAND_PAGER) && !ctl->no_pager && !screen_is_dumb())
                pager_start();
        status = ctl->command->run(ctl);
        if (status != CTL_OK && status != CTL_USAGE)
                ctl_hint_data_dir(ctl);
        return status;
}

/* Down the tree, level by level. */
static int walk(struct ctl *ctl, int argc, char **argv)
{
        for (;;) {
                optind = 1;
                int status = ctl->command->flags & COMMAND_RAW ? GO_ON : parse_level(ctl, argc, argv);
                if (status != GO_ON)
                        return status;
                argc -= optind;
                argv += optind;
                if (!ctl->command->subcommands) {
                        ctl->n_arguments = (size_t)argc;
                        ctl->arguments = argv;
                        return run(ctl);
                }
                if (argc == 0) {
                        help_print(ctl->root, ctl->command, stderr);
                        return CTL_USAGE;
                }
                const struct command *sub = command_find(ctl->command, argv[0]);
                if (!sub)
                        return refuse_command(ctl->command, argv[0]);
                ctl->command = sub;
        }
}

int command_main(const struct command *root, int argc, char **argv)
{
        struct ctl ctl = { .root = root, .command = root };
        assert(root->subcommands);
        screen_init();
        int status = walk(&ctl, argc, argv);
        bool flushed = fflush(stdout) == 0 && !ferror(stdout);
        if (!flushed && !pager_was_quit()) {
                perror("detritusctl: standard output");
                status = CTL_FAILED;
        }
        if (!pager_finish())
                status = CTL_FAILED; /* the shell has printed why */
        say_finish();
        return status;
}
