#pragma once
/* The name that somebody probably meant. Pure. */

#include <stddef.h>

struct suggestion {
        const char *name; /* NULL: none is similar */
        size_t distance;
};

/* Keeps `name` when it is more similar to what was typed than the one before. */
void suggest(struct suggestion *nearest, const char *typed, const char *name);
