/* detritusctl: looks into a data directory and manages tokens. One file per family of commands. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detritusctl/commands.h"
#include "util/cleanup.h"
#include "util/log.h"

static const char usage[] =
        "Usage: detritusctl [--data-dir DIR] COMMAND ...\n"
        "\n"
        "Commands:\n"
        "  crashes list [--json] [--limit N]    the newest crashes\n"
        "  crashes show ID|HASH [--json]        one crash, by id or by the first digits of its dump's hash\n"
        "  token ...                            make and check tokens (detritusctl token --help)\n"
        "\n"
        "Options:\n"
        "  --data-dir DIR    what detritusd was given [$DETRITUS_DATA_DIR, else ./data/]\n"
        "  --version         print the version\n"
        "  --help            print this\n"
        "\n"
        "Exit status: 0, 1 when something failed or was not found, 2 for a wrong command line.\n";

static const struct {
        const char *name;
        int (*main)(int argc, char **argv, const struct ctl *ctl);
} families[] = {
        { "crashes", crashes_main },
        { "token", token_main },
};

static const struct option options[] = {
        { "data-dir", required_argument, NULL, 'd' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
};

static int run_family(int argc, char **argv, const struct ctl *ctl)
{
        for (size_t i = 0; i < ARRAY_LEN(families); i++) {
                if (strcmp(argv[0], families[i].name) == 0)
                        return families[i].main(argc, argv, ctl);
        }
        fprintf(stderr, "detritusctl: no command \"%s\"; try detritusctl --help\n", argv[0]);
        return CTL_USAGE;
}

int main(int argc, char **argv)
{
        const char *from_environment = getenv("DETRITUS_DATA_DIR");
        struct ctl ctl = { .data_dir = from_environment && *from_environment ? from_environment : "./data/" };
        log_setup(LOG_FORMAT_PRETTY, LOG_LEVEL_ERROR); /* what goes wrong is said once, in words */
        for (int c; (c = getopt_long(argc, argv, "+hV", options, NULL)) != -1;) {
                switch (c) {
                case 'd': ctl.data_dir = optarg; break;
                case 'V': puts("detritusctl " DETRITUS_VERSION); return CTL_OK;
                case 'h': fputs(usage, stdout); return CTL_OK;
                default: fputs("Try detritusctl --help.\n", stderr); return CTL_USAGE;
                }
        }
        if (optind == argc) {
                fputs(usage, stderr);
                return CTL_USAGE;
        }
        int status = run_family(argc - optind, argv + optind, &ctl);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                perror("detritusctl: standard output");
                return CTL_FAILED;
        }
        return status;
}
