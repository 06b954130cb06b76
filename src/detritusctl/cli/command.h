#pragma once
/* A command as data: its parsing, its --help, its part of the man page and its completion all come from one table. A
 * command either runs or has subcommands. commands.h lists them all.
 *
 * Commands print to standard output, report errors on standard error (say.h), and return the exit status. */

#include <stdbool.h>
#include <stddef.h>

#include "detritusctl/cli/ctl.h"

#define COMMAND_DEPTH_MAX 4  /* detritusctl included */
#define COMMAND_MANY 1000000 /* max_arguments: any number */

/* What completion offers for a value. */
enum command_complete { COMPLETE_NOTHING, COMPLETE_FILE, COMPLETE_DIRECTORY };

struct command_option {
        const char *name;  /* "limit"; NULL ends a list */
        const char *value; /* "N", as help shows it; NULL: a switch without a value */
        const char *help;  /* "at most N crashes [50]" */
        char letter;       /* -n; 0: none */
        bool required;
        const char *const *choices; /* NULL-terminated; NULL: any text */
        enum command_complete complete;
};

struct command_example {
        const char *line; /* "detritusctl crashes list --limit 5"; NULL ends a list */
        const char *what; /* "the five newest" */
};

/* Shared options, which only some commands take. */
#define COMMAND_DRY_RUN (1u << 0)
#define COMMAND_YES (1u << 1)
#define COMMAND_ROOT (1u << 7) /* detritusctl itself: --version */
/* Others. */
#define COMMAND_PAGER (1u << 2)       /* its output may be long: on a terminal it goes through a pager */
#define COMMAND_NO_JSON (1u << 3)     /* refuses --json */
#define COMMAND_NO_DATA_DIR (1u << 4) /* needs none: a broken --config does not stop it */
#define COMMAND_HIDDEN (1u << 5)      /* not for people */
#define COMMAND_RAW (1u << 6)         /* every word is an argument, even one that looks like an option */

struct command {
        const char *name;
        const char
                *heading; /* in the help of the level above: comes before this command and those after it; NULL: none */
        const char *summary;   /* one line, no full stop */
        const char *arguments; /* "ID|HASH"; NULL: none */
        unsigned min_arguments, max_arguments;
        enum command_complete complete;
        const char *description;                  /* paragraphs with empty lines between; NULL: the summary is enough */
        const struct command_option *options;     /* NULL: none */
        const struct command_example *examples;   /* NULL: none */
        const struct command *const *subcommands; /* NULL-terminated; NULL: it runs */
        unsigned flags;                           /* COMMAND_* */
        int (*run)(const struct ctl *ctl);        /* the exit status */
};

/* The options that every command takes, and those that some share. */
struct command_global {
        struct command_option option;
        unsigned flag; /* 0: every command takes it; else those with this flag */
};
extern const struct command_global command_globals[]; /* a NULL name ends it */
bool command_takes(const struct command *c, const struct command_global *global);

const struct command *command_find(const struct command *group, const char *name);

/* All of main(): parses, then prints help or runs. Returns the exit status; standard output is flushed. */
int command_main(const struct command *root, int argc, char **argv);
