#include "options.h"

#include <stdio.h>
#include <string.h>

#include "../common/command_line.h"
#include "util/cleanup.h"

#define PROGRAM "generate-crashes"
#define BYTES_OF_ROWS 131072
#define BYTES_OF_FILES 2048

static const char usage[] =
        "Usage: generate-crashes --data-dir DIR [OPTIONS]\n"
        "\n"
        "Fills a data directory, which no daemon may use meanwhile, with crashes that might be real: projects, "
        "installs\n"
        "and versions that come and go, a few crashes that many have, attachments, log files. Without --files there "
        "are\n"
        "only rows, and the files that they name are missing: fine for whatever reads the database. For test data "
        "only:\n"
        "nothing is synced on the way.\n"
        "\n"
        "  --crashes N    [10000]\n"
        "  --sources N    installs, of which some never crash and some went silent [500]\n"
        "  --projects N   [5]\n"
        "  --days N       the time over which they came [30]\n"
        "  --until TIME   the end of that time, RFC 3339 [now]\n"
        "  --seed N       another seed, other crashes; the same seed and --until, the same ones [1]\n"
        "  --files        blobs, mirror files and log files too\n"
        "  --bytes N      of a dump, on average [131072; 2048 with --files]\n"
        "  --no-logs      no log files, and no sources that never crashed\n";

enum { OPTION_DATA_DIR = 1, OPTION_UNTIL, OPTION_FILES, OPTION_NO_LOGS, OPTION_HELP };

static const struct command_line_number numbers[] = {
        { "crashes", offsetof(struct options, crashes), 1, 100000000 },
        { "sources", offsetof(struct options, sources), 1, 1000000 },
        { "projects", offsetof(struct options, projects), 1, 1000 },
        { "days", offsetof(struct options, days), 1, 3650 },
        { "seed", offsetof(struct options, seed), 0, UINT64_MAX },
        { "bytes", offsetof(struct options, bytes), 256, 1 << 26 },
};

static const struct option others[] = {
        { "data-dir", required_argument, NULL, OPTION_DATA_DIR },
        { "until", required_argument, NULL, OPTION_UNTIL },
        { "files", no_argument, NULL, OPTION_FILES },
        { "no-logs", no_argument, NULL, OPTION_NO_LOGS },
        { "help", no_argument, NULL, OPTION_HELP },
};

static int take(void *options, int val, const char *value)
{
        struct options *o = options;
        switch (val) {
        case OPTION_DATA_DIR: o->data_dir = value; return 0;
        case OPTION_UNTIL:
                return clock_parse_rfc3339(value, strlen(value), &o->until) == 0
                               ? 0
                               : command_line_complain(PROGRAM, "not a time: ", value);
        case OPTION_FILES: o->files = true; return 0;
        case OPTION_NO_LOGS: o->no_logs = true; return 0;
        default: fputs(usage, stdout); return 1; /* --help */
        }
}

int options_read(struct options *ret, int argc, char **argv)
{
        static const struct command_line line = {
                .program = PROGRAM,
                .numbers = numbers,
                .n_numbers = ARRAY_LEN(numbers),
                .others = others,
                .n_others = ARRAY_LEN(others),
                .take = take,
        };
        *ret = (struct options){
                .crashes = 10000, .sources = 500, .projects = 5, .days = 30, .seed = 1, .until = clock_now()
        };
        int r = command_line_read(&line, ret, argc, argv);
        if (r == 0 && !ret->data_dir)
                r = command_line_complain(PROGRAM, "--data-dir is required", "");
        if (ret->bytes == 0)
                ret->bytes = ret->files ? BYTES_OF_FILES : BYTES_OF_ROWS;
        return r;
}
