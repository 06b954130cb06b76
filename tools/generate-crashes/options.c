#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum { OPTION_DATA_DIR = 1, OPTION_UNTIL, OPTION_FILES, OPTION_NO_LOGS, OPTION_HELP, OPTION_NUMBERS };

static const struct number {
        const char *name;
        size_t at; /* in struct options */
        uint64_t min, max;
} numbers[] = {
        { "crashes", offsetof(struct options, crashes), 1, 100000000 },
        { "sources", offsetof(struct options, sources), 1, 1000000 },
        { "projects", offsetof(struct options, projects), 1, 1000 },
        { "days", offsetof(struct options, days), 1, 3650 },
        { "seed", offsetof(struct options, seed), 0, UINT64_MAX },
        { "bytes", offsetof(struct options, bytes), 256, 1 << 26 },
};
#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static const struct option others[] = {
        { "data-dir", required_argument, NULL, OPTION_DATA_DIR },
        { "until", required_argument, NULL, OPTION_UNTIL },
        { "files", no_argument, NULL, OPTION_FILES },
        { "no-logs", no_argument, NULL, OPTION_NO_LOGS },
        { "help", no_argument, NULL, OPTION_HELP },
};
#define N_OTHERS (sizeof(others) / sizeof(others[0]))

static int complain(const char *text, const char *value)
{
        fprintf(stderr, "generate-crashes: %s%s\n", text, value);
        return -1;
}

static int read_number(struct options *o, const struct number *n, const char *text)
{
        char *end;
        errno = 0;
        uint64_t value = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < n->min || value > n->max) {
                fprintf(stderr, "generate-crashes: --%s must be between %" PRIu64 " and %" PRIu64 "\n", n->name, n->min,
                        n->max);
                return -1;
        }
        memcpy((char *)o + n->at, &value, sizeof(value));
        return 0;
}

static int read_one(struct options *o, int c, const char *value)
{
        switch (c) {
        case OPTION_DATA_DIR: o->data_dir = value; return 0;
        case OPTION_UNTIL:
                return clock_parse_rfc3339(value, strlen(value), &o->until) == 0 ? 0 : complain("not a time: ", value);
        case OPTION_FILES: o->files = true; return 0;
        case OPTION_NO_LOGS: o->no_logs = true; return 0;
        case OPTION_HELP: fputs(usage, stdout); return 1;
        default: return c >= OPTION_NUMBERS ? read_number(o, &numbers[c - OPTION_NUMBERS], value) : -1;
        }
}

int options_read(struct options *ret, int argc, char **argv)
{
        struct option all[N_NUMBERS + N_OTHERS + 1] = { 0 };
        int c, r = 0;

        *ret = (struct options){
                .crashes = 10000, .sources = 500, .projects = 5, .days = 30, .seed = 1, .until = clock_now()
        };
        memcpy(all, others, sizeof(others));
        for (size_t i = 0; i < N_NUMBERS; i++)
                all[N_OTHERS + i] =
                        (struct option){ numbers[i].name, required_argument, NULL, OPTION_NUMBERS + (int)i };
        while (r == 0 && (c = getopt_long(argc, argv, "", all, NULL)) != -1)
                r = read_one(ret, c, optarg);
        if (r == 0 && optind < argc)
                r = complain("unexpected argument: ", argv[optind]);
        if (r == 0 && !ret->data_dir)
                r = complain("--data-dir is required", "");
        if (ret->bytes == 0)
                ret->bytes = ret->files ? BYTES_OF_FILES : BYTES_OF_ROWS;
        return r;
}
