#pragma once
/* The command line of a tool for developers: long options of getopt_long(3), many of which are numbers with a range. */

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_LINE_OPTIONS_MAX 32

struct command_line_number {
        const char *name;
        size_t at; /* of an uint64_t in the tool's options */
        uint64_t min, max;
};

struct command_line {
        const char *program;
        const struct command_line_number *numbers;
        size_t n_numbers;
        const struct option *others; /* their val is what take() gets */
        size_t n_others;             /* with the numbers at most COMMAND_LINE_OPTIONS_MAX */
        /* One of the others; what it returns other than 0 ends the reading. */
        int (*take)(void *options, int val, const char *value);
};

/* Fills options, which borrows from argv. 0, what take() returned, or -1: wrong usage, which was said. */
int command_line_read(const struct command_line *line, void *options, int argc, char **argv);

/* "program: text" and the value on standard error. -1. */
int command_line_complain(const char *program, const char *text, const char *value);
