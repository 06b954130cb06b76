#pragma once
/* The families of commands, each in a file of its own. They print to standard output, complain on standard error, and
 * return the exit status. */

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl {
        const char *data_dir;
};

/* argv[0] is the family's name. */
int crashes_main(int argc, char **argv, const struct ctl *ctl);
int token_main(int argc, char **argv, const struct ctl *ctl);
