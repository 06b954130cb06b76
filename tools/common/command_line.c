#include "command_line.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_NUMBER 0x100 /* above every val of the others, and above characters */

int command_line_complain(const char *program, const char *text, const char *value)
{
        fprintf(stderr, "%s: %s%s\n", program, text, value);
        return -1;
}

static int read_number(const struct command_line *line, void *options, const struct command_line_number *n,
                       const char *text)
{
        char *end;
        errno = 0;
        uint64_t value = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < n->min || value > n->max) {
                fprintf(stderr, "%s: --%s must be between %" PRIu64 " and %" PRIu64 "\n", line->program, n->name,
                        n->min, n->max);
                return -1;
        }
        memcpy((char *)options + n->at, &value, sizeof(value));
        return 0;
}

static int read_one(const struct command_line *line, void *options, int val, const char *value)
{
        if (val == '?') /* getopt_long() has said what is wrong */
                return -1;
        return val >= FIRST_NUMBER ? read_number(line, options, &line->numbers[val - FIRST_NUMBER], value)
                                   : line->take(options, val, value);
}

int command_line_read(const struct command_line *line, void *options, int argc, char **argv)
{
        struct option all[COMMAND_LINE_OPTIONS_MAX + 1] = { 0 };
        int val, r = 0;

        assert(line->n_others + line->n_numbers <= COMMAND_LINE_OPTIONS_MAX);
        memcpy(all, line->others, line->n_others * sizeof(*all));
        for (size_t i = 0; i < line->n_numbers; i++)
                all[line->n_others + i] =
                        (struct option){ line->numbers[i].name, required_argument, NULL, FIRST_NUMBER + (int)i };
        while (r == 0 && (val = getopt_long(argc, argv, "", all, NULL)) != -1)
                r = read_one(line, options, val, optarg);
        if (r == 0 && optind < argc)
                r = command_line_complain(line->program, "unexpected argument: ", argv[optind]);
        return r;
}
